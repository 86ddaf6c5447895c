"""The only place that reads a clock, sleeps or throws dice."""

import asyncio
import random
from datetime import UTC, datetime, timedelta


class SystemClock:
    """The machine's time, implements `runtime.ports.Clock`.

    Args:
        skew: added to it; only a test of clocks that differ has one.
    """

    def __init__(self, skew: timedelta = timedelta(0)) -> None:
        self._skew = skew

    def now(self) -> datetime:
        """Return the instant, aware, in UTC."""
        return datetime.now(UTC) + self._skew  # noqa: TID251  this is the one place

    async def sleep(self, span: timedelta) -> None:
        """Wait; a negative span is none."""
        await asyncio.sleep(max(0.0, span.total_seconds()))  # noqa: TID251  this is the one place


class SystemRandom:
    """Chance for jitter, implements `runtime.ports.Random`; nothing secret may come of it."""

    def uniform(self, low: float, high: float) -> float:
        """Return a number in [low, high]."""
        return random.uniform(low, high)  # noqa: S311  jitter
