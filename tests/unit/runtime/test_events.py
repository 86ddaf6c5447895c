"""Events are counted, not repeated; floods are cut; nothing fails who tells."""

import asyncio
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from liqo.api.kinds import EVENT, FOREIGN_CLUSTER, POD
from liqo.api.meta import Wire
from liqo.errors import Absent, Forbidden
from liqo.runtime.events import MAX_WAITING, SAME_WITHIN, EventWriter
from liqo.runtime.metrics import Metrics
from manual_clock import ManualClock
from memory_cluster import MemoryCluster

SECOND = timedelta(seconds=1)
POD_A: Wire = {"metadata": {"name": "a", "namespace": "x", "uid": "u1", "resourceVersion": "7"}}
PEER: Wire = {"metadata": {"name": "peer", "uid": "u2"}}


class Bench:
    def __init__(self) -> None:
        self.cluster, self.clock = MemoryCluster(), ManualClock()
        self.metrics = Metrics(CollectorRegistry())
        self.writer = EventWriter(
            self.cluster, clock=self.clock, metrics=self.metrics, component="liqo-test", namespace="liqo"
        )

    async def written(self, *, span: timedelta = 5 * SECOND) -> list[Wire]:
        running = asyncio.create_task(self.writer.run())
        await self.clock.advance(span)
        running.cancel()
        await asyncio.wait({running})
        return self.cluster.objects(EVENT)

    def emit(self, about: Wire = POD_A, kind: Any = POD, reason: str = "Why", message: str = "So.") -> None:
        self.writer.emit(about, kind, reason=reason, message=message)

    def dropped(self, reason: str) -> float:
        labels = {"reason": reason}
        return self.metrics.registry.get_sample_value("liqo_events_dropped_total", labels) or 0


async def test_an_event_stands_beside_its_object() -> None:
    bench = Bench()
    bench.writer.emit(POD_A, POD, reason="Why", message="So.", warning=True)
    (event,) = await bench.written()
    assert event["metadata"]["namespace"] == "x"
    assert event["metadata"]["name"].startswith("a.")
    assert event["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": "x",
        "name": "a",
        "uid": "u1",
        "resourceVersion": "7",
    }
    assert (event["reason"], event["message"], event["type"], event["count"]) == ("Why", "So.", "Warning", 1)
    assert event["reportingComponent"] == "liqo-test"


async def test_one_about_a_cluster_scoped_object_stands_in_our_namespace_and_says_so_in_its_reference() -> (
    None
):
    bench = Bench()
    bench.emit(PEER, FOREIGN_CLUSTER)
    (event,) = await bench.written()
    assert event["metadata"]["namespace"] == event["involvedObject"]["namespace"] == "liqo"


async def test_equal_ones_are_counted_and_others_are_not() -> None:
    bench = Bench()
    for _ in range(3):
        bench.emit()
    bench.emit(reason="Other")
    bench.emit(PEER, FOREIGN_CLUSTER)
    assert sorted(e["count"] for e in await bench.written()) == [1, 1, 3]
    assert bench.cluster.writes() == 3
    bench.emit()
    assert sorted(e["count"] for e in await bench.written()) == [1, 1, 4]
    assert bench.cluster.writes() == 4


async def test_after_a_while_an_equal_one_is_a_new_event() -> None:
    bench = Bench()
    bench.emit()
    await bench.written()
    bench.clock.at += SAME_WITHIN
    bench.emit()
    assert [e["count"] for e in await bench.written()] == [1, 1]


async def test_one_that_the_api_server_has_forgotten_is_written_anew() -> None:
    bench = Bench()
    bench.emit()
    await bench.written()
    bench.cluster._objects.clear()
    bench.emit()
    assert [e["count"] for e in await bench.written()] == [2]


async def test_a_flood_is_bounded_in_memory_and_in_pace() -> None:
    bench = Bench()
    for i in range(MAX_WAITING + 100):
        bench.emit(message=str(i))
    assert bench.dropped("Full") == 100
    assert len(await bench.written(span=10 * SECOND)) <= 101


async def test_an_api_server_that_says_no_harms_nobody() -> None:
    bench = Bench()
    bench.cluster.fail = lambda _verb, _kind: Forbidden("no")
    bench.emit()
    await bench.written()
    assert bench.dropped("Forbidden") == 1
    bench.cluster.fail = lambda verb, _kind: Absent("namespace") if verb == "create" else None
    bench.emit()
    await bench.written()
    assert bench.dropped("Absent") == 1


async def test_long_texts_are_cut_to_what_the_api_server_takes() -> None:
    bench = Bench()
    bench.emit({"metadata": {"name": "n" * 253, "namespace": "x"}}, reason="R" * 500, message="m" * 5000)
    bench.emit({}, reason="Nothing")
    events = sorted(await bench.written(), key=lambda e: len(e["message"]))
    assert len(events[1]["metadata"]["name"]) <= 253
    assert (len(events[1]["reason"]), len(events[1]["message"])) == (128, 1024)
