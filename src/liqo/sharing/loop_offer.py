"""Works out what each tenant is offered; one key for all, since each offer depends on those before it."""

from collections.abc import Callable
from dataclasses import dataclass

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.kinds import FOREIGN_CLUSTER
from liqo.api.meta import Key, Wire, labels_of
from liqo.api.names import CLUSTER_ID_LABEL, TENANT_LABEL
from liqo.api.pod_requests import requests
from liqo.api.quantity import add, format_amounts, parse_amounts
from liqo.runtime.loop import Outcome
from liqo.runtime.plan import Apply, Plan, act
from liqo.runtime.ports import Cluster, Events
from liqo.runtime.store import Store
from liqo.sharing.capacity import FINISHED, common_labels, free
from liqo.sharing.offer import Tenant, matters, offers

MANAGER = "liqo-offer"
ALL = Key("", "offers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """All that the reconciles share."""

    home: Cluster
    foreigns: Store
    nodes: Store
    pods: Store  # by index "namespace"
    namespaces: Store  # those with the tenant label
    config: Callable[[], ClusterConfigSpec]
    events: Events

    async def reconcile(self, _key: Key) -> Outcome:
        """Work out all offers and write those that changed by enough to matter."""
        known = [ForeignCluster.parse(w) for w in self.foreigns.values()]
        accepted = [f for f in known if _is_tenant(f)]
        writes = 0
        for foreign in known:
            if not _is_tenant(foreign) and foreign.status.incoming and foreign.status.incoming.offered:
                writes += await self._write(foreign, None)
        if not accepted:
            return Outcome(writes=writes)
        owners = {n["metadata"]["name"]: labels_of(n).get(CLUSTER_ID_LABEL, "") for n in self._tenants()}
        left = free(self.nodes.values(), self.pods.values(), frozenset(owners))
        tenants = [self._tenant(f, owners) for f in accepted]
        percentage = self.config().advertisement_config.outgoing.resource_sharing_percentage
        found = offers(left, tenants, percentage)
        labels = common_labels(self.nodes.values())
        for foreign, tenant in zip(accepted, tenants, strict=True):
            offer, incoming = found[tenant.cluster_id], foreign.status.incoming
            assert incoming is not None
            if matters(tenant.offered, offer) or incoming.offered_labels != labels:
                body: Wire = {"offered": format_amounts(offer)}
                if labels:  # an apply that empties a map is refused
                    body["offeredLabels"] = labels
                writes += await self._write(foreign, body)
        return Outcome(writes=writes)

    def _tenants(self) -> list[Wire]:
        return [n for n in self.namespaces.values() if TENANT_LABEL in labels_of(n)]

    def _tenant(self, foreign: ForeignCluster, owners: dict[str, str]) -> Tenant:
        """Return what one tenant has and uses."""
        incoming, cluster_id = foreign.status.incoming, foreign.spec.cluster_id
        assert incoming is not None
        assert incoming.accepted_at is not None
        assert cluster_id is not None
        used = add(
            requests(pod)
            for name, owner in owners.items()
            if owner == cluster_id
            for pod in self.pods.by("namespace", name)
            if pod.get("status", {}).get("phase") not in FINISHED
        )
        offered = parse_amounts(incoming.offered) if incoming.offered is not None else None
        return Tenant(cluster_id, incoming.accepted_at, used, offered)

    async def _write(self, foreign: ForeignCluster, offer: Wire | None) -> int:
        """Put an offer where the room `peering` takes it from; None takes it away."""
        status: Wire = (
            {"incoming": offer} if offer is not None else {"conditions": []}
        )  # not an empty map, either
        body = {
            "apiVersion": FOREIGN_CLUSTER.api_version,
            "kind": FOREIGN_CLUSTER.kind,
            "metadata": {"name": foreign.metadata.name, "uid": foreign.metadata.uid},
            "status": status,
        }
        seen = self.foreigns.get(Key("", foreign.metadata.name))
        apply = Apply(kind=FOREIGN_CLUSTER, obj=body, seen=seen, subresource="status")
        return await act(Plan((apply,)), self.home, manager=MANAGER, events=self.events)


def _is_tenant(foreign: ForeignCluster) -> bool:
    incoming = foreign.status.incoming
    return (
        incoming is not None
        and incoming.phase in {"Accepted", "Offered"}
        and incoming.accepted_at is not None
    )
