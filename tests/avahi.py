"""Avahi from Debian on a host of a link, with a bus of its own: nothing of it is seen, or written, on this machine."""

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from debian import library_path, unpack
from dns_servers import start
from links import Link
from liqo.lab.pytest_plugin import wait_until

PACKAGES = (
    "avahi-daemon",
    "avahi-utils",
    "libavahi-client3",
    "libavahi-common3",
    "libavahi-core7",
    "libdaemon0",
    "libgdbm6",
    "dbus-daemon",
    "libapparmor1",
    "libcap-ng0",
    "libdbus-1-3",
    "libexpat1",
)
BUS = "unix:abstract=liqo-test-bus"  # an abstract socket belongs to a network namespace
BUS_CONFIG = f"""<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>{BUS}</listen><auth>EXTERNAL</auth><apparmor mode="disabled"/>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
"""
CONFIG = """[server]
host-name=milan
allow-interfaces=eth0
[publish]
publish-workstation=no
publish-hinfo=no
"""
# Its pid file and the user that it looks for are compiled in: they are there in a mount namespace of its own.
INSIDE = """
mount -t tmpfs none /run
mount --bind "$0/passwd" /etc/passwd
mount --bind "$0/group" /etc/group
exec "$@"
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """One line of `avahi-browse -r`: an instance on one protocol, resolved."""

    protocol: str
    name: str
    host: str
    address: str
    port: int
    txt: frozenset[str]


@dataclass(frozen=True, slots=True)
class Avahi:
    """A running avahi-daemon, and its programs on the same host."""

    link: Link
    host: str
    address: str
    folder: Path
    env: dict[str, str]

    def browse(self, service: str = "_liqo._tcp") -> list[Seen]:
        """Return what `avahi-browse -rt` shows of a service type."""
        said = self.link.run(self.host, self.program("avahi-browse"), "-rtp", service, env=self.env)
        found = []
        for line in said.splitlines():
            sign, _, protocol, name, _, _, *rest = line.split(";", 9)
            if sign == "=":
                host, address, port, txt = rest
                found.append(Seen(protocol, name, host, address, int(port), frozenset(shlex.split(txt))))
        return found

    @contextmanager
    def publish(self, name: str, port: int, *txt: str) -> Iterator[None]:
        """Publish an instance of our service type with `avahi-publish` as long as the block lasts."""
        argv = (self.program("avahi-publish"), "-s", name, "_liqo._tcp", str(port), *txt)
        command = self.link.command(self.host, argv, self.env)
        with ExitStack() as stack:
            start(stack, command.argv, command.env)
            yield

    def program(self, name: str) -> str:
        return str(self.folder / "usr" / "bin" / name)


@contextmanager
def avahi_on(link: Link, folder: Path) -> Iterator[Avahi]:
    """Run avahi on a new host of a link until the end of the block; its configuration goes into that folder."""
    host = "avahi"
    debian = unpack(*PACKAGES)
    avahi = Avahi(
        link, host, link.plug(host), debian, {**library_path(debian), "DBUS_SYSTEM_BUS_ADDRESS": BUS}
    )
    (folder / "bus.conf").write_text(BUS_CONFIG)
    (folder / "avahi.conf").write_text(CONFIG)
    (folder / "passwd").write_text("root:x:0:0::/:/bin/sh\navahi:x:0:0::/:/bin/false\n")
    (folder / "group").write_text("root:x:0:\navahi:x:0:\n")
    bus = (avahi.program("dbus-daemon"), f"--config-file={folder}/bus.conf", "--nofork", "--nopidfile")
    daemon = (
        *("unshare", "--mount", "--", "sh", "-ec", INSIDE, str(folder)),
        *(str(debian / "usr" / "sbin" / "avahi-daemon"), f"--file={folder}/avahi.conf"),
        *("--no-drop-root", "--no-chroot", "--no-rlimits", "--no-proc-title"),
    )
    with ExitStack() as stack:
        for argv in (bus, daemon):
            command = link.command(host, argv, avahi.env)
            process = start(stack, command.argv, command.env)
            wait_until(lambda p=process, a=argv: is_up(avahi, p, a is daemon))  # type: ignore[misc]
        yield avahi


def is_up(avahi: Avahi, process: "subprocess.Popen[bytes]", whole: bool) -> bool:
    """Return whether the bus takes connections, or the whole of it answers."""
    assert process.poll() is None, "it ended"
    if whole:
        return avahi.browse() is not None
    return BUS.partition("=")[2] in avahi.link.run(avahi.host, "cat", "/proc/net/unix")
