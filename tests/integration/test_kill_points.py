"""A controller killed before and after each write of a join and of an unjoin, on either side: it converges."""

from datetime import timedelta

import pytest

from liqo.api.kinds import (
    ADVERTISEMENT,
    FEDERATION_REQUEST,
    FOREIGN_CLUSTER,
    NAMESPACE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
)
from liqo.api.meta import Key
from world import Killed, World

STEP = timedelta(milliseconds=500)
SETTLED = timedelta(seconds=6)
MOST = 60  # writes of one side in one join or unjoin; there are fewer, and the test says so


def left(world: World) -> list[str]:
    kinds = (ADVERTISEMENT, FEDERATION_REQUEST, NAMESPACE, ROLE_BINDING, SERVICE_ACCOUNT)
    found = [
        f"{name}/{kind.plural}/{obj['metadata']['name']}"
        for name, side in world.sides.items()
        for kind in kinds
        for obj in side.api.objects(kind)
    ]
    return found + [f"{name}/nodes" for name, side in world.sides.items() if side.virtual_nodes()]


async def recover(world: World, victim: str) -> bool:
    """Let time pass; start the victim again if it was killed meanwhile, and return whether it was."""
    side = world.sides[victim]
    await world.run(SETTLED, STEP)
    killed = side.wire.dead
    if killed:
        side.wire.at = 0
        await side.stop()
        await side.start()
        await world.run(timedelta(minutes=2), timedelta(seconds=5))
    return killed


async def killed_at(victim: str, point: int, *, after: bool, leaving: bool) -> bool:
    """Run a join and an unjoin with one kill; return whether there was such a point."""
    world = World()
    await world.begin()
    try:
        rome, wire = world.sides["rome"], world.sides[victim].wire
        if not leaving:
            wire.at, wire.after, wire.writes = point, after, 0
        await world.join("rome", "milan")
        met = await recover(world, victim)
        assert len(rome.virtual_nodes()) == 1
        assert rome.condition("foreign-cluster", "NodeReady") == ("True", "Ready")
        assert len(rome.api.objects(ADVERTISEMENT)) == 1
        assert len(world.sides["milan"].api.objects(FEDERATION_REQUEST)) == 1
        assert len(world.sides["milan"].api.objects(FOREIGN_CLUSTER)) == 1
        if leaving:
            wire.at, wire.after, wire.writes = point, after, 0
        await rome.api.patch(FOREIGN_CLUSTER, Key("", "foreign-cluster"), {"spec": {"join": False}})
        met = await recover(world, victim) or met
        assert left(world) == []
        assert world.sides["milan"].api.objects(FOREIGN_CLUSTER) == []
        return met
    finally:
        await world.end()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("leaving", [False, True], ids=["joining", "leaving"])
@pytest.mark.parametrize("victim", ["rome", "milan"])
async def test_killed_at_each_write(victim: str, *, leaving: bool, after: bool) -> None:
    points = 0
    for point in range(1, MOST):
        try:
            met = await killed_at(victim, point, after=after, leaving=leaving)
        except (AssertionError, Killed) as exc:
            raise AssertionError(f"killed {'after' if after else 'before'} write {point}: {exc}") from exc
        if not met:
            break
        points = point
    assert 3 < points < MOST - 1
