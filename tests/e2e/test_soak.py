"""Pods come and go for a while, with kills and partitions: nothing leaks, and every pod is accounted for.

Two minutes by itself; `make soak MINUTES=30` for longer. What is done is drawn from a seed that is printed, and can be
given again: SOAK_SEED=7. Kills end after a third, so that the rest is one life of each process. In the next third a
process gets as large as it gets, with the connections that a partition leaves open; the last one is looked at. At the
end it prints what it saw as JSON.
"""

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from statistics import linear_regression
from typing import Any

import pytest

from e2e_peers import Peers, names
from held import Look, look_at
from liqo.api.names import WELL_KNOWN_CONFIG_MAP
from liqo.app.lab import up_with_liqo
from liqo.app.stores import make_stores, selections
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
GROWTH_MAX = 12.0  # MiB in the last third of a short run, where caches and arenas still fill
SLOPE_MINUTES = 10  # a run of so many gives enough looks for a line through them
# MiB a minute. Some 300 pods come and go in one, and a controller keeps 5 KiB or more of each: a leak of one object a
# pod climbs by 1.5, and what is left of the process's warming up by less than a third of that. Of 58 partitions in a
# row the first thirty took 10 MiB, the last ten half a one.
SLOPE_MAX = 0.5
# Of one look than of another: a burst leaves connections open for 75 s, with a task for each that was accepted; one
# leaked a pod would be hundreds.
TASKS_MORE = FILES_MORE = 64
OWN_WATCHES = len(selections("liqo", make_stores()))  # of a Liqo without a peering
STEADY_LOOKS = 12  # so many in a row with as many watches: none of them is about to begin or to begin again
KEPT = "CertificateSigningRequest/"  # that of a controller killed while it waited; its cluster keeps it for an hour


@dataclass(frozen=True)
class Census:
    """Which objects a cluster has, and how many watches its Liqo."""

    objects: frozenset[str]  # Kind/namespace/name, and the kinds that there are
    watches: int

    def kinds(self) -> dict[str, int]:
        """Return how many objects there are of each kind."""
        return dict(sorted(Counter(name.split("/")[0] for name in self.objects if "/" in name).items()))


@dataclass
class Soak:
    shop: Shop
    rng: random.Random
    before: dict[str, Census]  # without a peering
    wanted: int = 0
    renewed: int = 0
    done: Counter[str] = field(default_factory=Counter)
    pods: set[str] = field(default_factory=set)  # uids of those that were Ready when nothing went on
    minutes: list[float] = field(default_factory=list)  # when it was looked
    looks: dict[str, list[Look]] = field(default_factory=lambda: {side: [] for side in SIDES})

    @property
    def peers(self) -> Peers:
        return self.shop.peers

    def step(self, *, kills: bool) -> None:
        """Do one thing, whatever the last one led to."""
        steps: list[Callable[[], object]] = [self.scale, self.scale, self.renew, self.delete_at_home]
        steps += [self.delete_on_foreign, self.partition]
        steps += [self.kill_home, self.kill_foreign] if kills else []
        chosen = self.rng.choice(steps)
        self.done[chosen.__name__] += 1
        chosen()

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

    def kill_home(self) -> None:
        self._kill(HOME)

    def kill_foreign(self) -> None:
        self._kill(FOREIGN)

    def _kill(self, side: str) -> None:
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
        self.pods |= {pod["metadata"]["uid"] for pod in self.shop.at_home()}

    def look(self, minute: float, watches: dict[str, int]) -> None:
        """Look at both once they watch what they should, which a partition may have ended a moment ago."""
        self.minutes.append(round(minute, 1))
        for side in SIDES:
            self.peers.until(partial(self._watches, side, watches[side]))
            self.looks[side].append(look_at(self.peers.lab, side))

    def _watches(self, side: str, count: int) -> bool:
        assert look_at(self.peers.lab, side).watches == count
        return True

    def slope(self, side: str) -> float:
        """Return by how many MiB a minute a Liqo grew: the line of least squares through all looks."""
        return linear_regression(self.minutes, [look.memory for look in self.looks[side]]).slope

    def end(self) -> None:
        """Take everything down, and wait until both clusters are as before."""
        self.shop.kubectl("delete", "deployment", "web")
        self.peers.until(lambda: not self.shop.at_home())
        self.peers.lab.kubectl(HOME, "delete", "namespace", NAMESPACE, "--wait=false")
        self.peers.lab.kubectl(HOME, "delete", "fc", "--all", "--wait=false")  # all else goes by itself
        for side in SIDES:
            self.peers.until(partial(self._is_as_before, side))

    def _is_as_before(self, side: str) -> bool:
        now, before = take_census(self.peers, side), self.before[side]
        assert now.objects ^ before.objects == set()
        assert now.watches == before.watches
        return True

    def report(self) -> dict[str, Any]:
        """Return what there is to say of a soak, for people and for docs."""
        return {
            "minutes": MINUTES,
            "seed": SEED,
            "steps": dict(sorted(self.done.items())),
            "pods accounted for": len(self.pods),
            "looks from minute to minute": (self.minutes[0], self.minutes[-1], len(self.minutes)),
            "clusters": {
                side: {
                    "first look": asdict(self.looks[side][0]),
                    "last look": asdict(self.looks[side][-1]),
                    "MiB a minute": round(self.slope(side), 3) if MINUTES >= SLOPE_MINUTES else None,
                    "objects before and in the end": self.before[side].kinds(),
                    "watches before and in the end": self.before[side].watches,
                }
                for side in SIDES
            },
        }


