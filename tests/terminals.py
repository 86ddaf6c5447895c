"""A terminal of ours, in which kubectl runs a command on another cluster."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios

from liqo.lab.status import Command

RESIZED = """
until stty size | grep -qx "33 101"; do sleep 0.05; done
stty size
until stty size | grep -qx "44 155"; do sleep 0.05; done
stty size
read answer
echo got $answer
read answer
"""
"""A command that ends when its terminal had these two sizes, one after the other, and it was answered twice."""


def resize(terminal: int, rows: int, columns: int, group: int = 0) -> None:
    """Give a terminal another size, and tell a group of processes, 0 for none."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    if group:
        os.killpg(group, signal.SIGWINCH)


def read_until(terminal: int, mark: bytes) -> bytes:
    """Return what is said there until something is."""
    seen = b""
    while mark not in seen:
        seen += os.read(terminal, 1024)
    return seen


def follow_size(command: Command) -> None:
    """Run a command that runs RESIZED somewhere, in a terminal of ours that changes its size."""
    ours, theirs = pty.openpty()
    try:
        resize(theirs, 33, 101)
        with subprocess.Popen(
            command.argv, env=command.env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        ) as process:
            read_until(ours, b"33 101")
            resize(theirs, 44, 155, process.pid)
            read_until(ours, b"44 155")
            os.write(ours, b"yes\n")
            read_until(ours, b"got yes")
            os.write(ours, b"bye\n")  # only now, since fake pods take no care of a terminal's last words
            assert process.wait(30) == 0
    finally:
        os.close(ours)
        os.close(theirs)
