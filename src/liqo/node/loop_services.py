"""Makes the Services of enabled namespaces reachable on foreign: a key is that of a Service at home."""

from dataclasses import dataclass
from functools import partial

from liqo.api.cidrs import is_inside, own_cidrs
from liqo.api.kinds import ENDPOINT_SLICE, SERVICE
from liqo.api.meta import Key, Kind, Wire, labels_of
from liqo.node.abroad import Abroad
from liqo.node.forge_service import SERVICE_NAME_LABEL, forge_service, forge_slices, is_ours, is_reflected
from liqo.runtime.loop import Outcome
from liqo.runtime.plan import is_applied
from liqo.runtime.ports import Clusters, Health, Selection, Session, Views, Way

MANAGER = "liqo-services"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """All that the reconciles share."""

    views: Views  # of our own cluster, in enabled namespaces
    clusters: Clusters
    abroad: Abroad

    async def reconcile(self, key: Key) -> Outcome:
        """Bring one Service and what is behind it on all foreign clusters to what they are at home."""
        writes = 0
        services = self.views.view(services_in(key.namespace))
        slices = self.views.view(slices_in(key.namespace))
        if services is None or slices is None:
            return Outcome(outcome="waiting")
        service = services.get(key)
        home = service if service is not None and is_reflected(service) else None
        is_own = partial(is_inside, cidrs=own_cidrs(self.abroad.real_nodes()))
        pieces = [s for s in slices.values() if labels_of(s).get(SERVICE_NAME_LABEL) == key.name]
        for cluster_id, remote in self.abroad.remotes(key.namespace):
            session = self.clusters.get(cluster_id, Way.OUTGOING)
            node = self.abroad.node_of(cluster_id)
            if session is None or session.health is not Health.READY or node is None:
                continue
            wanted = [forge_service(home, remote)] if home is not None else []
            name = node["metadata"]["name"]
            behind = forge_slices(home, pieces, name, remote, is_own) if home is not None else []
            there = self.clusters.watched(cluster_id, Way.OUTGOING, services_in(remote))
            also = self.clusters.watched(cluster_id, Way.OUTGOING, slices_in(remote))
            if there is None or also is None:
                continue
            copy = [s for s in (there.get(Key(remote, key.name)),) if s is not None]
            copies = [s for s in also.values() if labels_of(s).get(SERVICE_NAME_LABEL) == key.name]
            writes += await _bring(session, SERVICE, wanted, copy)
            writes += await _bring(session, ENDPOINT_SLICE, behind, copies)
        return Outcome(writes=writes)


async def _bring(session: Session, kind: Kind, wanted: list[Wire], copies: list[Wire]) -> int:
    """Apply what is wanted and differs, and delete what of ours is not; return how many requests that took."""
    writes = 0
    there = {Key.of(copy): copy for copy in copies}
    for obj in wanted:
        seen = there.pop(Key.of(obj), None)
        if seen is not None and (not is_ours(seen) or is_applied(obj, seen, MANAGER)):
            continue  # somebody of foreign's has that name: it is his
        await session.cluster.apply(kind, obj, manager=MANAGER)
        writes += 1
    for copy in there.values():
        if is_ours(copy):
            await session.cluster.delete(kind, Key.of(copy), uid=copy["metadata"]["uid"])
            writes += 1
    return writes


def services_in(namespace: str) -> Selection:
    """Return the watch of Services in a namespace, at home or on foreign."""
    return Selection(SERVICE, namespace=namespace)


def slices_in(namespace: str) -> Selection:
    """Return the watch of EndpointSlices in a namespace, at home or on foreign."""
    return Selection(ENDPOINT_SLICE, namespace=namespace)
