"""Home's controller killed before and after each write for a pod that runs abroad: none runs twice, none is lost."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from liqo.api.kinds import CONFIG_MAP, POD, SECRET
from liqo.api.meta import Key
from world import Killed, World
from world_pods import SHOP, WEB, Offloading

SETTLED = timedelta(seconds=6)
RECOVERED = timedelta(minutes=2)
MOST = 20  # writes of one act; there are fewer, and the test says so
CONTENT = Key(SHOP, "content")
REFERS: dict[str, Any] = {
    "volumes": [
        {"name": "config", "configMap": {"name": CONTENT.name}},
        {"name": "secret", "secret": {"secretName": CONTENT.name}},
    ]
}
Act = Callable[[Offloading], Awaitable[None]]


async def make(offloading: Offloading) -> None:
    meta = {"namespace": SHOP, "name": CONTENT.name}
    api = offloading.rome.api
    await api.create(CONFIG_MAP, {"metadata": meta, "data": {"color": "red"}})
    await api.create(SECRET, {"metadata": meta, "data": {"word": "c2VzYW1l"}, "type": "Opaque"})
    await offloading.bind(**REFERS)


async def is_made(offloading: Offloading) -> None:
    assert offloading.runs_once()
    assert copies(offloading) == [{"color": "red"}, {"word": "c2VzYW1l"}]


async def change(offloading: Offloading) -> None:
    await offloading.rome.api.patch(CONFIG_MAP, CONTENT, {"data": {"color": "blue"}})
    await offloading.rome.api.patch(POD, WEB, {"metadata": {"labels": {"tier": "front"}}})


async def is_changed(offloading: Offloading) -> None:
    assert offloading.runs_once()
    assert copies(offloading) == [{"color": "blue"}, {"word": "c2VzYW1l"}]
    (remote,) = offloading.abroad()
    assert remote["metadata"]["labels"] == {"tier": "front"}


async def delete(offloading: Offloading) -> None:
    await offloading.rome.api.delete(POD, WEB)


async def is_deleted(offloading: Offloading) -> None:
    assert offloading.at_home() is None
    assert offloading.abroad() == []
    assert copies(offloading) == []


async def replace(offloading: Offloading) -> None:
    """Put another pod of that name in its place, as a StatefulSet does."""
    await offloading.rome.api.delete(POD, WEB, grace=0)
    await offloading.bind(**REFERS)


async def take_away(offloading: Offloading) -> None:
    (remote,) = offloading.abroad()
    await offloading.milan.api.delete(POD, Key.of(remote), grace=0)


async def is_taken_away(offloading: Offloading) -> None:
    home = offloading.at_home()
    assert home is not None
    assert (home["status"]["phase"], home["status"]["reason"]) == ("Failed", "TakenAway")
    assert offloading.abroad() == []


ACTS: dict[str, tuple[Act | None, Act, Act]] = {
    # what comes before, what happens, and what holds in the end
    "made": (None, make, is_made),
    "changed": (make, change, is_changed),
    "deleted": (make, delete, is_deleted),
    "replaced": (make, replace, is_made),
    "taken away": (make, take_away, is_taken_away),
}


def copies(offloading: Offloading) -> list[object]:
    """Return what pods refer to, as it is in milan."""
    found = [offloading.milan.api.objects(kind) for kind in (CONFIG_MAP, SECRET)]
    return [o["data"] for objects in found for o in objects if o["metadata"]["name"] == CONTENT.name]


async def killed_at(act: str, point: int, *, after: bool) -> bool:
    """Run an act with one kill; return whether there was such a point."""
    before, happens, holds = ACTS[act]
    world = World()
    await world.begin()
    try:
        offloading = Offloading(world)
        await offloading.begin()
        if before is not None:
            await before(offloading)
            await offloading.run(SETTLED)
        rome = offloading.rome
        rome.wire.at, rome.wire.after, rome.wire.writes = point, after, 0
        await happens(offloading)
        await offloading.run(SETTLED)
        killed = rome.wire.dead
        if killed:
            rome.wire.at = 0
            await rome.stop()
            await rome.start()
            await offloading.run(RECOVERED, timedelta(seconds=5))
        await holds(offloading)
        return killed
    finally:
        await world.end()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("act", ACTS)
async def test_killed_at_each_write_for_a_pod(act: str, *, after: bool) -> None:
    points = 0
    for point in range(1, MOST):
        try:
            met = await killed_at(act, point, after=after)
        except (AssertionError, Killed) as exc:
            raise AssertionError(f"killed {'after' if after else 'before'} write {point}: {exc}") from exc
        if not met:
            break
        points = point
    assert 0 < points < MOST - 1
