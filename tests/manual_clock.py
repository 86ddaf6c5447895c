"""Time and chance that a test turns by hand."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)
TURNS = 50  # of the event loop, enough for what is ready to run to come to rest


async def settle(turns: int = TURNS) -> None:
    """Let everything run that is ready to."""
    for _ in range(turns):
        await asyncio.sleep(0)  # noqa: TID251


@dataclass(slots=True)
class ManualClock:
    """Implements `runtime.ports.Clock`; time passes only by `advance`."""

    at: datetime = START
    slept: list[timedelta] = field(default_factory=list)  # what was asked for, in order
    _sleepers: list[tuple[datetime, asyncio.Future[None]]] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at

    async def sleep(self, span: timedelta) -> None:
        self.slept.append(span)
        if span <= timedelta(0):
            await asyncio.sleep(0)  # noqa: TID251
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.at + span, woken))
        await woken

    async def advance(self, span: timedelta) -> None:
        """Let time pass: wake each sleeper at its instant, in order."""
        end = self.at + span
        await settle()
        while True:
            self._sleepers = [(at, f) for at, f in self._sleepers if not f.done()]
            due = min(self._sleepers, key=lambda s: s[0], default=None)
            if due is None or due[0] > end:
                break
            self.at = max(self.at, due[0])
            due[1].set_result(None)
            await settle()
        self.at = end


@dataclass(slots=True)
class FixedRandom:
    """Implements `runtime.ports.Random`: always that share of the range."""

    share: float = 1.0

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.share
