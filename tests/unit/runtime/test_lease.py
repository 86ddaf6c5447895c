"""Leader election: at most one leads, a dead one is followed, a clock that leaps steals nothing."""

import asyncio
from datetime import timedelta

import pytest

from liqo.api.meta import Key, Kind
from liqo.errors import Fault, Unreachable
from liqo.runtime.lease import DURATION, LEASE, RENEW_WITHIN, Election
from manual_clock import FixedRandom, ManualClock, settle
from memory_cluster import MemoryCluster

KEY = Key("liqo", "controller")
SECOND = timedelta(seconds=1)


class Replica:
    """One that takes part, and what it told."""

    def __init__(self, cluster: MemoryCluster, clock: ManualClock, name: str) -> None:
        self.working = False
        self.told: list[bool] = []
        self.election = Election(
            cluster, KEY, name, clock=clock, random=FixedRandom(), on_change=self.told.append
        )
        self.task = asyncio.create_task(self.election.run(self.work))

    async def work(self) -> None:
        self.working = True
        try:
            await asyncio.Event().wait()
        finally:
            self.working = False

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


def holder(cluster: MemoryCluster) -> str:
    found = cluster.seen(LEASE, KEY.name, KEY.namespace)
    return found["spec"]["holderIdentity"] if found else ""


async def test_the_first_leads_the_second_waits_and_follows_at_once_when_the_first_stops() -> None:
    cluster, clock = MemoryCluster(), ManualClock()
    first = Replica(cluster, clock, "a")
    await settle()
    second = Replica(cluster, clock, "b")
    await clock.advance(timedelta(minutes=5))
    assert (first.working, second.working) == (True, False)
    await first.stop()
    assert not first.working
    assert first.told == [True, False]
    assert holder(cluster) == ""
    await clock.advance(3 * SECOND)
    assert second.working
    assert cluster.seen(LEASE, KEY.name, KEY.namespace)["spec"]["leaseTransitions"] == 1  # type: ignore[index]
    await second.stop()


async def test_one_that_died_is_followed_when_its_lease_ran_out_and_not_before() -> None:
    cluster, clock = MemoryCluster(), ManualClock()
    dead = Replica(cluster, clock, "a")
    await settle()
    cluster.fail = lambda _verb, _kind: Unreachable("power cut")
    await dead.stop()  # it cannot give the lease back
    cluster.fail = lambda _verb, _kind: None
    assert holder(cluster) == "a"
    second = Replica(cluster, clock, "b")
    await clock.advance(DURATION - SECOND)
    assert not second.working
    await clock.advance(5 * SECOND)
    assert second.working
    await second.stop()


async def test_a_restarted_holder_takes_its_own_lease_back_at_once() -> None:
    cluster, clock = MemoryCluster(), ManualClock()
    dead = Replica(cluster, clock, "a")
    await settle()
    cluster.fail = lambda _verb, _kind: Unreachable("kill -9")
    await dead.stop()
    cluster.fail = lambda _verb, _kind: None
    again = Replica(cluster, clock, "a")
    await settle()
    assert again.working
    await again.stop()


async def test_a_leader_that_cannot_renew_stops_before_anybody_else_may_begin() -> None:
    cluster, clock = MemoryCluster(), ManualClock()
    first = Replica(cluster, clock, "a")
    await settle()
    down = [True]
    cluster.fail = lambda verb, _kind: Unreachable("cut off") if verb == "patch" and down[0] else None
    second = Replica(cluster, clock, "b")
    both = False
    for _ in range(40):
        await clock.advance(SECOND)
        both |= first.working and second.working
        if clock.now() >= ManualClock().at + RENEW_WITHIN + 2 * SECOND:
            assert not first.working
        if clock.now() > ManualClock().at + DURATION:
            down[0] = False
    assert not both
    assert first.working != second.working
    await first.stop()
    await second.stop()


async def test_a_request_that_hangs_does_not_keep_a_leader_beyond_its_deadline() -> None:
    cluster, clock = MemoryCluster(), ManualClock()
    first = Replica(cluster, clock, "a")
    await settle()

    async def hang(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    cluster_patch = MemoryCluster.patch
    MemoryCluster.patch = hang  # type: ignore[method-assign,assignment]
    try:
        await clock.advance(RENEW_WITHIN + SECOND)
        assert not first.working
    finally:
        MemoryCluster.patch = cluster_patch  # type: ignore[method-assign]
    await first.stop()


async def test_a_clock_that_leaps_forward_steals_nothing() -> None:
    cluster, clock = MemoryCluster(), ManualClock()
    first = Replica(cluster, clock, "a")
    await settle()
    other = ManualClock()
    second = Replica(cluster, other, "b")
    await other.advance(3 * SECOND)
    other.at += timedelta(days=365)
    await other.advance(7 * SECOND)
    assert not second.working
    await first.stop()
    await second.stop()


async def test_of_two_that_try_one_wins() -> None:
    cluster, clock = MemoryCluster(), ManualClock()
    replicas = [Replica(cluster, clock, name) for name in "abc"]
    for _ in range(20):
        await clock.advance(SECOND)
        assert sum(r.working for r in replicas) == 1
    for replica in replicas:
        await replica.stop()


async def test_what_the_work_raises_is_raised_and_the_lease_given_back() -> None:
    cluster, clock = MemoryCluster(), ManualClock()
    election = Election(cluster, KEY, "a", clock=clock, random=FixedRandom())

    async def fails() -> None:
        raise ZeroDivisionError

    async def ends() -> None:
        pass

    with pytest.raises(ZeroDivisionError):
        await election.run(fails)
    assert holder(cluster) == ""
    with pytest.raises(RuntimeError, match="ended"):
        await election.run(ends)


async def test_a_leader_asks_seldom() -> None:
    cluster, clock = MemoryCluster(), ManualClock()
    leader = Replica(cluster, clock, "a")
    await settle()
    cluster.calls.clear()
    await clock.advance(timedelta(minutes=1))
    assert [verb for verb, _, _ in cluster.calls] == ["patch"] * 15
    await leader.stop()


async def test_an_api_server_that_is_down_stops_nobody_from_trying_again() -> None:
    cluster, clock = MemoryCluster(), ManualClock()

    def down(_verb: str, _kind: Kind) -> Fault:
        return Unreachable("down")

    cluster.fail = down
    replica = Replica(cluster, clock, "a")
    await clock.advance(timedelta(minutes=1))
    assert 20 <= len(cluster.calls) <= 31
    cluster.fail = lambda _verb, _kind: None
    await clock.advance(3 * SECOND)
    assert replica.working
    await replica.stop()
