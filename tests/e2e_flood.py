"""A flood of strangers on one real cluster, and a look at how many of them wait there all the time."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from e2e_peers import Peers
from liqo.lab.lab import Lab
from liqo.peering.places import is_waiting

SCRIPT = Path(__file__).with_name("flood.py")
WATCH = ("kubectl", "get", "fr", "-n", "liqo", "--watch", "--output-watch-events", "-o", "json")


@dataclass
class Flood:
    """A process that sends requests to milan, from rome's host."""

    process: subprocess.Popen[str]

    def begin(self) -> None:
        self._say()

    def end(self) -> Any:
        """Stop it; return how it went."""
        self._say()
        return self.wait()

    def wait(self) -> Any:
        """Return how it went, when its time is over."""
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def is_under_way(self) -> bool:
        return self.process.poll() is None

    def _say(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@contextmanager
def flood(
    lab: Lab, what: str, rate: int, seconds: float, *, ids: int = 0, known: str = ""
) -> Iterator[Flood]:
    """Have a flood ready to begin; its arguments are those of flood.py."""
    argv = (SCRIPT, lab.cluster("milan").api_url, what, rate, seconds, ids, lab.cluster("rome").host, known)
    command = lab.command("rome", (sys.executable, *map(str, argv)))
    with subprocess.Popen(
        command.argv, env=command.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield Flood(process)
        finally:
            process.kill()


@dataclass
class Queue:
    """Whoever waits on milan without a place of his own, from the moment it is made."""

    peers: Peers
    file: Path
    known: set[str] = field(default_factory=set)  # who takes no stranger's place

    def now(self) -> int:
        """Return how many wait."""
        return sum(map(self._is_stranger, self.peers.items("milan", "fr", "-n", "liqo")))

    def most(self) -> int:
        """Return how many waited at once at most, by every single change that the API server told of."""
        waiting: set[str] = set()
        most = 0
        for event in self._events():
            request = event["object"]
            there = event["type"] != "DELETED" and self._is_stranger(request)
            (waiting.add if there else waiting.discard)(request["metadata"]["name"])
            most = max(most, len(waiting))
        return most

    def _is_stranger(self, request: Any) -> bool:
        spec = request["spec"]
        return is_waiting(request) and "invite" not in spec and spec["clusterID"] not in self.known

    def _events(self) -> Iterator[Any]:
        text, decoder, at = self.file.read_text(), json.JSONDecoder(), 0
        while (at := text.find("{", at)) >= 0:
            try:
                event, at = decoder.raw_decode(text, at)
            except json.JSONDecodeError:
                return  # the last one is still being written
            yield event


@contextmanager
def queue(peers: Peers, folder: Path) -> Iterator[Queue]:
    """Follow milan's requests; all of them are gone afterwards."""
    command = peers.lab.command("milan", WATCH)
    file = folder / "requests"
    with file.open("w") as out, subprocess.Popen(command.argv, env=command.env, stdout=out) as watch:
        try:
            yield Queue(peers, file)
        finally:
            watch.kill()
            peers.until(partial(_is_empty, peers))


def _is_empty(peers: Peers) -> bool:
    peers.lab.kubectl("milan", "delete", "fr", "--all", "-n", "liqo", "--wait=false")
    return not peers.items("milan", "fr", "-n", "liqo")
