"""Hosts on a link of their own, each a network namespace: without clusters, so that one costs a few milliseconds."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from liqo.lab.network import Network
from liqo.lab.process import end, find, marks
from liqo.lab.spec import LAN, Mode
from liqo.lab.state import read_state
from liqo.lab.status import Command

FIRST = 50  # index of the first host, so that a lab's clusters keep theirs


class Link:
    """A bridge and the hosts on it; in the folder of a lab it is the lab's, and the hosts are beside its clusters.

    Args:
        folder: a lab's, or an empty one.
    """

    def __init__(self, folder: Path) -> None:
        state = read_state(folder)
        best = Mode.ROOT if os.geteuid() == 0 else Mode.USER
        self.folder, self.hosts = folder, 0
        self._network = Network(folder, state.mode if state else best)
        if self._network.mode is Mode.LOOPBACK or not self._network.ensure_lan():
            pytest.fail(
                "no network namespaces here\nhint: run it as root, or where ordinary users may make namespaces"
            )

    def plug(self, host: str) -> str:
        """Add a host with the interface eth0; return its address."""
        index, self.hosts = FIRST + self.hosts, self.hosts + 1
        address = f"{LAN}.{index}"
        self._network.ensure_host(host, index, address)
        return address

    def command(self, host: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> Command:
        """Return how to run a program on a host."""
        return Command(
            [*self._network.enter(host), *argv],
            {**(env if env is not None else os.environ), **marks(self.folder, host, "exec")},
        )

    def run(self, host: str, *argv: str, env: Mapping[str, str] | None = None) -> str:
        """Run a program on a host to its end; return what it printed."""
        command = self.command(host, argv, env)
        done = subprocess.run(
            command.argv, env=command.env, capture_output=True, text=True, check=False, timeout=60
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
