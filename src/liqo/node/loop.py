"""Keeps virtual nodes: a key is the name of a ForeignCluster."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from liqo.api.advertisement import Advertisement
from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.foreign_cluster import ForeignCluster, counting
from liqo.api.kinds import FEDERATION_REQUEST, FOREIGN_CLUSTER, LEASE, NODE
from liqo.api.meta import Condition, Key, Wire, find_condition, format_time, labels_of, set_condition
from liqo.api.names import (
    CLUSTER_ID_LABEL,
    ENDING_ANNOTATION,
    NODE_TYPE_LABEL,
    VIRTUAL_NODE,
    node_name,
    request_name,
)
from liqo.api.quantity import add, parse_amounts
from liqo.api.reasons import ConditionType
from liqo.errors import Absent, Conflict
from liqo.node.abroad import ending_since, virtual
from liqo.node.capacity import believed, limit_of
from liqo.node.decide import (
    HEARTBEAT,
    LEASE_NAMESPACE,
    PROBE_AFTER,
    PROBE_AGAIN,
    PROBE_AWAY,
    PROBES,
    Address,
    Readiness,
    forge_labels,
    forge_lease,
    forge_metadata_patch,
    forge_node,
    forge_status_patch,
    readiness,
    wanted,
)
from liqo.runtime.loop import Outcome
from liqo.runtime.plan import Apply, Plan, act
from liqo.runtime.ports import Clock, Cluster, Clusters, Events, Health, Session, Way
from liqo.runtime.store import Store

MANAGER = "liqo-node"
PODS_GO_WITHIN = timedelta(seconds=6)  # before a node that is taken down goes in spite of them
LOOK_AGAIN = timedelta(milliseconds=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualNodes:
    """All that the reconciles of virtual nodes share."""

    home: Cluster
    clusters: Clusters
    foreigns: Store  # by index "cluster-id"
    advertisements: Store
    nodes: Store  # all nodes, by index "cluster-id"
    pods: Store  # by index "node"
    config: Callable[[], ClusterConfigSpec]
    home_id: Callable[[], str]
    namespace: str
    address: Address  # of our kubelet endpoint
    events: Events
    clock: Clock
    beats: dict[str, datetime] = field(default_factory=dict)  # node name → its Lease's last renewal by us

    async def reconcile(self, key: Key) -> Outcome:
        """Bring the virtual node of one foreign cluster to what it should be."""
        wire = self.foreigns.get(key)
        if wire is None:
            return Outcome()
        foreign = ForeignCluster.parse(wire)
        cluster_id = foreign.spec.cluster_id
        if cluster_id is None:
            return Outcome()
        counts = counting([ForeignCluster.parse(w) for w in self.foreigns.by("cluster-id", cluster_id)])
        if counts is None or counts.metadata.name != key.name:
            return Outcome()
        node = self._node(cluster_id)
        offer = self._offer(cluster_id)
        ending = node is not None and ending_since(node) is not None
        if ending or not wanted(foreign, counts=True, node_there=node is not None):
            return await self._remove(foreign, node)
        if offer is None and node is None:
            return Outcome(outcome="waiting")
        session = await self._probed(foreign, cluster_id)
        ready = readiness(session, stopped=foreign.status.shown is not None)
        node, writes = await self._shape(foreign, node, offer, ready)
        writes += await self._tell(foreign, wire, ready)
        writes += await self._beat(node)
        return Outcome(wake=self._wake(node, session), writes=writes)

    def _wake(self, node: Wire, session: Session | None) -> timedelta:
        """Return when to look again: at the next renewal of the Lease, or to ask whether foreign is there."""
        now = self.clock.now()
        beat = self.beats[node["metadata"]["name"]] + HEARTBEAT - now
        if session is None:
            return beat
        if session.health is not Health.READY:
            return min(beat, PROBE_AWAY)
        if session.failures or session.heard is None:
            return min(beat, PROBE_AGAIN)
        return max(min(beat, session.heard + PROBE_AFTER - now), PROBE_AGAIN)

    def _node(self, cluster_id: str) -> Wire | None:
        """Return the virtual node of that cluster; an id is matched by label, never by name."""
        return virtual(self.nodes.by("cluster-id", cluster_id))

    def _offer(self, cluster_id: str) -> Advertisement | None:
        found = self.advertisements.get(Key(self.namespace, cluster_id))
        return Advertisement.parse(found) if found is not None else None

    async def _probed(self, foreign: ForeignCluster, cluster_id: str) -> Session | None:
        """Ask the foreign cluster for our own request, unless it was heard of just now."""
        session = self.clusters.get(cluster_id, Way.OUTGOING)
        outgoing = foreign.status.outgoing
        if session is None or outgoing is None:
            return session
        now = self.clock.now()
        fresh = session.heard is not None and now - session.heard < PROBE_AFTER
        if fresh and session.failures == 0:
            return session
        key = request_name(self.home_id(), outgoing.jti)
        path = FEDERATION_REQUEST.path(foreign.spec.namespace, key)
        session = await self.clusters.probe(cluster_id, Way.OUTGOING, path)
        while session is not None and _is_undecided(session):
            session = await self.clusters.probe(cluster_id, Way.OUTGOING, path)
        return session

    async def _shape(
        self, foreign: ForeignCluster, node: Wire | None, offer: Advertisement | None, ready: Readiness
    ) -> tuple[Wire, int]:
        """Create the node, or bring its status to what it should be."""
        now = self.clock.now()
        if node is None:
            assert offer is not None
            name = await self._name(foreign)
            capacity = self._capacity(foreign, offer)
            fresh = forge_node(name, foreign, offer, capacity, self.address, ready, now)
            try:
                return await self.home.create(NODE, fresh), 2
            except Conflict:
                node = await self.home.get(NODE, Key("", name))
                if labels_of(node).get(CLUSTER_ID_LABEL) != foreign.spec.cluster_id:
                    raise
        capacity = (
            self._capacity(foreign, offer) if offer is not None else node["status"].get("capacity") or {}
        )
        key, writes = Key.of(node), 0
        if offer is not None:
            metadata = forge_metadata_patch(node, forge_labels(key.name, foreign, offer))
            if metadata is not None:
                node, writes = await self.home.patch(NODE, key, metadata, manager=MANAGER), 1
        patch = forge_status_patch(node, capacity, self.address, ready, now)
        if patch is None:
            return node, writes
        return await self.home.patch(NODE, key, patch, manager=MANAGER, subresource="status"), writes + 1

    async def _name(self, foreign: ForeignCluster) -> str:
        """Return the node's name, fixed at the first join by one guarded write."""
        outgoing = foreign.status.outgoing
        if outgoing is not None and outgoing.node_name:
            return outgoing.node_name
        offer = self._offer(foreign.spec.cluster_id or "")
        cluster_name = foreign.spec.cluster_name or (offer.spec.cluster_name if offer else "")
        name = node_name(cluster_name, foreign.spec.cluster_id or "")
        patch = {
            "metadata": {"resourceVersion": foreign.metadata.resource_version},
            "status": {"outgoing": {"nodeName": name}},
        }
        key = Key("", foreign.metadata.name)
        await self.home.patch(FOREIGN_CLUSTER, key, patch, manager=f"{MANAGER}-once", subresource="status")
        return name

    def _capacity(self, foreign: ForeignCluster, offer: Advertisement) -> dict[str, str]:
        """Return what is believed of an offer."""
        own = add(
            parse_amounts(n.get("status", {}).get("allocatable") or {})
            for n in self.nodes.values()
            if labels_of(n).get(NODE_TYPE_LABEL) != VIRTUAL_NODE
        )
        ingoing = self.config().advertisement_config.ingoing
        limit = limit_of(foreign.spec.max_capacity, ingoing.max_capacity, own)
        return believed(offer.spec.resources, limit)

    async def _beat(self, node: Wire) -> int:
        """Renew the node's Lease when that is due."""
        now = self.clock.now()
        name = node["metadata"]["name"]
        last = self.beats.get(name)
        if last is not None and now - last < HEARTBEAT * 0.9:
            return 0
        lease = forge_lease(node, now)
        if last is None:
            await self.home.apply(LEASE, lease, manager=MANAGER)
        else:
            spec = {"spec": {"renewTime": lease["spec"]["renewTime"]}}
            try:
                await self.home.patch(LEASE, Key(LEASE_NAMESPACE, name), spec, manager=MANAGER)
            except Absent:
                await self.home.apply(LEASE, lease, manager=MANAGER)
        self.beats[name] = now
        return 1

    async def _remove(self, foreign: ForeignCluster, node: Wire | None) -> Outcome:
        """Delete the pods on the node, then the node; its Lease goes with it."""
        if node is None:
            wire = self.foreigns.get(Key("", foreign.metadata.name))
            known = find_condition(foreign.status.conditions, ConditionType.NODE_READY)
            if wire is None or known is None:
                return Outcome()
            return Outcome(writes=await self._tell(foreign, wire, None))
        name, now = node["metadata"]["name"], self.clock.now()
        since = ending_since(node)
        if since is None:
            await self._cordon(node, now)
            return Outcome(wake=LOOK_AGAIN, writes=1, outcome="waiting")
        if now < since + PODS_GO_WITHIN and self.pods.by("node", name):
            return Outcome(wake=LOOK_AGAIN, outcome="waiting")  # the loop over pods sees to them
        await self.home.delete(NODE, Key("", name), uid=node["metadata"]["uid"])
        self.beats.pop(name, None)
        return Outcome(writes=1)

    async def _cordon(self, node: Wire, now: datetime) -> None:
        """Let the node take no more pods, and have those it has deleted."""
        patch = {
            "metadata": {"annotations": {ENDING_ANNOTATION: format_time(now)}},
            "spec": {"unschedulable": True},
        }
        answer = await self.home.patch(NODE, Key.of(node), patch, manager=MANAGER)
        self.nodes.note(answer)

    async def _tell(self, foreign: ForeignCluster, wire: Wire, ready: Readiness | None) -> int:
        """Write the condition NodeReady; None takes it away."""
        status: Wire = {}
        if ready is not None:
            fresh = Condition(
                type=ConditionType.NODE_READY,
                status="True" if ready.ready else "False",
                reason=ready.reason,
                message=ready.message or ready.reason.sentence,
            )
            kept = set_condition(foreign.status.conditions, fresh, self.clock.now())
            status["conditions"] = [kept.wire()]
        body = {
            "apiVersion": FOREIGN_CLUSTER.api_version,
            "kind": FOREIGN_CLUSTER.kind,
            "metadata": {"name": foreign.metadata.name, "uid": foreign.metadata.uid},
            "status": status,
        }
        apply = Apply(kind=FOREIGN_CLUSTER, obj=body, seen=wire, subresource="status")
        return await act(Plan((apply,)), self.home, manager=MANAGER, events=self.events)


def _is_undecided(session: Session) -> bool:
    """Return whether nobody has answered over a connection yet, which may be chance."""
    return session.health is Health.AWAY and session.heard is None and session.failures < PROBES
