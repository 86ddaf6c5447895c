"""Starts programs that outlive us, finds them again, and ends them.

What runs is read from /proc, never from a file: each process carries in its environment which lab and which
part of it it is. A file can be stale and a process can be killed, but an environment cannot lie.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from liqo.errors import Unavailable
from liqo.lab.wait import until

FOLDER_MARK = "LIQO_LAB"
PART_MARK = "LIQO_LAB_PART"
TERM_SECONDS = 5.0  # how long a program may take to end by itself
KILL_SECONDS = 10.0  # how long the kernel may take after SIGKILL
EXEC_SECONDS = 2.0  # how long a process may take to become another program
TAIL_LINES = 12

# The log is $0; the program is no child of ours, so nobody has to wait for it.
_LAUNCH = '"$@" >>"$0" 2>&1 </dev/null & echo $!'


@dataclass(frozen=True, slots=True)
class Running:
    """One process of a lab."""

    pid: int
    cluster: str  # or "lan", "dns"
    part: str  # a component, "holder", "relay", "exec"


def marks(folder: Path, cluster: str, part: str) -> dict[str, str]:
    """Return what a process carries in its environment."""
    return {FOLDER_MARK: str(folder), PART_MARK: f"{cluster}/{part}"}


def small_env(home: Path) -> dict[str, str]:
    """Return an environment without anything of the caller's: no proxy, no cloud account, no locale."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "LANG": "C.UTF-8"}


def launch(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path, descriptors: Sequence[int] = ()
) -> int:
    """Start a program in a session of its own and return its pid.

    Args:
        argv: the program and its arguments.
        env: its whole environment.
        cwd: where it runs.
        log: gets its output, at the end.
        descriptors: open files that it inherits under the same numbers.
    """
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    done = subprocess.run(
        ["/bin/sh", "-c", _LAUNCH, str(log), *argv],
        env=dict(env),
        cwd=cwd,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        pass_fds=tuple(descriptors),
        start_new_session=True,
    )
    return int(done.stdout)


def find(folder: Path) -> list[Running]:
    """Return every process of the lab in that folder, but this one and those it was started by."""
    wanted = f"{FOLDER_MARK}={folder}".encode()
    ours = _lineage()
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208  five times faster than Path objects
        if not entry.isdigit() or int(entry) in ours:
            continue
        variables = _environ(int(entry))
        if wanted not in variables:
            continue
        part = next((v for v in variables if v.startswith(f"{PART_MARK}=".encode())), b"=/")
        cluster, _, name = part.decode().partition("=")[2].partition("/")
        found.append(Running(int(entry), cluster, name))
    return sorted(found, key=lambda running: running.pid)


def is_alive(running: Running, folder: Path) -> bool:
    """Say whether that very process still runs."""
    return f"{FOLDER_MARK}={folder}".encode() in _environ(running.pid)


def command_line(pid: int) -> tuple[str, ...]:
    """Return the program and arguments of a process; nothing if it is gone."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(part.decode(errors="replace") for part in raw.split(b"\0")[:-1])


def command_name(pid: int) -> str:
    """Return the short name of what a process runs, "" if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def end(processes: Iterable[Running], folder: Path, *, term_seconds: float = TERM_SECONDS) -> None:
    """End these processes, all at once: ask, wait, kill, wait.

    Each is held by a pidfd before its mark is read again, so that a pid which the kernel has given to
    somebody else is never signalled.

    Args:
        processes: what to end.
        folder: of the lab they belong to.
        term_seconds: how long they may take by themselves; 0 kills at once.

    Raises:
        Unavailable: one does not die, as when it waits for a broken disk.
    """
    with ExitStack() as stack:
        held: dict[int, Running] = {}
        for running in processes:
            try:
                pidfd = os.pidfd_open(running.pid)
            except ProcessLookupError:
                continue
            stack.callback(os.close, pidfd)
            if is_alive(running, folder):
                held[pidfd] = running
        if term_seconds:
            _signal(held, signal.SIGTERM)
            held = _wait(held, term_seconds)
        _signal(held, signal.SIGKILL)
        held = _wait(held, KILL_SECONDS)
        if held:
            names = ", ".join(f"{r.cluster}/{r.part} (pid {r.pid})" for r in held.values())
            raise Unavailable(f"{names} cannot be killed")


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a log, "" if there is none."""
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _signal(held: Mapping[int, Running], number: signal.Signals) -> None:
    for pidfd in held:
        try:
            signal.pidfd_send_signal(pidfd, number)
        except ProcessLookupError:
            continue


def _wait(held: Mapping[int, Running], seconds: float) -> dict[int, Running]:
    """Return those that still run after that time."""
    left = dict(held)
    deadline = time.monotonic() + seconds
    poll = select.poll()
    for pidfd in left:
        poll.register(pidfd, select.POLLIN)
    while left:
        remaining = deadline - time.monotonic()
        ended = poll.poll(max(remaining, 0) * 1000)
        if not ended:
            break
        for pidfd, _ in ended:
            poll.unregister(pidfd)
            del left[pidfd]
    return left


def _environ(pid: int) -> list[bytes]:
    """Return the environment of a process; nothing if it is gone, not ours to see, or has none."""
    raw = b""

    def is_told() -> bool:
        nonlocal raw
        try:
            raw = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return True
        return bool(raw) or _has_no_environment(pid)

    until(is_told, seconds=EXEC_SECONDS)
    return raw.split(b"\0")


def _has_no_environment(pid: int) -> bool:
    """Say whether a process that shows no environment has none: one of the kernel, a zombie, or `env -i`.

    Inside execve it shows none for a moment too, and then the end of its environment (field 51 of
    proc_pid_stat(5), after the start) is not set yet; or it is out of that moment when we look.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return True
    state, memory, start, end = fields[0], fields[20], fields[47], fields[48]
    return state == "Z" or memory == "0" or (start == end != "0")


def _lineage() -> set[int]:
    """Return this process and its ancestors: who runs `liqo lab down` inside `liqo lab exec` survives it."""
    lineage: set[int] = set()
    pid = os.getpid()
    while pid > 1 and pid not in lineage:
        lineage.add(pid)
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            break
        pid = int(stat.rpartition(")")[2].split()[1])
    return lineage
