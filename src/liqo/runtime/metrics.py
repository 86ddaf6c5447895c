"""Every metric of the process, declared once with its meaning and unit.

A label's values are few and ours: never a name, an id or a text that somebody else chooses.
"""

from collections.abc import Iterator
from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

RECONCILE_BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60)
SEARCH_BUCKETS = (0.05, 0.2, 0.5, 1, 2, 5, 15, 60)
REQUEST_BUCKETS = (0.002, 0.005, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)


class Metrics:
    """All counters, gauges and histograms, registered in the registry that is given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.reconciles = Counter(
            "liqo_reconciles",
            "Reconciles by how they ended: done, waiting, retry, refused, malformed or bug.",
            ["controller", "outcome"],
            registry=registry,
        )
        self.reconcile_seconds = Histogram(
            "liqo_reconcile_seconds",
            "How long a reconcile took, from being handed out to its end.",
            ["controller"],
            buckets=RECONCILE_BUCKETS,
            registry=registry,
        )
        self.writes = Counter(
            "liqo_writes",
            "Writes that reconciles asked for.",
            ["controller"],
            registry=registry,
        )
        self.queue_depth = Gauge(
            "liqo_queue_depth",
            "Keys that wait, those due later included.",
            ["controller"],
            registry=registry,
        )
        self.watch_restarts = Counter(
            "liqo_watch_restarts",
            "Watches begun anew, by the resource and by why: Ended, Silent, or the reason of a fault.",
            ["resource", "reason"],
            registry=registry,
        )
        self.requests = Counter(
            "liqo_api_requests",
            "Requests to API servers; code 0 is one that got no answer.",
            ["cluster", "verb", "resource", "code"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "liqo_api_request_seconds",
            "How long an API server took to answer; watches are not counted.",
            ["cluster", "verb"],
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        self.watches = Gauge(
            "liqo_watches",
            "Watches open to API servers; those of a peering go with it, and more are a leak.",
            ["cluster"],
            registry=registry,
        )
        self.leader = Gauge(
            "liqo_leader",
            "1 while this process leads, 0 while it stands by.",
            registry=registry,
        )
        self.tasks = Gauge(
            "liqo_tasks",
            "Tasks of the controller's event loop, watches among them; one that only grows is a leak.",
            registry=registry,
        )
        self.peers = Gauge(
            "liqo_peers",
            "Foreign clusters by direction and phase of the peering.",
            ["direction", "phase"],
            registry=registry,
        )
        self.admissions = Counter(
            "liqo_admissions",
            "Verdicts of the admission webhook, by resource and reason.",
            ["resource", "allowed", "reason"],
            registry=registry,
        )
        self.dns_queries = Counter(
            "liqo_dns_queries",
            "Questions to name servers, by how they ended: answered, or the reason why there was no answer.",
            ["result"],
            registry=registry,
        )
        self.dns_search_seconds = Histogram(
            "liqo_dns_search_seconds",
            "How long it took to ask for all that a domain says, by how that ended: answered, or the reason why not.",
            ["result"],
            buckets=SEARCH_BUCKETS,
            registry=registry,
        )
        self.lan_instances = Gauge(
            "liqo_lan_instances",
            "Service instances that the LAN agent knows of, whole or not.",
            registry=registry,
        )
        self.lan_dropped = Counter(
            "liqo_lan_dropped",
            "What neighbours sent and the LAN agent did not take: Packets beyond the rate, instances pushed out by "
            "newer ones (Crowded), clusters without a place (TooMany).",
            ["reason"],
            registry=registry,
        )
        self.kubelet_streams = Gauge(
            "liqo_kubelet_streams",
            "Streams open through the kubelet endpoint, by what they are: logs, exec, attach or portforward.",
            ["verb"],
            registry=registry,
        )
        self.kubelet_refused = Counter(
            "liqo_kubelet_refused",
            "Requests that the kubelet endpoint did not serve, by why: NoCertificate, NoCredentials, Forbidden, "
            "NotFound, Malformed, TooMany, ForeignAway, RefusedThere, NoUsage, Unknown.",
            ["reason"],
            registry=registry,
        )
        self.malformed = Counter(
            "liqo_malformed",
            "Inputs of others that were dropped because their bytes are wrong, by where they came from.",
            ["source"],
            registry=registry,
        )
        self.events_dropped = Counter(
            "liqo_events_dropped",
            "Events that were not written, because too many waited or the API server did not take them.",
            ["reason"],
            registry=registry,
        )

    def observe_request(self, cluster: str, verb: str, resource: str, code: int, took: timedelta) -> None:
        """Count one answered or failed request to an API server."""
        self.requests.labels(cluster, verb, resource, str(code)).inc()
        if verb != "watch":
            self.request_seconds.labels(cluster, verb).observe(took.total_seconds())

    def observe_search(self, result: str, took: timedelta) -> None:
        """Count one search of a domain."""
        self.dns_search_seconds.labels(result).observe(took.total_seconds())

    def each(self) -> Iterator[MetricWrapperBase]:
        """Yield all metrics in the order they are declared."""
        for metric in vars(self).values():
            if isinstance(metric, MetricWrapperBase):
                yield metric


def describe() -> list[tuple[str, str, tuple[str, ...], str]]:
    """Return name, type, labels and meaning of every metric, as the reference page shows them."""
    found = []
    for metric in Metrics(CollectorRegistry()).each():
        family = next(iter(metric.describe()))
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found.append((name, family.type, tuple(metric._labelnames), family.documentation))  # noqa: SLF001
    return found
