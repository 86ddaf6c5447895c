"""Hosts on a link of their own, each a network namespace: without clusters, so that one costs a few milliseconds."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from liqo.lab.network import HOLDER, Network
from liqo.lab.process import end, find, marks
from liqo.lab.spec import Mode
from liqo.lab.state import read_state
from liqo.lab.status import Command

FIRST = 50  # index of the first host, so that a lab's clusters keep theirs
LAN = "lan"  # the first bridge, and the host on which all bridges are
READY = """
link set {nic} addrgenmode none
addr flush dev {nic}
addr add {address}/{prefix} dev {nic} nodad
addr add fe80::{index}/64 dev {nic} nodad
"""


class Link:
    """A bridge and the hosts on it; in the folder of a lab it is the lab's, and the hosts are beside its clusters.

    Further bridges are links of their own, with other addresses.

    Args:
        folder: a lab's, or an empty one.
    """

    def __init__(self, folder: Path) -> None:
        state = read_state(folder)
        best = Mode.ROOT if os.geteuid() == 0 else Mode.USER
        self.folder = folder
        self._hosts: dict[str, int] = {}
        self._bridges = [LAN]
        self._network = Network(folder, state.mode if state else best)
        if self._network.mode is Mode.LOOPBACK or not self._network.ensure_lan():
            pytest.fail(
                "no network namespaces here\nhint: run it as root, or where ordinary users may make namespaces"
            )

    def plug(self, host: str, bridge: str = LAN, *, ipv6: bool = False) -> str:
        """Add a host with the interface eth0; return its address.

        Args:
            host: its name.
            bridge: where it is plugged in.
            ipv6: it has a unique local address (RFC 4193) and a link-local one, and no IPv4.
        """
        index = self._hosts[host] = FIRST + len(self._hosts)
        address = self._address(bridge, index)
        self._network.ensure_host(host, index, address)
        self._ip(LAN, f"link set c{index} master {bridge}")
        if not ipv6:
            return address
        address = self._address(bridge, index, ipv6=True)
        self._ip(host, READY.format(nic="eth0", address=address, prefix=64, index=index))
        return address

    def plug_too(self, host: str, bridge: str) -> str:
        """Give a host that is there the interface eth1 too, on another bridge; return its address there."""
        index, address = self._hosts[host], self._address(bridge, self._hosts[host])
        pid = next(r.pid for r in find(self.folder) if r.cluster == host and r.part == HOLDER)
        self._ip(
            LAN,
            f"link add d{index} type veth peer name eth1 netns {pid}\n"
            f"link set d{index} master {bridge}\nlink set d{index} up",
        )
        self._ip(host, f"addr add {address}/24 dev eth1\nlink set eth1 up")
        return address

    def _address(self, bridge: str, index: int, *, ipv6: bool = False) -> str:
        """Return a host's address on a bridge, which is made if it is not there."""
        if bridge not in self._bridges:
            self._bridges.append(bridge)
            self._ip(
                LAN, f"link add {bridge} type bridge mcast_snooping 0 forward_delay 0\nlink set {bridge} up"
            )
        number = 77 + self._bridges.index(bridge)
        return f"fd{number}::{index}" if ipv6 else f"10.{number}.0.{index}"

    def _ip(self, host: str, commands: str) -> None:
        self.run(host, "ip", "-batch", "-", text=commands)

    def command(self, host: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> Command:
        """Return how to run a program on a host."""
        return Command(
            [*self._network.enter(host), *argv],
            {**(env if env is not None else os.environ), **marks(self.folder, host, "exec")},
        )

    def run(self, host: str, *argv: str, env: Mapping[str, str] | None = None, text: str = "") -> str:
        """Run a program on a host to its end; return what it printed."""
        command = self.command(host, argv, env)
        done = subprocess.run(
            command.argv, env=command.env, input=text, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, f"{argv[0]} on {host}: {done.stderr.strip()}"
        return done.stdout

    def down(self) -> None:
        """End every process on the link, and with them the link."""
        while left := find(self.folder):
            end(left, self.folder, term_seconds=0)


@contextmanager
def link_in(folder: Path) -> Iterator[Link]:
    """Make a link that ends with the block."""
    link = Link(folder)
    try:
        yield link
    finally:
        link.down()


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    """One link without hosts."""
    with link_in(tmp_path) as made:
        yield made
