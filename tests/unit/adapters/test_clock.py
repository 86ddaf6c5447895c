"""The system's clock and the one of tests keep the same contract."""

from datetime import UTC, timedelta

import pytest

from liqo.adapters.clock import SystemClock, SystemRandom
from liqo.runtime.ports import Clock, Random
from manual_clock import FixedRandom, ManualClock


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()], ids=["system", "manual"])
async def test_now_is_aware_and_does_not_go_back_and_a_negative_sleep_is_none(clock: Clock) -> None:
    first = clock.now()
    await clock.sleep(timedelta(seconds=-5))
    assert first.tzinfo is UTC
    assert first <= clock.now()


@pytest.mark.parametrize("random", [SystemRandom(), FixedRandom()], ids=["system", "fixed"])
def test_chance_stays_in_its_range(random: Random) -> None:
    assert all(1.0 <= random.uniform(1.0, 2.0) <= 2.0 for _ in range(100))


def test_a_skew_is_added() -> None:
    assert SystemClock(timedelta(hours=1)).now() - SystemClock().now() > timedelta(minutes=59)
