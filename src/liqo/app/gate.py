"""Feeds the webhook's verdict on FederationRequests from the stores."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.kinds import FOREIGN_CLUSTER
from liqo.api.meta import Wire
from liqo.api.reasons import Reason
from liqo.app.home import Home
from liqo.app.stores import Stores
from liqo.peering.gate import Known, examine
from liqo.peering.incoming import Answer
from liqo.peering.invites import invite_of
from liqo.peering.places import has_own_place, is_waiting, tenants
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Clock, Events
from liqo.serve.admission import Ruling

SEEN_WITHIN = timedelta(seconds=5)  # then what was let through and is not stored never will be


class _Coming(NamedTuple):
    """A request that was let through, and is not seen to be stored yet."""

    cluster_id: str
    until: datetime
    invited: bool


class Gate:
    """Judges a FederationRequest without network access, and without effects on the cluster.

    It remembers for a moment whom it let through: many may ask before the first of them is seen to be stored.
    """

    def __init__(
        self,
        stores: Stores,
        home: Home,
        config: Callable[[], ClusterConfigSpec],
        clock: Clock,
        metrics: Metrics,
        events: Events,
    ) -> None:
        self._stores, self._home, self._config = stores, home, config
        self._clock, self._metrics, self._events = clock, metrics, events
        self._let_through: dict[str, _Coming] = {}  # by name

    def judge(self, wire: Wire, name: str) -> Ruling:
        """Return what the webhook answers."""
        now, config = self._clock.now(), self._config()
        asker = str((wire.get("spec") or {}).get("clusterID", ""))
        known = self._known(wire, asker, config, now)
        verdict = examine(
            wire,
            name,
            now,
            audience=self._home.identity.keys.thumbprint,
            home_id=self._home.cluster_id,
            known=known,
            config=config,
        )
        if verdict.reason is Reason.PIN_CHANGED:
            self._tell(asker)
        allowed = verdict.answer is not Answer.DENY
        if allowed:
            self._let_through[name] = _Coming(asker, now + SEEN_WITHIN, known.invited)
        self._metrics.admissions.labels("federationrequests", str(allowed).lower(), verdict.reason).inc()
        warnings = [verdict.message] if verdict.answer is Answer.MANUAL and verdict.message else []
        return Ruling(allowed, verdict.reason, verdict.message, warnings)

    def _known(self, wire: Wire, asker: str, config: ClusterConfigSpec, now: datetime) -> Known:
        stores, stored = self._stores, self._stores.requests.values()
        names = {w["metadata"]["name"] for w in stored}
        self._let_through = {
            name: coming
            for name, coming in self._let_through.items()
            if name not in names and now < coming.until
        }
        coming = self._let_through.values()
        waiting = [w["spec"]["clusterID"] for w in stored if is_waiting(w) and "invite" not in w["spec"]]
        waiting += [c.cluster_id for c in coming if not c.invited]
        invites = {w["metadata"]["name"]: w for w in stores.invites.values()}
        return Known(
            foreigns=self._foreigns(asker),
            stored=len(stores.requests.by("cluster-id", asker)) + sum(c.cluster_id == asker for c in coming),
            tenant=bool(stores.tenants.by("cluster-id", asker)),
            invited=bool(asker) and "spec" in wire and invite_of(wire, invites, stored, now),
            peers=len(tenants(stores.tenants.values(), stores.foreigns.by("taken", "")) - {asker}),
            waiting=sum(not self._has_own_place(i, config) for i in waiting),
        )

    def _foreigns(self, cluster_id: str) -> list[ForeignCluster]:
        return [ForeignCluster.parse(w) for w in self._stores.foreigns.by("cluster-id", cluster_id)]

    def _has_own_place(self, cluster_id: str, config: ClusterConfigSpec) -> bool:
        return has_own_place(cluster_id, self._foreigns(cluster_id), config, invited=False)

    def _tell(self, cluster_id: str) -> None:
        """Tell people that somebody asks in the name of a cluster they know; all such attempts are one event."""
        for wire in self._stores.foreigns.by("cluster-id", cluster_id):
            message = (
                "Somebody asks in its name with another key than the one it is known by, and is refused."
            )
            self._events.emit(wire, FOREIGN_CLUSTER, reason=Reason.PIN_CHANGED, message=message, warning=True)
