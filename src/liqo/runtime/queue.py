"""Which key is due: one entry a key, back-off after failures, never two workers on one key.

`Backlog` is the pure core and takes `now`; `Queue` lets one loop wait on it.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from liqo.api.meta import Key
from liqo.runtime.backoff import backoff
from liqo.runtime.ports import Clock, Random

NOW = timedelta(0)
BASE = timedelta(milliseconds=500)
CAP = timedelta(seconds=60)
QUICK = timedelta(milliseconds=50)  # after a conflict: look again at once
QUICK_TRIES = 3  # conflicts in a row, then it is no accident
EAGER_TRIES = 5  # failures in a row, then news about the key wakes it no sooner than EAGER_GAP
EAGER_GAP = timedelta(seconds=1)


@dataclass(slots=True)
class Backlog:
    """The keys that wait, and those that are being worked on.

    - A key that waits has one instant; adding it again can only bring that forward.
    - A key that is worked on is not handed out; if it is added meanwhile, it waits until it is done.
    - At most `per_group` keys of a group are worked on at once; the others wait in line and hold up nobody.
    - Failures in a row are counted until `forget`. Once they are many, news cannot make a key that waits
      spin: an object that changes because we fail would wake us to fail again.

    Args:
        group: which group a key belongs to.
        per_group: the bound; 0 is none.
    """

    group: Callable[[Key], str] | None = None
    per_group: int = 0
    _due: dict[Key, datetime] = field(default_factory=dict)  # all that wait
    _heap: list[tuple[datetime, int, Key]] = field(default_factory=list)  # may hold outdated entries
    _order: int = 0  # first added, first out among equals
    _working: dict[Key, str] = field(default_factory=dict)  # to their group
    _busy: dict[str, int] = field(default_factory=dict)
    _parked: dict[str, deque[Key]] = field(default_factory=dict)  # due, but their group is full
    _failures: dict[Key, int] = field(default_factory=dict)
    _held: dict[Key, datetime] = field(default_factory=dict)  # failing: not before

    def __len__(self) -> int:
        return len(self._due)

    def working(self) -> int:
        """Return how many keys are being worked on."""
        return len(self._working)

    def failures(self, key: Key) -> int:
        """Return how often it failed in a row."""
        return self._failures.get(key, 0)

    def add(self, key: Key, now: datetime, after: timedelta = NOW) -> None:
        """Have a key handed out in `after`, or earlier if that was planned already."""
        at = now + max(after, NOW)
        if key in self._held:
            at = max(at, self._held[key])
        planned = self._due.get(key)
        if planned is not None and planned <= at:
            return
        self._due[key] = at
        if key not in self._working:
            self._push(key, at)

    def take(self, now: datetime) -> Key | None:
        """Hand out the key that is due longest, None if none is; it is worked on until `done`."""
        while self._heap and self._heap[0][0] <= now:
            at, _, key = heapq.heappop(self._heap)
            if self._due.get(key) != at or key in self._working:
                continue
            group = self.group(key) if self.group is not None else ""
            if self.per_group and self._busy.get(group, 0) >= self.per_group:
                self._parked.setdefault(group, deque()).append(key)
                continue
            del self._due[key]
            self._working[key] = group
            self._busy[group] = self._busy.get(group, 0) + 1
            return key
        return None

    def due(self) -> datetime | None:
        """Return when `take` next has something, None if only news or `done` can change that."""
        while self._heap:
            at, _, key = self._heap[0]
            if self._due.get(key) == at and key not in self._working:
                return at
            heapq.heappop(self._heap)
        return None

    def done(self, key: Key) -> None:
        """Take a key back from a worker."""
        group = self._working.pop(key)
        self._busy[group] -= 1
        if not self._busy[group]:
            del self._busy[group]
        if key in self._due:
            self._push(key, self._due[key])
        self._unpark()

    def forget(self, key: Key) -> None:
        """Start counting its failures anew."""
        self._failures.pop(key, None)
        self._held.pop(key, None)

    def fail(
        self,
        key: Key,
        now: datetime,
        random: Random,
        *,
        quick: bool = False,
        at_least: timedelta = NOW,
        cap: timedelta = CAP,
    ) -> timedelta:
        """Count a failure and have the key handed out again after a back-off; return how long that is.

        Args:
            key: that failed.
            now: the instant.
            random: for jitter.
            quick: look again at once, the first few times.
            at_least: what the server asked for.
            cap: the longest back-off.
        """
        failures = self._failures[key] = self.failures(key) + 1
        base = QUICK if quick and failures <= QUICK_TRIES else BASE
        wait = max(backoff(failures, random, base=base, cap=cap), at_least)
        if failures >= EAGER_TRIES:
            self._held[key] = now + min(wait, EAGER_GAP)
        news = self._due.pop(key, None)
        self.add(key, now, wait)
        if news is not None:
            self.add(key, now, news - now)
        return wait

    def retry(self, now: datetime) -> None:
        """Have all keys that failed handed out at once, and count anew: what they failed for may be over."""
        failed, self._failures = self._failures, {}
        self._held.clear()
        for key in failed:
            if key in self._due:
                self.add(key, now)

    def shift(self, by: timedelta) -> None:
        """Move all instants: the clock was set back or forth by that much."""
        self._due = {key: at + by for key, at in self._due.items()}
        self._held = {key: at + by for key, at in self._held.items()}
        self._heap = [(at + by, order, key) for at, order, key in self._heap]

    def _unpark(self) -> None:
        """Have as many that wait in line handed out as their groups have room for.

        All groups, not only that of a key which is done: one that was let go on may be of another group by then, since
        a group is what `group` says now, and nobody of the first one might be left to let the next one go on.
        """
        for group, parked in list(self._parked.items()):
            room = self.per_group - self._busy.get(group, 0)
            while parked and room > 0:
                waiting = parked.popleft()
                if waiting in self._due and waiting not in self._working:
                    self._push(waiting, self._due[waiting])
                    room -= 1
            if not parked:
                del self._parked[group]

    def _push(self, key: Key, at: datetime) -> None:
        self._order += 1
        heapq.heappush(self._heap, (at, self._order, key))


class Queue:
    """A Backlog that one loop can wait on, by a clock.

    Args:
        clock: whose time counts.
        random: for jitter.
        group: which group a key belongs to, say its foreign cluster.
        per_group: how many of a group are worked on at once; 0 is no bound.
    """

    def __init__(
        self, clock: Clock, random: Random, *, group: Callable[[Key], str] | None = None, per_group: int = 0
    ) -> None:
        self._clock = clock
        self._random = random
        self._backlog = Backlog(group, per_group)
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.Task[None] | None = None
        self._rings: datetime | None = None
        self._latest = clock.now()

    def __len__(self) -> int:
        return len(self._backlog)

    def add(self, key: Key, after: timedelta = NOW) -> None:
        """Have a key handed out in `after`, or earlier if that was planned already."""
        self._backlog.add(key, self._now(), after)
        self._wake()

    async def get(self) -> Key:
        """Return the next key when it is due; only one caller may wait."""
        while True:
            key = self._backlog.take(self._now())
            if key is not None:
                return key
            assert self._waiter is None, "only one may wait"
            self._set_timer(self._backlog.due())
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def done(self, key: Key) -> None:
        """Take a key back from a worker."""
        self._backlog.done(key)
        self._wake()

    def forget(self, key: Key) -> None:
        """Start counting its failures anew."""
        self._backlog.forget(key)

    def fail(
        self, key: Key, *, quick: bool = False, at_least: timedelta = NOW, cap: timedelta = CAP
    ) -> timedelta:
        """Have a key handed out again after a back-off; return how long that is."""
        wait = self._backlog.fail(key, self._now(), self._random, quick=quick, at_least=at_least, cap=cap)
        self._wake()
        return wait

    def retry(self) -> None:
        """Have all keys that failed handed out at once, and count anew: what they failed for may be over."""
        self._backlog.retry(self._now())
        self._wake()

    def failures(self, key: Key) -> int:
        """Return how often it failed in a row."""
        return self._backlog.failures(key)

    async def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            with suppress(asyncio.CancelledError):
                await self._timer
            self._timer = None

    def _now(self) -> datetime:
        """Return the instant; a clock that was set back must not make all keys wait for so long."""
        now = self._clock.now()
        if now < self._latest:
            self._backlog.shift(now - self._latest)
            self._rings = None
        self._latest = now
        return now

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _set_timer(self, at: datetime | None) -> None:
        """Have the waiter woken then; a timer that rings earlier does no harm and stays."""
        running = self._timer is not None and not self._timer.done()
        if at is None or (running and self._rings is not None and self._rings <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._rings = at
        self._timer = asyncio.create_task(self._ring(at - self._clock.now()))

    async def _ring(self, span: timedelta) -> None:
        await self._clock.sleep(span)
        self._wake()
