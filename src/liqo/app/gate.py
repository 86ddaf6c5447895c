"""Feeds the webhook's verdict on FederationRequests from the stores."""

from collections.abc import Callable

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.meta import Wire, labels_of
from liqo.api.names import CLUSTER_ID_LABEL
from liqo.app.home import Home
from liqo.app.stores import Stores
from liqo.peering.gate import examine
from liqo.peering.incoming import Answer
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Clock
from liqo.serve.admission import Ruling


class Gate:
    """Judges a FederationRequest without network access and without side effects."""

    def __init__(
        self,
        stores: Stores,
        home: Home,
        config: Callable[[], ClusterConfigSpec],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._stores, self._home, self._config = stores, home, config
        self._clock, self._metrics = clock, metrics

    def judge(self, wire: Wire, name: str) -> Ruling:
        """Return what the webhook answers."""
        stores = self._stores
        asker = str((wire.get("spec") or {}).get("clusterID", ""))
        tenants = {labels_of(w).get(CLUSTER_ID_LABEL) for w in stores.tenants.values()} - {asker}
        waiting = sum(
            1 for w in stores.requests.values() if (w.get("status") or {}).get("phase") != "Accepted"
        )
        verdict = examine(
            wire,
            name,
            self._clock.now(),
            audience=self._home.identity.keys.thumbprint,
            home_id=self._home.cluster_id,
            known=[ForeignCluster.parse(w) for w in stores.foreigns.by("cluster-id", asker)],
            config=self._config(),
            peers=len(tenants),
            pending=waiting,
        )
        allowed = verdict.answer is not Answer.DENY
        self._metrics.admissions.labels("federationrequests", str(allowed).lower(), verdict.reason).inc()
        warnings = [verdict.message] if verdict.answer is Answer.MANUAL and verdict.message else []
        return Ruling(allowed, verdict.reason, verdict.message, warnings)
