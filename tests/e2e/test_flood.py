"""A flood of strangers on a real cluster: what they can have stored is bounded, and whom it knows is not held up."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from e2e_flood import Flood, Queue, flood, queue
from e2e_peers import Peers
from held import look_at
from liqo.app.demo import MANIFEST, NAME, fill

pytestmark = pytest.mark.lab

RATE = 300  # a second, a third of each kind
MAX_PENDING = 100  # the default
STORED = 150  # while nobody checks
MINUTE = 60.0
JOINED_SECONDS = 150.0  # one try in two may be turned away, and each is later than the last
AFTER_SECONDS = 120.0  # those who wait go after 30 s, and who was refused asks again after a while
MEMORY_MORE = 48.0  # MiB: 100 requests with their keys, and what the allocator keeps of 18,000 reviews
TASKS_MORE = 64  # connections that the API server keeps open to the webhook, and those to the one that joined


@dataclass
class Crowd:
    """Milan, which strangers will flood, and rome."""

    peers: Peers
    queue: Queue
    policy: str
    stack: ExitStack

    def ready(self, what: str, seconds: float, ids: int) -> Flood:
        """Have a flood ready to begin."""
        peers = self.peers
        return self.stack.enter_context(
            flood(peers.lab, what, RATE, seconds, ids=ids, known=peers.id_of("rome"))
        )

    def know_rome(self) -> None:
        """Enter rome on milan as a person does, who also accepts it where the policy asks for that."""
        self.queue.known.add(self.peers.id_of("rome"))
        manifest = fill(MANIFEST, self.peers.id_of("rome"), self.peers.lab.cluster("rome"))
        manifest = manifest.replace("join: true", "join: false")
        self.peers.lab.kubectl("milan", "apply", "-f", "-", text=manifest)
        if self.policy == "Manual":
            assert self.peers.lab.exec("milan", ["liqo", "accept", NAME]).returncode == 0

    def join(self) -> None:
        self.peers.apply_seed("rome", "milan")
        self.peers.until(partial(self.peers.is_ready, "rome"), JOINED_SECONDS)

    def join_by_invite(self) -> None:
        invite = self.peers.lab.exec("milan", ["liqo", "invite"]).stdout.strip()
        assert self.peers.lab.exec("rome", ["liqo", "join", invite]).stdout.startswith("node liqo-milan-")

    def part(self) -> None:
        """End rome's peering, and forget that milan knew it; strangers may go on asking."""
        for side in ("rome", "milan"):
            self.peers.lab.kubectl(side, "delete", "fc", "--all", "--wait=false")
        self.peers.until(partial(self.peers.is_apart, "rome"))
        self.peers.until(lambda: not self.peers.items("milan", "fc"))

    def is_full(self) -> bool:
        return self.queue.now() == MAX_PENDING

    def is_crowded(self) -> bool:
        """Return whether many wait; where they are called back, some of them always go."""
        return self.queue.now() >= MAX_PENDING // 2


@pytest.fixture(params=["Accept", "Manual"])
def crowd(request: pytest.FixtureRequest, peers: Peers, tmp_path: Path) -> Iterator[Crowd]:
    peers.configure("milan", "peeringConfig", requestPolicy=request.param)
    with ExitStack() as stack:
        stack.callback(peers.configure, "milan", "peeringConfig", requestPolicy="Accept")
        waiting = stack.enter_context(queue(peers, tmp_path))
        yield Crowd(peers, waiting, request.param, stack)


def stored(told: Any, what: str) -> int:
    """Return how many requests of a kind were stored; that any were sent is checked."""
    assert sum(told["answers"][what].values())
    return int(told["answers"][what].get("201", 0))


def check(told: Any) -> None:
    """Check what became of a flood of all three kinds."""
    print(told)  # noqa: T201
    assert stored(told, "garbage") == stored(told, "bad proof") == 0
    assert stored(told, "good proof") >= MAX_PENDING // 2


@pytest.mark.seconds(400)
@pytest.mark.parametrize("crowd", ["Accept"], indirect=True)
def test_whom_a_person_entered_joins_in_the_middle_of_a_flood_and_no_more_wait_than_may(crowd: Crowd) -> None:
    strangers = crowd.ready("requests", 4 * MINUTE, ids=500)
    crowd.know_rome()
    strangers.begin()
    crowd.peers.until(crowd.is_crowded)
    crowd.join()
    assert strangers.is_under_way()
    check(strangers.end())
    assert crowd.queue.most() <= MAX_PENDING


@pytest.mark.long
def test_a_minute_of_strangers_holds_up_nobody_who_is_known_or_invited_and_others_only_while_it_lasts(
    crowd: Crowd,
) -> None:
    lab = crowd.peers.lab
    strangers = crowd.ready("requests", MINUTE, ids=RATE * int(MINUTE) // 3)
    crowd.know_rome()
    before = look_at(lab, "milan")
    strangers.begin()
    crowd.peers.until(crowd.is_crowded)
    crowd.join()
    crowd.part()
    crowd.join_by_invite()
    assert strangers.is_under_way()
    check(strangers.wait())
    after = look_at(lab, "milan")
    print(before, after)  # noqa: T201
    assert after.memory - before.memory < MEMORY_MORE
    crowd.peers.until(lambda: look_at(lab, "milan").tasks - before.tasks <= TASKS_MORE)
    crowd.part()
    crowd.peers.apply_seed("rome", "milan")
    if crowd.policy == "Manual":
        crowd.peers.until(lambda: "TooManyPending" in lab.kubectl("rome", "get", "fc", "-o", "yaml"))
        lab.kubectl("milan", "delete", "fr", "--all", "-n", "liqo")  # a person wants none of these
        crowd.peers.until(lambda: crowd.peers.condition("rome", "Accepted") == ("Unknown", "Pending"))
        lab.exec("milan", ["liqo", "accept", crowd.peers.id_of("rome")])
    crowd.peers.until(partial(crowd.peers.is_ready, "rome"), AFTER_SECONDS)
    assert crowd.queue.most() <= MAX_PENDING


@pytest.mark.parametrize("crowd", ["Manual"], indirect=True)
def test_what_was_stored_beyond_that_while_no_webhook_answered_goes(crowd: Crowd) -> None:
    lab = crowd.peers.lab
    webhook = ("validatingwebhookconfiguration", "liqo")
    held = crowd.peers.get("milan", *webhook)
    for field in ("resourceVersion", "uid", "managedFields", "creationTimestamp", "generation"):
        held["metadata"].pop(field, None)
    strangers = crowd.ready("good", MINUTE, ids=STORED)
    lab.kubectl("milan", "delete", *webhook)
    try:
        strangers.begin()
        # It is the webhook, then, that holds them back elsewhere.
        crowd.peers.until(lambda: crowd.queue.most() > MAX_PENDING)
        strangers.end()
    finally:
        lab.kubectl("milan", "create", "-f", "-", text=json.dumps(held))
    crowd.peers.until(crowd.is_full)
