"""Asks foreign clusters for places for home's namespaces: a key is the ClusterID of a foreign cluster."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from liqo.api.cidrs import own_cidrs
from liqo.api.foreign_cluster import ForeignCluster, counting
from liqo.api.kinds import CONFIG_MAP, FOREIGN_CLUSTER, NAMESPACE_MAP, POD, SECRET
from liqo.api.meta import Key, Wire
from liqo.api.names import AUTOJOINED_LABEL, remote_namespace
from liqo.api.namespace_map import NAMESPACES_MAX, Mapped, NamespaceMap
from liqo.api.pod_requests import requests
from liqo.api.quantity import Amounts, add, format_amounts
from liqo.api.reasons import Reason
from liqo.node.abroad import Abroad, Place
from liqo.node.loop_content import contents_in
from liqo.node.loop_events import warnings_in
from liqo.node.loop_services import services_in, slices_in
from liqo.node.networks import HINT, Claim, claim_of
from liqo.node.optin import counts
from liqo.node.pod_decide import is_over
from liqo.node.pod_status import is_refused_there
from liqo.runtime.loop import Outcome
from liqo.runtime.plan import is_applied
from liqo.runtime.ports import Clusters, Events, Selection, Session, Way
from liqo.runtime.store import Store

MANAGER = "liqo-map"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceMaps:
    """All that the reconciles share."""

    clusters: Clusters
    foreigns: Store  # by index "cluster-id"
    namespaces: Store  # home's, that are enabled
    pods: Store  # by index "node"
    abroad: Abroad
    home_id: Callable[[], str]
    moved: Callable[[Collection[str]], None]  # look at the pods of these namespaces
    events: Events

    async def reconcile(self, key: Key) -> Outcome:
        """Bring our NamespaceMap on one foreign cluster to what it should be, and read what it answers."""
        cluster_id = key.name
        session = self.clusters.get(cluster_id, Way.OUTGOING)
        node = self.abroad.node_of(cluster_id)
        foreign = counting([ForeignCluster.parse(w) for w in self.foreigns.by("cluster-id", cluster_id)])
        if session is None or node is None or foreign is None:
            self.abroad.forget(cluster_id)
            return Outcome()
        name = self.home_id()
        selection = Selection(NAMESPACE_MAP, namespace=session.namespace, name=name)
        seen = self.clusters.watched(cluster_id, Way.OUTGOING, selection)
        if seen is None:
            return Outcome(outcome="waiting")
        wire = seen.get(Key(session.namespace, name))
        answer = NamespaceMap.parse(wire) if wire is not None else None
        wanted = self._wanted(foreign, node, answer)
        needs = self._needs(node, answer)
        writes = await self._ask(session, name, wanted, needs, wire)
        told = {m.name: m for m in answer.status.namespaces} if answer is not None else {}
        places = {n: believed_place(told[n], name) for n in wanted if n in told}
        self._watch(cluster_id, places)
        claim = claim_of(foreign, answer.status.pod_cidrs if answer is not None else ())
        self._hear(foreign, cluster_id, places, claim)
        return Outcome(writes=writes)

    def _hear(
        self, foreign: ForeignCluster, cluster_id: str, places: Mapping[str, Place], claim: Claim
    ) -> None:
        """Take what a cluster says of our namespaces and its pods; tell once what is not believed."""
        before = self.abroad.refused(cluster_id)
        self.moved(self.abroad.told(cluster_id, places, claim))
        refused, about = self.abroad.refused(cluster_id), self.foreigns.get(Key("", foreign.metadata.name))
        if refused and refused != before and about is not None:
            reason = Reason.POD_NETWORK_REFUSED
            message = f"{reason.sentence} {HINT}: {', '.join(refused)}"
            self.events.emit(about, FOREIGN_CLUSTER, reason=reason, message=message, warning=True)

    def _wanted(self, foreign: ForeignCluster, node: Wire, answer: NamespaceMap | None) -> list[str]:
        """Return the namespaces to ask a place for: those that may, and those that still have pods there."""
        autojoined = foreign.metadata.labels.get(AUTOJOINED_LABEL) == "true"
        busy = {p["metadata"]["namespace"] for p in self.pods.by("node", node["metadata"]["name"])}
        kept = sorted(busy & set(answer.spec.namespaces)) if answer is not None else []
        may = sorted(
            n["metadata"]["name"]
            for n in self.namespaces.values()
            if counts(n, foreign, autojoined=autojoined)
        )
        return list(dict.fromkeys([*kept, *may]))[:NAMESPACES_MAX]

    def _needs(self, node: Wire, answer: NamespaceMap | None) -> dict[str, Mapping[str, str]]:
        """Return what the pods of each namespace there ask for: as it is while one is refused, else as it was told.

        So as long as all find room, pods come and go and nobody is told.
        """
        pods = self.pods.by("node", node["metadata"]["name"])
        if not any(map(is_refused_there, pods)):
            return {n.name: n.resources for n in answer.spec.needs} if answer is not None else {}
        asked: dict[str, list[Amounts]] = {}
        for pod in pods:
            if not is_over(pod):
                asked.setdefault(pod["metadata"]["namespace"], []).append(requests(pod))
        offered = (node.get("status") or {}).get("allocatable") or {}
        return {
            namespace: format_amounts({name: n for name, n in add(amounts).items() if name in offered})
            for namespace, amounts in asked.items()
        }

    async def _ask(
        self,
        session: Session,
        name: str,
        wanted: list[str],
        needs: Mapping[str, Mapping[str, str]],
        seen: Wire | None,
    ) -> int:
        """Apply the map, if it is not so already; none is made for nothing."""
        body: Wire = {
            "apiVersion": NAMESPACE_MAP.api_version,
            "kind": NAMESPACE_MAP.kind,
            "metadata": {"name": name, "namespace": session.namespace},
            "spec": {"namespaces": sorted(wanted), "podCIDRs": own_cidrs(self.abroad.real_nodes())},
        }
        if told := [{"name": n, "resources": needs[n]} for n in sorted(wanted) if n in needs]:
            body["spec"]["needs"] = told
        if seen is None and not wanted:
            return 0
        if seen is not None and is_applied(body, seen, MANAGER):
            return 0
        await session.cluster.apply(NAMESPACE_MAP, body, manager=MANAGER)
        return 1

    def _watch(self, cluster_id: str, places: Mapping[str, Place]) -> None:
        """Watch what is in all places, and in no others."""
        now = {place.remote for place in places.values()} - {""}
        for remote in self.abroad.remotes_of(cluster_id) - now:
            for selection in watched_in(remote):
                self.clusters.unwatch(cluster_id, Way.OUTGOING, selection)
        for remote in now:
            for selection in watched_in(remote):
                self.clusters.watched(cluster_id, Way.OUTGOING, selection)


def believed_place(told: Mapped, home_id: str) -> Place:
    """Return what is believed of a namespace's place: its name there follows from ours, and another is not home's."""
    if told.remote and told.remote != remote_namespace(told.name, home_id):
        return Place(reason=Reason.PLACE_REFUSED, message=Reason.PLACE_REFUSED.sentence)
    return Place(remote=told.remote or "", reason=told.reason, message=told.message)


def watched_in(remote: str) -> tuple[Selection, ...]:
    """Return all watches in a namespace on foreign."""
    contents = (contents_in(kind, remote) for kind in (CONFIG_MAP, SECRET))
    return (pods_in(remote), *contents, services_in(remote), slices_in(remote), warnings_in(remote))


def pods_in(remote: str) -> Selection:
    """Return the watch of pods in a namespace on foreign."""
    return Selection(POD, namespace=remote)
