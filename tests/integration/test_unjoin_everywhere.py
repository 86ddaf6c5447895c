"""Unjoin at every state that a peering can be in: over in 5 s when both live, in 30 s when the other is dead.

Time is turned by hand, so these are bounds on what is decided and not on how fast a machine is.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from liqo.api.kinds import CLUSTER_CONFIG, FOREIGN_CLUSTER
from liqo.api.meta import Key
from world import World

BOTH_LIVE = timedelta(seconds=5)
OTHER_DEAD = timedelta(seconds=30)
BACK = timedelta(minutes=3)  # a refusal is believed after a minute; so long is what nobody accepted kept here
FEW_SECONDS = timedelta(seconds=5)
MOST = 60  # writes of one side in a join; there are fewer, and the test says so


async def configure(world: World, side: str, section: str, **fields: Any) -> None:
    patch = {"spec": {section: fields}}
    await world.sides[side].api.patch(CLUSTER_CONFIG, Key("", "clusterconfig"), patch)


async def joined(world: World) -> None:
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)


async def waits_for_a_person_there(world: World) -> None:
    await configure(world, "milan", "peeringConfig", requestPolicy="Manual")
    await joined(world)


async def waits_for_a_person_here(world: World) -> None:
    await configure(world, "rome", "advertisementConfig", ingoing={"acceptPolicy": "Manual"})
    await joined(world)


async def refused_there(world: World) -> None:
    await configure(world, "milan", "peeringConfig", requestPolicy="Deny")
    await joined(world)


async def denied_later(world: World) -> None:
    await joined(world)
    await world.set_spec("milan", world.sides["rome"].id, incoming="Deny")
    await world.run(FEW_SECONDS)


async def refused_here(world: World) -> None:
    await configure(world, "rome", "advertisementConfig", ingoing={"maxAcceptableAdvertisement": 0})
    await joined(world)


async def not_called_back(world: World) -> None:
    world.dead.add(world.sides["rome"].server)
    await joined(world)
    world.dead.clear()


async def away_and_back(world: World) -> None:
    await joined(world)
    world.sides["milan"].down = True
    await world.run(timedelta(seconds=20))
    world.sides["milan"].down = False


async def ended_on_both_sides(world: World) -> None:
    world.longest_token = timedelta(minutes=2)
    await joined(world)
    for side in world.sides.values():
        await side.stop()
    await world.run(world.longest_token * 2, timedelta(minutes=1))
    for side in world.sides.values():
        await side.start()


STATES: dict[str, Callable[[World], Awaitable[None]]] = {
    state.__name__.replace("_", " "): state
    for state in (
        joined,
        waits_for_a_person_there,
        waits_for_a_person_here,
        refused_there,
        denied_later,
        refused_here,
        not_called_back,
        away_and_back,
        ended_on_both_sides,
    )
}


async def at_write(world: World, victim: str, point: int) -> bool:
    """Join, and stop when a side has made so many writes; return whether it makes that many."""
    side = world.sides[victim]
    side.wire.at, side.wire.after, side.wire.writes = point, True, 0
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    stopped, side.wire.at = side.wire.dead, 0
    if stopped:
        await side.stop()
        await side.start()
    return stopped


async def leave(world: World) -> None:
    """Unjoin while both live, and see that nothing is left in time."""
    await world.set_spec("rome", "foreign-cluster", join=False)
    await world.run(BOTH_LIVE)
    assert world.leftovers() == {}
    assert released(world)


async def leave_the_dead(world: World) -> None:
    """Unjoin while milan is dead, and see that nothing is left here in time, and there once it is back."""
    milan = world.sides["milan"]
    await configure(world, "milan", "peeringConfig", forgetAfter=60)
    await milan.stop()
    milan.down = True
    await world.set_spec("rome", "foreign-cluster", join=False)
    await world.run(OTHER_DEAD)
    assert not [name for name in world.leftovers() if name.startswith("rome/")]
    assert released(world)
    milan.down = False
    await milan.start()
    await world.run(BACK, timedelta(seconds=1))
    assert world.leftovers() == {}


def released(world: World) -> bool:
    found = world.sides["rome"].foreign("foreign-cluster")
    assert found is not None
    outgoing = found.get("status", {}).get("outgoing") or {}
    return not found["metadata"].get("finalizers") and not outgoing.get("phase")


@pytest.mark.parametrize("end", [leave, leave_the_dead])
@pytest.mark.parametrize("state", STATES)
async def test_unjoin_in_a_state(state: str, end: Callable[[World], Awaitable[None]]) -> None:
    world = World()
    await world.begin()
    try:
        await STATES[state](world)
        await end(world)
    finally:
        await world.end()


@pytest.mark.parametrize("end", [leave, leave_the_dead])
@pytest.mark.parametrize("victim", ["rome", "milan"])
async def test_unjoin_after_each_write_of_a_join(
    victim: str, end: Callable[[World], Awaitable[None]]
) -> None:
    points = 0
    for point in range(1, MOST):
        world = World()
        await world.begin()
        try:
            if not await at_write(world, victim, point):
                break
            points = point
            await end(world)
        except AssertionError as exc:
            raise AssertionError(f"after write {point} of {victim}: {exc}") from exc
        finally:
            await world.end()
    assert 3 < points < MOST - 1


async def test_unjoin_where_both_have_joined_each_other_leaves_the_other_way() -> None:
    world = World()
    await world.begin()
    try:
        await both_ways(world)
    finally:
        await world.end()


async def both_ways(world: World) -> None:
    await joined(world)
    await world.join("milan", "rome", "back")
    await world.run(FEW_SECONDS)
    await world.set_spec("rome", "foreign-cluster", join=False)
    await world.run(BOTH_LIVE)
    assert world.sides["rome"].virtual_nodes() == []
    assert len(world.sides["milan"].virtual_nodes()) == 1
    await world.set_spec("milan", "back", join=False)
    await world.run(BOTH_LIVE)
    assert world.leftovers() == {}


async def test_a_foreign_cluster_that_is_deleted_is_unjoined_in_time() -> None:
    world = World()
    await world.begin()
    try:
        await joined(world)
        await world.sides["rome"].api.delete(FOREIGN_CLUSTER, Key("", "foreign-cluster"))
        await world.run(BOTH_LIVE)
        assert world.leftovers() == {}
        assert world.sides["rome"].foreign("foreign-cluster") is None
    finally:
        await world.end()
