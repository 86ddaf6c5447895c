"""Pods come and go for a while, with kills and partitions: nothing leaks, and every pod is accounted for.

Two minutes by itself; `make soak MINUTES=30` for longer. What is done is drawn from a seed that is printed, and can be
given again: SOAK_SEED=7. Kills end halfway, so that the second half is one life of each process.
"""

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import pytest

from e2e_peers import Peers
from held import Look, look_at
from liqo.app.lab import up_with_liqo
from liqo.lab.lab import LIQO
from liqo.lab.pytest_plugin import Eventually, LabFactory
from offloading import FOREIGN, HOME, Shop

MINUTES = float(os.environ.get("SOAK_MINUTES", "2"))
SEED = int(os.environ.get("SOAK_SEED", "7"))
SETTLED_SECONDS = 120.0
pytestmark = [pytest.mark.lab, pytest.mark.seconds(MINUTES * 60 + 4 * SETTLED_SECONDS)]

SIDES = (HOME, FOREIGN)
NAMESPACE = "soak"
PODS_MAX = 60
STEPS = 6  # between two looks
GROWTH_MAX = (
    12.0  # MiB in the second half, however long: what a leak of one object a pod would exceed in half an hour
)
# Of one look than of another: a burst leaves connections open for 75 s, with a task for each that was accepted; one
# leaked a pod would be hundreds.
TASKS_MORE = FILES_MORE = 64


@dataclass
class Soak:
    shop: Shop
    rng: random.Random
    wanted: int = 0
    renewed: int = 0
    looks: dict[str, list[Look]] = field(default_factory=lambda: {side: [] for side in SIDES})

    @property
    def peers(self) -> Peers:
        return self.shop.peers

    def step(self, *, kills: bool) -> None:
        """Do one thing, whatever the last one led to."""
        steps: list[Callable[[], object]] = [self.scale, self.scale, self.renew, self.delete_at_home]
        steps += [self.delete_on_foreign, self.partition]
        steps += [partial(self.kill, side) for side in SIDES if kills]
        self.rng.choice(steps)()

    def scale(self) -> None:
        self.wanted = self.rng.randint(1, PODS_MAX)
        self.shop.kubectl("scale", "deployment", "web", f"--replicas={self.wanted}")

    def renew(self) -> None:
        self.renewed += 1  # not by `rollout restart`, which refuses to be asked twice in a second
        annotations = {"renewed": str(self.renewed)}
        patch = json.dumps({"spec": {"template": {"metadata": {"annotations": annotations}}}})
        self.shop.kubectl("patch", "deployment", "web", "-p", patch)

    def delete_at_home(self) -> None:
        if pods := self.shop.at_home():
            name = self.rng.choice(pods)["metadata"]["name"]
            self.shop.kubectl("delete", "pod", name, "--ignore-not-found", "--wait=false")

    def delete_on_foreign(self) -> None:
        if pods := self.shop.on_foreign():
            pod = self.rng.choice(pods)["metadata"]
            where = ("-n", pod["namespace"], "--ignore-not-found", "--wait=false")
            self.peers.lab.kubectl(FOREIGN, "delete", "pod", pod["name"], *where)

    def partition(self) -> None:
        """Cut them off; half of the times until home has seen it."""
        self.peers.lab.partition(*SIDES)
        try:
            self.scale()
            if self.rng.random() < 0.5:
                self.peers.until(lambda: not self.peers.is_ready(HOME))
        finally:
            self.peers.lab.heal(*SIDES)

    def kill(self, side: str) -> None:
        self.peers.lab.kill(side, LIQO)
        self.scale()
        self.peers.lab.start(side, LIQO)

    def settle(self) -> None:
        """Wait until every pod is accounted for on both sides, and none runs twice."""

        def settled() -> bool:
            self.shop.kubectl("delete", "pods", "--field-selector", "status.phase=Failed", "--wait=false")
            return self.shop.is_running(self.wanted)

        try:
            self.peers.until(settled, SETTLED_SECONDS)
        except AssertionError as failure:
            raise AssertionError(f"{self.wanted} pods wanted; {failure}") from failure

    def look(self) -> None:
        for side in SIDES:
            self.looks[side].append(look_at(self.peers.lab, side))


@pytest.fixture
def soak(lab_factory: LabFactory, eventually: Eventually) -> Iterator[Soak]:
    with ExitStack() as stack:
        lab = lab_factory()
        stack.callback(lab.down)
        up_with_liqo(lab, SIDES, lan=False)
        peers = Peers(lab, eventually)
        shop = Shop(peers, NAMESPACE)
        lab.kubectl(HOME, "create", "namespace", NAMESPACE)
        lab.kubectl(HOME, "label", "namespace", NAMESPACE, "liqo.io/enabled=true")
        peers.apply_seed(*SIDES)
        peers.until(partial(peers.is_ready, HOME))
        shop.deploy(1)
        yield Soak(shop, random.Random(SEED), wanted=1)


def test_nothing_leaks_and_every_pod_is_accounted_for(soak: Soak) -> None:
    began, rounds = time.monotonic(), 0
    soak.settle()
    while (gone := (time.monotonic() - began) / 60) < MINUTES:
        kills = gone < MINUTES / 2
        for _ in range(STEPS):
            soak.step(kills=kills)
        soak.settle()
        rounds += 1
        if not kills:
            soak.look()
    report = {side: (looks[0], looks[-1]) for side, looks in soak.looks.items()}
    print(f"seed {SEED}, {rounds} rounds: {report}")  # noqa: T201
    for looks in soak.looks.values():
        first, last = looks[0], looks[-1]
        assert last.memory - first.memory < GROWTH_MAX
        assert last.tasks - first.tasks <= TASKS_MORE
        assert last.files - first.files <= FILES_MORE
    soak.peers.set_join(HOME, join=False)
    for side in SIDES:
        soak.peers.until(partial(soak.peers.is_clean, side))
    assert not soak.peers.items(FOREIGN, "namespaces", "-l", "liqo.io/home-namespace")
