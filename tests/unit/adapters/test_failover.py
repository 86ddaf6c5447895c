"""One cluster behind several addresses, over clusters in memory that can be cut off."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from liqo.adapters.failover import BACK_AFTER, FailoverCluster
from liqo.api.kinds import CONFIG_MAP
from liqo.api.meta import Key
from liqo.errors import Absent, Forbidden, NotTrusted, Unreachable
from manual_clock import ManualClock
from memory_cluster import MemoryCluster
from wires import config_map

FIRST, SECOND, THIRD = "https://10.0.0.1", "https://10.0.0.2", "https://10.0.0.3"


class Street:
    """Houses with one cluster in them; some are not at home, some are strangers'."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.behind = MemoryCluster(now=self.clock.now)
        self.away: dict[str, Exception] = {}
        self.refused: set[str] = set()
        self.asked: list[str] = []
        self.open: list[str] = []
        self.moves: list[str] = []

    def connect(self, server: str) -> Any:
        if server in self.refused:
            raise NotTrusted("not an address that we connect to")
        self.open.append(server)
        return House(self, server)

    def cluster(self, *addresses: str) -> FailoverCluster:
        return FailoverCluster(lambda: addresses, self.connect, self.clock, self.moves.append)


class House:
    def __init__(self, street: Street, server: str) -> None:
        self.street, self.server = street, server

    def _enter(self) -> MemoryCluster:
        self.street.asked.append(self.server)
        if self.server in self.street.away:
            raise self.street.away[self.server]
        return self.street.behind

    async def get(self, *args: Any) -> Any:
        return await self._enter().get(*args)

    async def create(self, *args: Any) -> Any:
        return await self._enter().create(*args)

    async def fetch(self, _path: str, *, within: timedelta | None = None) -> Any:  # noqa: ARG002
        self._enter()
        return {}

    async def close(self) -> None:
        self.street.open.remove(self.server)


@pytest.fixture
def street() -> Street:
    return Street()


KEY = Key("default", "one")


async def test_the_first_that_answers_is_used_from_then_on(street: Street) -> None:
    await street.behind.create(CONFIG_MAP, config_map("one"))
    cluster = street.cluster(FIRST, SECOND, THIRD)
    street.away = {FIRST: Unreachable("dead"), SECOND: Unreachable("dead too")}
    await cluster.get(CONFIG_MAP, KEY)
    await cluster.get(CONFIG_MAP, KEY)
    assert street.asked == [FIRST, SECOND, THIRD, THIRD]
    assert (cluster.server, street.moves) == (THIRD, [THIRD])
    await cluster.close()
    assert street.open == []


async def test_an_address_with_somebody_else_behind_it_is_a_dead_one(street: Street) -> None:
    await street.behind.create(CONFIG_MAP, config_map("one"))
    street.away = {FIRST: NotTrusted("another CA")}
    cluster = street.cluster(FIRST, SECOND)
    await cluster.get(CONFIG_MAP, KEY)
    assert cluster.server == SECOND
    await cluster.close()


@pytest.mark.parametrize("said", [Absent("no such object"), Forbidden("no right")])
async def test_no_is_an_answer(street: Street, said: Exception) -> None:
    street.away = {FIRST: Unreachable("dead"), SECOND: said}
    cluster = street.cluster(FIRST, SECOND, THIRD)
    with pytest.raises(type(said)):
        await cluster.get(CONFIG_MAP, KEY)
    assert cluster.server == SECOND
    await cluster.close()


async def test_where_nobody_answers_the_first_stays_and_its_fault_is_told(street: Street) -> None:
    street.away = {FIRST: Unreachable("first"), SECOND: Unreachable("second")}
    cluster = street.cluster(FIRST, SECOND)
    with pytest.raises(Unreachable, match="first"):
        await cluster.get(CONFIG_MAP, KEY)
    assert cluster.server == FIRST
    assert street.open == [FIRST]
    await cluster.close()


async def test_an_address_that_we_may_not_use_is_passed_over(street: Street) -> None:
    await street.behind.create(CONFIG_MAP, config_map("one"))
    street.away, street.refused = {FIRST: Unreachable("dead")}, {SECOND}
    cluster = street.cluster(FIRST, SECOND, THIRD)
    await cluster.get(CONFIG_MAP, KEY)
    assert street.asked == [FIRST, THIRD]
    await cluster.close()


async def test_many_calls_at_once_move_once(street: Street) -> None:
    await street.behind.create(CONFIG_MAP, config_map("one"))
    street.away = {FIRST: Unreachable("dead")}
    cluster = street.cluster(FIRST, SECOND)
    await asyncio.gather(*(cluster.get(CONFIG_MAP, KEY) for _ in range(10)))
    assert street.moves == [SECOND]
    await asyncio.sleep(0)  # noqa: TID251  the old session closes beside the calls
    assert street.open == [SECOND]
    await cluster.close()


async def test_it_goes_back_when_the_first_is_there_again(street: Street) -> None:
    await street.behind.create(CONFIG_MAP, config_map("one"))
    street.away = {FIRST: Unreachable("dead")}
    cluster = street.cluster(FIRST, SECOND)
    await cluster.get(CONFIG_MAP, KEY)
    street.away = {}
    await street.clock.advance(BACK_AFTER - timedelta(seconds=1))
    await cluster.get(CONFIG_MAP, KEY)
    assert cluster.server == SECOND
    await street.clock.advance(timedelta(seconds=1))
    await cluster.get(CONFIG_MAP, KEY)
    await street.clock.advance(timedelta())
    assert cluster.server == FIRST
    await cluster.close()
    assert street.open == []
