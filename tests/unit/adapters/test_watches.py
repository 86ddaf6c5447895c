"""What all watches of one cluster may hold together."""

from collections.abc import AsyncIterator

import pytest

from liqo.adapters.watches import Watches
from liqo.api.kinds import CONFIG_MAP, SERVICE
from liqo.api.meta import Key, Kind
from liqo.runtime.ports import Selection
from manual_clock import FixedRandom, ManualClock, settle
from memory_cluster import MemoryCluster

MAPS, SERVICES = Selection(CONFIG_MAP, namespace="x"), Selection(SERVICE, namespace="x")
MOST = 5


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster()


@pytest.fixture
async def watches(cluster: MemoryCluster) -> AsyncIterator[Watches]:
    made = Watches(
        cluster, lambda *_: None, clock=ManualClock(), random=FixedRandom(), most=MOST, name="milan"
    )
    yield made
    await made.close()


async def fill(cluster: MemoryCluster, kind: Kind, names: range) -> None:
    for number in names:
        await cluster.create(kind, {"metadata": {"namespace": "x", "name": f"{kind.plural}-{number}"}})


async def test_a_list_beyond_what_is_left_is_not_taken(cluster: MemoryCluster, watches: Watches) -> None:
    await fill(cluster, CONFIG_MAP, range(MOST))
    await fill(cluster, SERVICE, range(1))
    watches.view(MAPS)
    await settle()
    assert watches.view(SERVICES) is None
    await settle()
    assert watches.view(SERVICES) is None
    assert len(watches.view(MAPS) or ()) == MOST
    watches.end(MAPS)
    watches.end(SERVICES)
    watches.view(SERVICES)
    await settle()
    assert list(watches.view(SERVICES) or ()) == [Key("x", "services-0")]


async def test_what_comes_later_ends_at_the_bound(cluster: MemoryCluster, watches: Watches) -> None:
    for selection in (MAPS, SERVICES):
        watches.view(selection)
    await settle()
    await fill(cluster, SERVICE, range(2))
    await fill(cluster, CONFIG_MAP, range(10))
    await settle()
    held = sum(len(watches.view(s) or ()) for s in (MAPS, SERVICES))
    assert MOST <= held <= MOST + 2  # the one that was too many ended each watch
