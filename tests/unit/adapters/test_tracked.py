"""What is told of calls to another cluster, and how those end that it is not heard of any more."""

import asyncio
from typing import Any

import pytest

from liqo.adapters.tracked import TrackedCluster
from liqo.api.kinds import POD
from liqo.api.meta import Key, Kind, Wire
from liqo.errors import Fault, Unreachable

WEB = Key("shop", "web")
CALLS = 3


class Silent:
    """A cluster that answers when it is told to; a connection that is given up may fail by itself, or not."""

    def __init__(self, *, fails: bool) -> None:
        self.fails, self.asked = fails, asyncio.Semaphore(0)
        self.answer: asyncio.Future[Wire] = asyncio.get_running_loop().create_future()

    async def get(self, _kind: Kind, _key: Key) -> Wire:
        self.asked.release()
        return await asyncio.shield(self.answer)

    async def give_up(self) -> None:
        if self.fails:
            self.answer.set_exception(Unreachable("it closed the connection"))
            self.answer = asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("fails", [True, False])
async def test_what_is_given_up_ends_and_is_no_news_of_the_cluster(*, fails: bool) -> None:
    noted: list[Fault | None] = []
    inner: Any = Silent(fails=fails)
    cluster = TrackedCluster(inner, noted.append, lambda: None)
    calls = [asyncio.create_task(cluster.get(POD, WEB)) for _ in range(CALLS)]
    for _ in calls:
        await inner.asked.acquire()
    await cluster.give_up()
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(end) for end in ends] == [Unreachable] * CALLS
    assert noted == []
    inner.answer.set_result({})
    assert await cluster.get(POD, WEB) == {}
    assert noted == [None]
