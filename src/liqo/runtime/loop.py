"""Runs reconciles: key → reconcile → queue; the only place that catches, counts and names one.

What an end means for the key:

    Outcome             forgotten; looked at again after `wake`, or when something changes; after writes, also
                        within VERIFY: what came and went while a watch was broken, nobody would tell
    Stale               again at once (milliseconds), with back-off if that repeats
    Unavailable, Absent back-off, at least what the server asked for
    Forbidden           back-off up to NET: a server that has just started says so before it knows our rights
    Unauthorized        the same
    Refused             not again until something changes; NET is the net below that
    Malformed           counted; the same net
    anything else       our bug: traceback, counted, back-off

One bad key never stops another, and one slow foreign cluster only fills its own group (queue.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple, NoReturn
from uuid import uuid4

import structlog

from liqo.api.meta import Key
from liqo.errors import Fault, Forbidden, Malformed, Refused, Stale, Unauthorized, Unavailable, Unreachable
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Clock
from liqo.runtime.queue import CAP, NOW, Queue

NET: Final = timedelta(minutes=5)  # a refused key is looked at again even if nothing seems to change
VERIFY: Final = timedelta(seconds=10)
CONCURRENCY: Final = 8
DEADLINE: Final = timedelta(
    minutes=2
)  # a reconcile that takes longer is given up, so that its worker is free


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a reconcile ended that did not fail.

    Args:
        wake: when to look again unasked; None: only when something changes, or to verify what was written.
        writes: how many it made.
        outcome: "done", "waiting" for somebody else, or "refused" and said so in a status.
        reason: what it waits for or was refused for.
    """

    wake: timedelta | None = None
    writes: int = 0
    outcome: str = "done"
    reason: str = ""


Reconcile = Callable[[Key], Awaitable[Outcome]]


class _End(NamedTuple):
    """How a reconcile ended, for log and metrics."""

    outcome: str
    level: str
    writes: int = 0
    reason: str = ""
    fields: Mapping[str, object] = {}


class Loop:
    """Reconciles the keys of a queue, several at a time.

    Args:
        name: of the controller, in logs and metrics.
        reconcile: brings one key a step closer; level-triggered and idempotent.
        queue: where the keys come from.
        clock: how long things take.
        metrics: where they are counted.
        concurrency: how many keys at once.
        kind: of the objects the keys name, for logs.
        deadline: of one reconcile.
        on_fault: told of each fault, say to write an event; must not raise.
    """

    def __init__(
        self,
        name: str,
        reconcile: Reconcile,
        queue: Queue,
        *,
        clock: Clock,
        metrics: Metrics,
        concurrency: int = CONCURRENCY,
        kind: str = "",
        deadline: timedelta = DEADLINE,
        on_fault: Callable[[Key, Fault], None] | None = None,
    ) -> None:
        self.name = name
        self.queue = queue
        self._reconcile = reconcile
        self._clock = clock
        self._slots = asyncio.Semaphore(concurrency)
        self._bound = {"controller": name, **({"kind": kind} if kind else {})}
        self._deadline = deadline
        self._on_fault = on_fault
        self._log = structlog.get_logger("liqo.loop")
        self._metrics = metrics
        self._seconds = metrics.reconcile_seconds.labels(name)
        self._writes = metrics.writes.labels(name)
        self._depth = metrics.queue_depth.labels(name)

    async def run(self) -> NoReturn:
        """Reconcile until cancelled."""
        try:
            async with asyncio.TaskGroup() as workers:
                while True:
                    await self._slots.acquire()
                    try:
                        key = await self.queue.get()
                    except BaseException:
                        self._slots.release()
                        raise
                    workers.create_task(self._work(key))
        finally:
            await self.queue.close()
        raise AssertionError("unreachable")

    async def _work(self, key: Key) -> None:
        try:
            await self.once(key)
        except asyncio.CancelledError:
            self.queue.add(key)  # for whoever runs the loop again, when the lead is lost and won
            raise
        finally:
            self.queue.done(key)
            self._slots.release()
            self._depth.set(len(self.queue))

    async def once(self, key: Key) -> None:
        """Reconcile one key and see to what follows from how that ended."""
        attempt = self.queue.failures(key) + 1
        with structlog.contextvars.bound_contextvars(
            **self._bound,
            namespace=key.namespace,
            name=key.name,
            reconcile_id=uuid4().hex[:8],
            attempt=attempt,
        ):
            began = self._clock.now()
            end = await self._end(key)
            took = self._clock.now() - began
            self._metrics.reconciles.labels(self.name, end.outcome).inc()
            self._seconds.observe(took.total_seconds())
            self._writes.inc(end.writes)
            log = getattr(self._log, end.level)
            log(
                "reconciled",
                outcome=end.outcome,
                writes=end.writes,
                took_ms=round(took / timedelta(milliseconds=1), 1),
                **({"reason": end.reason} if end.reason else {}),
                **end.fields,
            )

    async def _end(self, key: Key) -> _End:
        """Reconcile a key, and tell the queue what comes next."""
        try:
            async with asyncio.timeout(self._deadline.total_seconds()) as limit:
                done = await self._reconcile(key)
        except Fault as fault:
            return self._faulted(key, fault)
        except TimeoutError as exc:
            if not limit.expired():
                return self._bug(key, exc)
            return self._faulted(key, Unreachable("a reconcile took too long", reason="Timeout"))
        except Exception as exc:  # noqa: BLE001  the one place that catches our bugs
            return self._bug(key, exc)
        self.queue.forget(key)
        for wake in (done.wake, VERIFY if done.writes else None):
            if wake is not None:
                self.queue.add(key, wake)
        return _End(done.outcome, "info" if done.writes else "debug", done.writes, done.reason)

    def _faulted(self, key: Key, fault: Fault) -> _End:
        if self._on_fault is not None:
            self._on_fault(key, fault)
        outcome, asked, cap = "retry", NOW, CAP
        match fault:
            case Forbidden() | Unauthorized():
                outcome, cap = "refused", NET
            case Refused():
                outcome, asked = "refused", NET
            case Malformed():
                outcome, asked = "malformed", NET
                self._metrics.malformed.labels(self.name).inc()
            case Unavailable(retry_after=timedelta() as after):
                asked = min(after, NET)
            case _:
                pass
        wait = self.queue.fail(key, quick=isinstance(fault, Stale), at_least=asked, cap=cap)
        fields = {"fault": fault.message, "again_s": round(wait.total_seconds(), 1)}
        return _End(outcome, "warning", reason=fault.reason, fields=fields)

    def _bug(self, key: Key, exc: Exception) -> _End:
        wait = self.queue.fail(key)
        fields = {"exc_info": exc, "again_s": round(wait.total_seconds(), 1)}
        return _End("bug", "error", reason=type(exc).__name__, fields=fields)


async def supervise(tasks: Mapping[str, Coroutine[Any, Any, object]]) -> NoReturn:
    """Run background tasks that never end until cancelled.

    Raises:
        ExceptionGroup: one of them failed or returned; the others are cancelled. Nothing vanishes silently.
    """
    async with asyncio.TaskGroup() as group:
        for name, task in tasks.items():
            group.create_task(_forever(name, task), name=name)
    raise AssertionError("unreachable")


async def _forever(name: str, task: Coroutine[Any, Any, object]) -> NoReturn:
    await task
    raise RuntimeError(f"background task {name} ended")
