"""Gives the namespaces of home clusters a place here: a key is the ClusterID of a home cluster.

Expected flow, for each namespace that a NamespaceMap asks for: the namespace, the controller's own rights in it, its
bounds; and only when the quota is enforced, the rights of home, and its name in the map's status. When the process
dies half-way it begins again: every step is an apply.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from liqo.api.cidrs import addresses_of, believed_cidrs, own_cidrs
from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.kinds import LIMIT_RANGE, NAMESPACE, NAMESPACE_MAP, NETWORK_POLICY, RESOURCE_QUOTA
from liqo.api.meta import Key, Wire, labels_of
from liqo.api.names import HOME_NAMESPACE_LABEL, POD_CIDRS_ANNOTATION, remote_namespace, tenant_namespace
from liqo.api.namespace_map import NamespaceMap, NamespaceMapSpec
from liqo.api.quantity import Amounts, add, parse_amounts
from liqo.api.reasons import Reason
from liqo.api.rights import forge_workload_rights
from liqo.runtime.loop import Outcome
from liqo.runtime.plan import Apply, Plan, act, created_or_there
from liqo.runtime.ports import Clock, Cluster, Events
from liqo.runtime.settle import settled
from liqo.runtime.store import Store
from liqo.sharing.place import (
    forge_limits,
    forge_network,
    forge_open_network,
    forge_place,
    forge_quota,
    is_place,
    refusal,
)
from liqo.sharing.quota import parse_quota, spread

MANAGER = "liqo-places"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """All that the reconciles share."""

    home: Cluster  # our own cluster, which is foreign here
    foreigns: Store  # by index "cluster-id"
    maps: Store  # NamespaceMaps, named by the ClusterID of their home
    namespaces: Store  # those of tenants, by index "cluster-id"
    quotas: Store  # ours, by index "cluster-id"
    nodes: Store
    config: Callable[[], ClusterConfigSpec]
    own_host: Callable[[], str]  # of our API server
    closed: Callable[
        [], Sequence[str]
    ]  # where else no pod of another cluster is: our Services and API server
    namespace: str
    events: Events
    clock: Clock
    bounds: dict[str, Wire] = field(default_factory=dict)  # uid of a namespace → the network policy it has
    opened: set[str] = field(default_factory=set)  # uids of the namespaces where home has its rights

    async def reconcile(self, key: Key) -> Outcome:
        """Bring the namespaces of one home cluster to what its map asks for."""
        home_id = key.name
        offer = self._offer(home_id)
        if offer is None:
            return Outcome()  # the peering takes down what is there
        wire = self.maps.get(Key(tenant_namespace(home_id), home_id))
        asked = NamespaceMap.parse(wire).spec if wire is not None else NamespaceMapSpec()
        names = list(dict.fromkeys(asked.namespaces))
        taken = [*own_cidrs(self.nodes.values()), *self._hosts(), *self.closed()]
        cidrs = ",".join(believed_cidrs(asked.pod_cidrs, taken))
        there = {
            labels_of(n)[HOME_NAMESPACE_LABEL]: n
            for n in self.namespaces.by("cluster-id", home_id)
            if HOME_NAMESPACE_LABEL in labels_of(n)
        }
        writes = await self._remove(names, there)
        found = [await self._place(name, there.get(name), home_id) for name in names]
        placed = {n["metadata"]["name"]: n for n in found if not isinstance(n, Reason)}
        for namespace in placed.values():
            writes += await self._route(namespace, cidrs)
        needs = {remote_namespace(n.name, home_id): parse_amounts(n.resources) for n in asked.needs}
        writes += await self._bound(home_id, offer, placed, needs)
        if wire is None:
            return Outcome(writes=writes)
        mapped = [await self._mapped(n, p, home_id) for n, p in zip(names, found, strict=True)]
        writes += await self._tell(wire, mapped)
        waits = any(m.get("reason") == Reason.COMPUTING for m in mapped)
        return Outcome(writes=writes, outcome="waiting" if waits else "done")

    def _offer(self, home_id: str) -> Amounts | None:
        """Return what a home cluster is offered, None if it is no tenant."""
        for wire in self.foreigns.by("cluster-id", home_id):
            incoming = ForeignCluster.parse(wire).status.incoming
            if incoming is not None and incoming.phase == "Offered" and incoming.offered is not None:
                return parse_amounts(incoming.offered)
        return None

    async def _remove(self, wanted: Sequence[str], there: Mapping[str, Wire]) -> int:
        """Delete the namespaces that are wanted no more, with what runs in them."""
        over = [n for name, n in there.items() if name not in wanted and not _is_ending(n)]
        for namespace in over:
            metadata = namespace["metadata"]
            await self.home.delete(NAMESPACE, Key("", metadata["name"]), uid=metadata["uid"])
            self.bounds.pop(metadata["uid"], None)
            self.opened.discard(metadata["uid"])
        return len(over)

    async def _place(self, name: str, there: Wire | None, home_id: str) -> Wire | Reason:
        """Return the namespace that stands for home's, made if need be, or why there is none."""
        if (reason := refusal(name)) is not None:
            return reason
        if there is None:
            remote = remote_namespace(name, home_id)
            there = await created_or_there(self.home, NAMESPACE, forge_place(name, remote, home_id))
            if not is_place(there, name, home_id):
                return Reason.NAMESPACE_TAKEN
        return Reason.NAMESPACE_ENDING if _is_ending(there) else there

    async def _bound(
        self, home_id: str, offer: Amounts, placed: Mapping[str, Wire], needs: Mapping[str, Amounts]
    ) -> int:
        """Give each namespace its bounds, and spread the offer over their quotas."""
        writes = 0
        for remote, namespace in placed.items():
            writes += await self._fence(remote, namespace, home_id)
        found = {w["metadata"]["namespace"]: parse_quota(w) for w in self.quotas.by("cluster-id", home_id)}
        elsewhere = add(quota.used for remote, quota in found.items() if remote not in placed)
        left = {name: max(amount - elsewhere.get(name, 0), 0) for name, amount in offer.items()}
        changes = spread(left, {remote: found.get(remote) for remote in placed}, needs)
        for remote, amounts in changes.items():
            quota = forge_quota(remote, home_id, amounts)
            answer = await settled(
                partial(self.home.apply, RESOURCE_QUOTA, quota, manager=MANAGER), self.clock
            )
            self.quotas.note(answer)
        return writes + len(changes)

    async def _fence(self, remote: str, namespace: Wire, home_id: str) -> int:
        """Apply our own rights, the limit range and the network policy, where that was not done yet."""
        network = self._network(remote, home_id)
        uid = namespace["metadata"]["uid"]
        if self.bounds.get(uid) == network:
            return 0
        (kind, ours), _ = forge_workload_rights(self.namespace, remote, home_id)
        await self.home.apply(kind, ours, manager=MANAGER)
        for kind, bound in ((LIMIT_RANGE, forge_limits(remote, home_id)), (NETWORK_POLICY, network)):
            await settled(partial(self.home.apply, kind, bound, manager=MANAGER), self.clock)
        self.bounds[uid] = network
        return 3

    def _network(self, remote: str, home_id: str) -> Wire:
        if self.config().peering_config.private_egress:
            return forge_open_network(remote, home_id)
        return forge_network(remote, home_id, self._hosts())

    def _hosts(self) -> set[str]:
        """Return the addresses of our nodes and API server."""
        return {*addresses_of(self.nodes.values()), self.own_host()}

    async def _route(self, namespace: Wire, cidrs: str) -> int:
        """Note on a namespace where home's pods may be, for the policy on its EndpointSlices."""
        metadata = namespace["metadata"]
        if (metadata.get("annotations") or {}).get(POD_CIDRS_ANNOTATION, "") == cidrs:
            return 0
        patch = {"metadata": {"annotations": {POD_CIDRS_ANNOTATION: cidrs or None}}}
        answer = await self.home.patch(NAMESPACE, Key("", metadata["name"]), patch, manager=MANAGER)
        self.namespaces.note(answer)
        return 1

    async def _mapped(self, name: str, placed: Wire | Reason, home_id: str) -> Wire:
        """Return what the map says of one namespace; home gets its rights where the quota is enforced."""
        if isinstance(placed, Reason):
            return {"name": name, "reason": str(placed), "message": placed.sentence}
        remote, uid = placed["metadata"]["name"], placed["metadata"]["uid"]
        quotas = [q for q in self.quotas.by("cluster-id", home_id) if q["metadata"]["namespace"] == remote]
        if not any(parse_quota(q).enforced is not None for q in quotas):
            return {"name": name, "reason": str(Reason.COMPUTING)}  # the store wakes us
        if uid not in self.opened:
            _, (kind, theirs) = forge_workload_rights(self.namespace, remote, home_id)
            await self.home.apply(kind, theirs, manager=MANAGER)
            self.opened.add(uid)
        return {"name": name, "remote": remote}

    async def _tell(self, wire: Wire, mapped: Sequence[Wire]) -> int:
        """Write the map's status, if it is not so already."""
        metadata = {k: wire["metadata"][k] for k in ("name", "namespace", "uid")}
        body = {
            "apiVersion": NAMESPACE_MAP.api_version,
            "kind": NAMESPACE_MAP.kind,
            "metadata": metadata,
            "status": {"namespaces": list(mapped), "podCIDRs": own_cidrs(self.nodes.values())},
        }
        apply = Apply(kind=NAMESPACE_MAP, obj=body, seen=wire, subresource="status")
        return await act(Plan((apply,)), self.home, manager=MANAGER, events=self.events)


def _is_ending(namespace: Wire) -> bool:
    return "deletionTimestamp" in namespace["metadata"]
