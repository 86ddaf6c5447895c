"""The one place that catches: what each end means for the key, the log and the metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any, Self

import pytest
import structlog
from prometheus_client import CollectorRegistry

from liqo.api.meta import Key
from liqo.errors import (
    Absent,
    Conflict,
    Fault,
    Forbidden,
    Invalid,
    Malformed,
    Overloaded,
    Unauthorized,
    Unreachable,
)
from liqo.runtime.loop import NET, VERIFY, Loop, Outcome, supervise
from liqo.runtime.metrics import Metrics
from liqo.runtime.queue import Queue
from manual_clock import FixedRandom, ManualClock, settle

A, B = Key("x", "a"), Key("x", "b")
SECOND = timedelta(seconds=1)
Reconcile = Callable[[Key], Awaitable[Outcome]]


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as captured:
        yield captured


class Bench:
    """A loop, its queue, and a clock turned by hand."""

    def __init__(self, reconcile: Reconcile, **options: Any) -> None:
        self.clock = ManualClock()
        self.queue = Queue(self.clock, FixedRandom(), **options.pop("queue", {}))
        self.metrics = Metrics(CollectorRegistry())
        self.loop = Loop(
            "test", reconcile, self.queue, clock=self.clock, metrics=self.metrics, kind="Thing", **options
        )

    def counted(self, outcome: str) -> float:
        labels = {"controller": "test", "outcome": outcome}
        return self.metrics.registry.get_sample_value("liqo_reconciles_total", labels) or 0

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.loop.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


def ending(*ends: Outcome | Exception) -> tuple[Reconcile, list[Key]]:
    """Return a reconcile that ends in these ways, one after another, and the keys it was given."""
    keys: list[Key] = []

    async def reconcile(key: Key) -> Outcome:
        keys.append(key)
        end = ends[min(len(keys), len(ends)) - 1]
        if isinstance(end, Exception):
            raise end
        return end

    return reconcile, keys


ENDS: dict[str, tuple[Outcome | Exception, str, str, float | None]] = {
    # how it ended: outcome, log level, seconds until the next try
    "done": (Outcome(), "done", "debug", None),
    "changed something": (Outcome(writes=2), "done", "info", VERIFY / SECOND),
    "changed something and has long to wait": (Outcome(writes=1, wake=NET), "done", "info", VERIFY / SECOND),
    "has an instant to wait for": (Outcome(wake=7 * SECOND, outcome="waiting"), "waiting", "debug", 7),
    "said no in a status": (
        Outcome(writes=1, outcome="refused", reason="Why"),
        "refused",
        "info",
        VERIFY / SECOND,
    ),
    "forbidden": (Forbidden("no"), "refused", "warning", 0.5),
    "not known": (Unauthorized("who are you"), "refused", "warning", 0.5),
    "refused": (Invalid("no"), "refused", "warning", NET / SECOND),
    "malformed": (Malformed("bytes"), "malformed", "warning", NET / SECOND),
    "unreachable": (Unreachable("down"), "retry", "warning", 0.5),
    "overloaded": (Overloaded("busy", retry_after=9 * SECOND), "retry", "warning", 9),
    "a conflict": (Conflict("moved on"), "retry", "warning", 0.05),
    "absent": (Absent("gone"), "retry", "warning", 0.5),
    "our bug": (KeyError("x"), "bug", "error", 0.5),
    "a timeout inside": (TimeoutError(), "bug", "error", 0.5),
}


@pytest.mark.parametrize("name", ENDS, ids=ENDS)
async def test_what_an_end_means(name: str, logs: list[Any]) -> None:
    end, outcome, level, again = ENDS[name]
    reconcile, keys = ending(end, Outcome())
    async with Bench(reconcile) as bench:
        bench.queue.add(A)
        await settle()
        assert keys == [A]
        assert bench.counted(outcome) == 1
        assert [(entry["event"], entry["log_level"], entry["outcome"]) for entry in logs] == [
            ("reconciled", level, outcome)
        ]
        await bench.clock.advance((again or 3600) * SECOND - timedelta(milliseconds=1))
        assert len(keys) == 1
        await bench.clock.advance(timedelta(milliseconds=1))
        assert len(keys) == (2 if again else 1)


async def test_who_is_forbidden_something_asks_ever_more_seldom(logs: list[Any]) -> None:
    reconcile, keys = ending(Forbidden("no"))
    async with Bench(reconcile) as bench:
        bench.queue.add(A)
        await bench.clock.advance(3600 * SECOND)
    waits = [entry["again_s"] for entry in logs]
    assert waits[:4] == [0.5, 1.0, 2.0, 4.0]
    assert waits[-1] == NET / SECOND
    assert len(keys) < 25


async def test_a_reconcile_ends_with_one_line_that_names_it(logs: list[Any]) -> None:
    reconcile, _ = ending(Unreachable("down"), Outcome(writes=1))
    async with Bench(reconcile) as bench:
        bench.queue.add(A)
        await bench.clock.advance(SECOND)
    first, second = logs
    assert first["controller"] == "test"
    assert (first["kind"], first["namespace"], first["name"]) == ("Thing", "x", "a")
    assert (first["reason"], first["fault"], first["attempt"]) == ("Unreachable", "down", 1)
    assert (second["attempt"], second["writes"]) == (2, 1)
    assert first["reconcile_id"] != second["reconcile_id"]


async def test_a_bug_is_logged_with_its_traceback(logs: list[Any]) -> None:
    bug = KeyError("x")
    reconcile, _ = ending(bug)
    async with Bench(reconcile) as bench:
        bench.queue.add(A)
        await settle()
    assert logs[0]["exc_info"] is bug


async def test_a_key_that_was_cut_short_is_taken_up_by_the_next_run() -> None:
    keys: list[Key] = []

    async def reconcile(key: Key) -> Outcome:
        keys.append(key)
        if len(keys) == 1:
            await asyncio.Event().wait()
        return Outcome()

    bench = Bench(reconcile)
    async with bench:
        bench.queue.add(A)
        await settle()
    async with bench:
        await settle()
    assert keys == [A, A]


async def test_one_bad_key_stops_no_other(logs: list[Any]) -> None:
    done: list[Key] = []

    async def reconcile(key: Key) -> Outcome:
        if key == A:
            raise ZeroDivisionError
        done.append(key)
        return Outcome()

    async with Bench(reconcile) as bench:
        bench.queue.add(A)
        bench.queue.add(B)
        await settle()
    assert done == [B]
    assert len(logs) == 2


async def test_a_slow_cluster_holds_up_no_other_and_no_key_has_two_workers() -> None:
    running: list[Key] = []
    most = 0
    gate = asyncio.Event()

    async def reconcile(key: Key) -> Outcome:
        nonlocal most
        assert key not in running
        running.append(key)
        most = max(most, len(running))
        if key.namespace == "slow":
            await gate.wait()
        running.remove(key)
        return Outcome()

    grouped = {"group": lambda key: key.namespace, "per_group": 2}
    async with Bench(reconcile, concurrency=4, queue=grouped) as bench:
        for i in range(6):
            bench.queue.add(Key("slow", str(i)))
            bench.queue.add(Key("slow", str(i)))
        await settle()
        assert len(running) == 2
        for i in range(6):
            bench.queue.add(Key("quick", str(i)))
        await settle()
        assert bench.counted("done") == 6
        gate.set()
        await settle()
        assert bench.counted("done") == 12
    assert most <= 4


async def test_faults_are_told_to_who_asked() -> None:
    told: list[tuple[Key, Fault]] = []
    fault = Forbidden("no")
    reconcile, _ = ending(fault)
    async with Bench(reconcile, on_fault=lambda key, f: told.append((key, f))) as bench:
        bench.queue.add(A)
        await settle()
    assert told == [(A, fault)]


async def test_a_reconcile_that_hangs_is_given_up(logs: list[Any]) -> None:
    async def reconcile(_key: Key) -> Outcome:
        await asyncio.Event().wait()
        return Outcome()

    async with Bench(reconcile, deadline=timedelta(0)) as bench:
        bench.queue.add(A)
        await settle()
    assert (logs[0]["outcome"], logs[0]["reason"]) == ("retry", "Timeout")


async def test_a_background_task_that_fails_or_ends_takes_the_others_with_it() -> None:
    stopped: list[str] = []

    async def lasting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append("lasting")

    async def failing() -> None:
        await settle(2)
        raise ZeroDivisionError

    async def ending_() -> None:
        await settle(2)

    with pytest.raises(ExceptionGroup) as caught:
        await supervise({"lasting": lasting(), "failing": failing()})
    assert caught.group_contains(ZeroDivisionError)
    with pytest.raises(ExceptionGroup, match="unhandled") as caught:
        await supervise({"lasting": lasting(), "ending": ending_()})
    assert caught.group_contains(RuntimeError, match="background task ending ended")
    assert stopped == ["lasting", "lasting"]
