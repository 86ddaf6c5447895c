"""Somebody welcome asks often enough, for a moment, where a flood fills the line of strangers."""

import asyncio
from datetime import timedelta

import pytest

from liqo.adapters.contact import FULL, KNOCKING, PAUSE_SECONDS, knock
from liqo.errors import Overloaded
from manual_clock import START, FixedRandom, ManualClock


class Line:
    """A server that turns away so many, and asks them to wait."""

    def __init__(self, turned_away: int, wait: timedelta | None = FULL) -> None:
        self.left, self.wait, self.clock, self.asked = turned_away, wait, ManualClock(), 0

    async def send(self) -> str:
        self.asked += 1
        if self.asked > self.left:
            return "taken"
        raise Overloaded("too many requests", retry_after=self.wait)

    async def knock(self) -> str:
        knocking = asyncio.ensure_future(knock(self.send, self.clock, FixedRandom()))
        await self.clock.advance(KNOCKING * 2)
        return await knocking


@pytest.mark.parametrize("wait", [FULL, None])
async def test_who_is_turned_away_asks_again_at_once(wait: timedelta | None) -> None:
    line = Line(3, wait)
    assert await line.knock() == "taken"
    assert line.clock.slept == [timedelta(seconds=PAUSE_SECONDS[1])] * 3


async def test_he_does_so_for_a_few_seconds_only() -> None:
    line = Line(1_000)
    with pytest.raises(Overloaded):
        await line.knock()
    assert line.asked <= KNOCKING / timedelta(seconds=PAUSE_SECONDS[1]) + 2


async def test_a_server_that_asks_for_longer_is_left_alone() -> None:
    line = Line(1, FULL * 2)
    with pytest.raises(Overloaded):
        await line.knock()
    assert (line.asked, line.clock.now()) == (1, START + KNOCKING * 2)
