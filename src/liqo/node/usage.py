"""What pods on a virtual node use, said as a kubelet says it; pure.

Foreign's metrics.k8s.io tells rates: cores used over the last seconds. Whoever asks a kubelet wants counters of
core-seconds, and makes rates of two of them. So a rate counts from when it was told until the next one is:

    told at home's   rate         counter of pod web
    10:00:00         0.5 cores    0
    10:00:15         0.5 cores    7.5 core-seconds
    10:00:30         1.0 cores    22.5

and who asks at the last two instants finds 1.0 cores, as foreign told. All instants are home's own, so that
it does not matter how foreign's clock goes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from liqo.api.meta import Wire
from liqo.api.quantity import UNIT, parse_quantity
from liqo.errors import Malformed

CORES_MAX = 4096 * UNIT  # nanocores of one container; more than any machine has
BYTES_MAX = 2**50  # of one container; likewise
NANOS_MIN, BYTES_MIN = 1000, 1  # metrics-server takes a 0 as not told, and then leaves out the whole pod

Name = tuple[str, str, str]  # namespace, pod and container, at home


@dataclass(frozen=True, slots=True)
class Usage:
    """What is used at an instant."""

    nanocores: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Counter:
    """What was used since an instant."""

    since: datetime
    nanos: int  # core-nanoseconds
    bytes: int  # now

    def format(self) -> str:
        """Return the core-seconds, exactly."""
        return f"{self.nanos // UNIT}.{self.nanos % UNIT:09d}"


@dataclass(frozen=True, slots=True)
class Counters:
    """What a virtual node and the containers on it used, until an instant."""

    at: datetime
    node: Counter
    containers: Mapping[Name, Counter]


def parse_usage(items: Iterable[Wire], namespace: str, ours: Callable[[str, str], bool]) -> dict[Name, Usage]:
    """Return what foreign tells of the containers of one namespace; what makes no sense is left out.

    Args:
        items: PodMetrics of the namespace there.
        namespace: the one at home that it stands for.
        ours: (pod, container) → is that one of home's, on this virtual node.
    """
    found = {}
    for item in items:
        metadata, containers = item.get("metadata"), item.get("containers")
        pod = metadata.get("name") if isinstance(metadata, dict) else None
        for each in containers if isinstance(containers, list) else ():
            name = each.get("name") if isinstance(each, dict) else None
            if isinstance(pod, str) and isinstance(name, str) and ours(pod, name):
                usage = _parse(each.get("usage"))
                if usage is not None:
                    found[namespace, pod, name] = usage
    return found


def _parse(usage: object) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    try:
        nanocores, memory = (parse_quantity(str(usage.get(each))) for each in ("cpu", "memory"))
    except Malformed:
        return None
    return Usage(min(max(nanocores, 0), CORES_MAX), min(max(memory // UNIT, 0), BYTES_MAX))


def advance(before: Counters | None, used: Mapping[Name, Usage], now: datetime) -> Counters:
    """Return the counters at `now`; one that is new, or was not told of the last time, begins anew."""
    elapsed = max(now - before.at, timedelta(0)) if before is not None else timedelta(0)
    known = before.containers if before is not None else {}
    total = Usage(sum(each.nanocores for each in used.values()), sum(each.bytes for each in used.values()))
    return Counters(
        at=now,
        node=_advance(before.node if before is not None else None, total, elapsed, now),
        containers={name: _advance(known.get(name), each, elapsed, now) for name, each in used.items()},
    )


def _advance(counter: Counter | None, usage: Usage, elapsed: timedelta, now: datetime) -> Counter:
    memory = max(usage.bytes, BYTES_MIN)
    if counter is None:
        return Counter(now, NANOS_MIN, memory)
    more = usage.nanocores * (elapsed // timedelta(microseconds=1)) // 10**6
    return Counter(counter.since, counter.nanos + more, memory)


def format_counters(counters: Counters) -> str:
    """Return the page that a kubelet serves for them (Prometheus text format, with timestamps)."""
    at = int(counters.at.timestamp() * 1000)
    named = [(_labels(name), each) for name, each in sorted(counters.containers.items())]
    families = (
        ("container_cpu_usage_seconds_total", "counter", [f"{n} {c.format()} {at}" for n, c in named]),
        ("container_memory_working_set_bytes", "gauge", [f"{n} {c.bytes} {at}" for n, c in named]),
        (
            "container_start_time_seconds",  # of the counter: before it, nothing was counted
            "gauge",
            [f"{n} {c.since.timestamp():.3f} {at}" for n, c in named],
        ),
        ("node_cpu_usage_seconds_total", "counter", [f" {counters.node.format()} {at}"]),
        ("node_memory_working_set_bytes", "gauge", [f" {counters.node.bytes} {at}"]),
    )
    return "".join(
        f"# TYPE {family} {kind}\n" + "".join(f"{family}{row}\n" for row in rows)
        for family, kind, rows in families
        if rows
    )


def _labels(name: Name) -> str:
    """Return a container's labels; its names are home's own, and need no escaping."""
    namespace, pod, container = name
    return f'{{container="{container}",namespace="{namespace}",pod="{pod}"}}'