def take_census(peers: Peers, side: str) -> Census:
    objects = frozenset(name for name in names(peers, side) if not name.startswith(KEPT))
    return Census(objects, look_at(peers.lab, side).watches)


def steady_watches(peers: Peers, side: str) -> int:
    """Return how many watches a Liqo has, once that changes no more."""
    seen: list[int] = []

    def is_steady() -> bool:
        seen.append(look_at(peers.lab, side).watches)
        return seen[-STEADY_LOOKS:] == [seen[-1]] * STEADY_LOOKS

    peers.until(is_steady)
    return seen[-1]


@pytest.fixture
def soak(lab_factory: LabFactory, eventually: Eventually) -> Iterator[Soak]:
    with ExitStack() as stack:
        lab = lab_factory()
        stack.callback(lab.down)
        up_with_liqo(lab, SIDES, lan=False)
        peers = Peers(lab, eventually)
        for side in SIDES:  # the last that a controller makes of its own
            peers.until(partial(peers.get, side, "configmap", WELL_KNOWN_CONFIG_MAP, "-n", "liqo"))
            peers.until(lambda side=side: look_at(lab, side).watches == OWN_WATCHES)  # type: ignore[misc]
            assert steady_watches(peers, side) == OWN_WATCHES
        before = {side: take_census(peers, side) for side in SIDES}
        shop = Shop(peers, NAMESPACE)
        lab.kubectl(HOME, "create", "namespace", NAMESPACE)
        lab.kubectl(HOME, "label", "namespace", NAMESPACE, "liqo.io/enabled=true")
        peers.apply_seed(*SIDES)
        peers.until(partial(peers.is_ready, HOME))
        shop.deploy(1)
        yield Soak(shop, random.Random(SEED), before, wanted=1)


def test_nothing_leaks_and_every_pod_is_accounted_for(soak: Soak) -> None:
    began = time.monotonic()
    soak.settle()
    watches = {side: steady_watches(soak.peers, side) for side in SIDES}
    while (minute := (time.monotonic() - began) / 60) < MINUTES or not soak.minutes:
        for _ in range(STEPS):
            soak.step(kills=minute < MINUTES / 3)
        soak.settle()
        if minute >= MINUTES * 2 / 3:
            soak.look((time.monotonic() - began) / 60, watches)
    print(json.dumps(soak.report(), indent=2))  # noqa: T201
    soak.end()
    for side, looks in soak.looks.items():
        first, last = looks[0], looks[-1]
        if MINUTES >= SLOPE_MINUTES:
            assert soak.slope(side) < SLOPE_MAX
        else:
            assert last.memory - first.memory < GROWTH_MAX
        assert last.tasks - first.tasks <= TASKS_MORE
        assert last.files - first.files <= FILES_MORE
