"""Writes Kubernetes Events: equal ones are counted, floods are cut, and nothing here can fail a caller.

An Event stands in the namespace of the object it is about. One about a cluster-scoped object would have to
stand in `default` (API validation), where we have no rights; but the API server compares only the
namespace that the reference names. So such an Event stands in our own namespace and the reference
names that too; `kubectl describe` finds it by the object's uid all the same.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NoReturn

from liqo.api.meta import Key, Kind, Wire, format_time
from liqo.errors import Absent, Fault
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Clock, Cluster

EVENT = Kind("", "v1", "Event", "events")

SAME_WITHIN = timedelta(minutes=10)  # equal events within are one, with a count
MAX_WAITING = 512  # not yet written; more are dropped
MAX_KNOWN = 4096  # written within SAME_WITHIN; beyond it the oldest is forgotten, and would be a new object
PACE = timedelta(milliseconds=100)  # between two writes: at most 10 a second
MESSAGE_CHARS = 1024  # API validation
REASON_CHARS = 128  # API validation
NAME_CHARS = 230  # of the object's name in the Event's, which may have 253


@dataclass(frozen=True, slots=True)
class _Same:
    """What makes two events equal."""

    uid: str
    name: str
    reason: str
    message: str


@dataclass(slots=True)
class _Series:
    """One Event object and how often it happened."""

    key: Key
    first: datetime
    last: datetime
    count: int
    reference: Wire  # to the object
    warning: bool
    written: bool = False
    same: _Same = field(kw_only=True)


def forge_event(series: _Series, component: str, instance: str) -> Wire:
    """Return the Event object of a series."""
    return {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.kind,
        "metadata": {"namespace": series.key.namespace, "name": series.key.name},
        "involvedObject": series.reference,
        "reason": series.same.reason,
        "message": series.same.message,
        "type": "Warning" if series.warning else "Normal",
        "source": {"component": component},
        "reportingComponent": component,
        "reportingInstance": instance,
        "count": series.count,
        "firstTimestamp": format_time(series.first),
        "lastTimestamp": format_time(series.last),
    }


class EventWriter:
    """Implements `runtime.ports.Events` over a Cluster.

    Args:
        cluster: where the Events go.
        clock: how time passes.
        metrics: where those that were not written are counted: "Full", or the reason of a fault.
        component: who tells, "liqo-controller".
        instance: which of them, the pod's name; the component by default.
        namespace: for those about cluster-scoped objects.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        clock: Clock,
        metrics: Metrics,
        component: str,
        instance: str = "",
        namespace: str = "default",
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._component = component
        self._instance = instance or component
        self._clock = clock
        self._dropped = metrics.events_dropped
        self._known: OrderedDict[_Same, _Series] = OrderedDict()
        self._waiting: OrderedDict[_Same, _Series] = OrderedDict()
        self._some = asyncio.Event()

    def emit(self, about: Wire, kind: Kind, *, reason: str, message: str, warning: bool = False) -> None:
        """Have an event about an object written; equal ones are counted, not repeated. Never fails."""
        now = self._clock.now()
        meta = about.get("metadata", {})
        name, namespace = meta.get("name", ""), meta.get("namespace") or self._namespace
        same = _Same(
            meta.get("uid", ""), f"{namespace}/{name}", reason[:REASON_CHARS], message[:MESSAGE_CHARS]
        )
        series = self._known.get(same)
        if series is not None and now - series.first < SAME_WITHIN:
            series.last, series.count = now, series.count + 1
        elif len(self._waiting) >= MAX_WAITING:
            self._dropped.labels("Full").inc()
            return
        else:
            mark = sha256(f"{same}{self._instance}{now}".encode()).hexdigest()[:16]
            key = Key(namespace, f"{name[:NAME_CHARS].rstrip('.-')}.{mark}")
            reference = {
                "apiVersion": kind.api_version,
                "kind": kind.kind,
                "namespace": namespace,
                "name": name,
                "uid": same.uid,
                "resourceVersion": meta.get("resourceVersion", ""),
            }
            series = _Series(key, now, now, 1, reference, warning, same=same)
            self._known[same] = series
            self._known.move_to_end(same)
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        self._waiting[same] = series
        self._some.set()

    async def flush(self) -> None:
        """Write what waits at once, before this process ends."""
        while self._waiting:
            _, series = self._waiting.popitem(last=False)
            await self._write(series)

    async def run(self) -> NoReturn:
        """Write what was emitted until cancelled."""
        while True:
            await self._some.wait()
            while self._waiting:
                _, series = self._waiting.popitem(last=False)
                await self._write(series)
                await self._clock.sleep(PACE)
            self._some.clear()

    async def _write(self, series: _Series) -> None:
        """Create the Event, or count it up."""
        try:
            if series.written:
                counted = {"count": series.count, "lastTimestamp": format_time(series.last)}
                try:
                    await self._cluster.patch(EVENT, series.key, counted)
                except Absent:  # the API server forgets Events after an hour
                    series.written = False
            if not series.written:
                await self._cluster.create(EVENT, forge_event(series, self._component, self._instance))
                series.written = True
        except Fault as fault:
            self._dropped.labels(fault.reason).inc()
