"""What a home cluster is given, and how it is taken away: the steps that incoming peerings are made of."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.conditions import condition, status_body
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.kinds import ADVERTISEMENT, FEDERATION_REQUEST, FOREIGN_CLUSTER, NAMESPACE, ROLE
from liqo.api.meta import Condition, Key, Wire, format_time, labels_of
from liqo.api.names import (
    HOME_NAMESPACE_LABEL,
    INCOMING_FINALIZER,
    TENANT_SERVICE_ACCOUNT,
    WORKLOAD_CLUSTER_ROLE,
    tenant_namespace,
    tenant_role,
)
from liqo.api.reasons import ConditionType
from liqo.identity.kubeconfig import Credentials, unseal
from liqo.peering.conditions import INCOMING
from liqo.peering.forge import forge_advertisement
from liqo.peering.incoming import Answer, Asked, Seen
from liqo.peering.loop_rights import revoke
from liqo.peering.loop_status import Owner
from liqo.peering.places import CallBacks
from liqo.peering.ports import Ourselves
from liqo.runtime.loop import Outcome
from liqo.runtime.plan import Apply, Plan, act, is_applied
from liqo.runtime.ports import Clock, Cluster, Clusters, Events, Selection, Way
from liqo.runtime.store import Store

MANAGER = "liqo-incoming"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenants:
    """What one home cluster is given here and at home, and how that is taken away again."""

    home: Cluster  # our own cluster, which is foreign here
    clusters: Clusters
    foreigns: Store  # ForeignClusters, by index "cluster-id"
    requests: Store  # FederationRequests in Liqo's namespace, by index "cluster-id"
    invites: Store  # ServiceAccounts of open ones
    namespaces: Store  # tenant namespaces, by index "cluster-id"
    config: Callable[[], ClusterConfigSpec]
    us: Callable[[], Ourselves]
    events: Events
    clock: Clock
    resolve: Callable[[str], Awaitable[frozenset[str]]]  # the addresses of a host
    calls: CallBacks = field(default_factory=CallBacks)

    def _watched(self, cluster_id: str) -> dict[Key, Wire] | None:
        session = self.clusters.get(cluster_id, Way.INCOMING)
        if session is None:
            return None
        selection = Selection(ADVERTISEMENT, namespace=session.namespace, name=self.us().cluster_id)
        found = self.clusters.watched(cluster_id, Way.INCOMING, selection)
        return None if found is None else dict(found)

    async def _forget(self, asked: Asked) -> None:
        """Delete a request that is over."""
        metadata = asked.request.metadata
        key = Key(metadata.namespace, metadata.name)
        await self.home.delete(FEDERATION_REQUEST, key, uid=metadata.uid)

    async def _mark(self, asked: Asked, phase: str, reason: str, message: str = "") -> int:
        """Say in a request's status what became of it."""
        metadata = asked.request.metadata
        body = status_body(
            FEDERATION_REQUEST.api_version,
            FEDERATION_REQUEST.kind,
            metadata.name,
            metadata.uid,
            {"phase": phase, "reason": str(reason), "message": message[:1024]},
        )
        body["metadata"]["namespace"] = metadata.namespace
        apply = Apply(kind=FEDERATION_REQUEST, obj=body, seen=asked.wire, subresource="status")
        return await act(Plan((apply,)), self.home, manager=MANAGER, events=self.events)

    def _open(self, cluster_id: str, sealed: str | None) -> Credentials:
        """Open what a home cluster sealed to us."""
        us = self.us()
        return unseal(sealed or "", us.identity, issuer=cluster_id, audience=us.cluster_id)

    async def _advertise(self, cluster_id: str, home: Cluster, spec: Wire, namespace: str) -> int:
        """Apply our Advertisement at home, if it is not so already."""
        body = forge_advertisement(self.us(), spec, namespace)
        seen = self._watched(cluster_id)
        wire = next(iter(seen.values()), None) if seen else None
        if wire is not None and is_applied(body, wire, MANAGER):
            return 0
        await home.apply(ADVERTISEMENT, body, manager=MANAGER)
        return 1

    async def _end(self, cluster_id: str, seen: Seen) -> Outcome:
        """Take down what home could do here, then what it could see; again until nothing is left."""
        namespace, tenant, role = self.us().namespace, tenant_namespace(cluster_id), tenant_role(cluster_id)
        attributes = {
            "verb": "create",
            "group": FEDERATION_REQUEST.group,
            "resource": FEDERATION_REQUEST.plural,
            "namespace": namespace,
        }
        places = [
            n["metadata"]["name"]
            for n in self.namespaces.by("cluster-id", cluster_id)
            if HOME_NAMESPACE_LABEL in labels_of(n)
        ]
        own = [Key(namespace, role), Key(tenant, TENANT_SERVICE_ACCOUNT)]
        await revoke(
            self.home,
            bindings=[*own, *(Key(place, WORKLOAD_CLUSTER_ROLE) for place in places)],
            probe=(TENANT_SERVICE_ACCOUNT, tenant, attributes),
            then=[*((NAMESPACE, Key("", n)) for n in (*places, tenant)), (ROLE, Key(namespace, role))],
            clock=self.clock,
        )
        for asked in seen.asked:
            await self._forget(asked)
        self.clusters.drop(cluster_id, Way.INCOMING)
        if seen.foreign is not None:
            await self._release(seen.foreign, seen)
        return Outcome(writes=6 + len(seen.asked))

    async def _release(self, foreign: ForeignCluster, seen: Seen) -> None:
        """Leave the ForeignCluster as it was before, but for a refusal and the time of the last request."""
        verdict, incoming = seen.verdict, foreign.status.incoming
        changes: tuple[Condition, ...] = ()
        if verdict.answer is Answer.DENY:
            changes = (condition(ConditionType.INCOMING_ACCEPTED, False, verdict.reason, verdict.message),)
        times = [asked.issued for asked in seen.asked]
        if incoming is not None and incoming.last_request is not None:
            times.append(incoming.last_request)
        last = max(times, default=None)  # of a withdrawal too: it is not to be sent again by somebody else
        await self._leave(foreign, {"lastRequest": format_time(last)} if last is not None else None, changes)

    async def _leave(
        self, foreign: ForeignCluster, incoming: Wire | None, conditions: Sequence[Condition]
    ) -> None:
        """Take our part off a ForeignCluster; one that we made and nobody touched goes."""
        await self._tell(foreign, incoming, conditions, only=frozenset(c.type for c in conditions))
        untouched = foreign.metadata.generation <= 1 and not foreign.spec.join
        if foreign.spec.discovery_type == "IncomingPeering" and untouched and not foreign.status.sources:
            key = Key("", foreign.metadata.name)
            await self.home.delete(FOREIGN_CLUSTER, key, uid=foreign.metadata.uid)
        await self._owner.hold(foreign, held=False)  # last: whoever is killed before this begins again

    async def _tell(
        self,
        foreign: ForeignCluster,
        incoming: Wire | None,
        changes: Sequence[Condition],
        *,
        only: frozenset[str] | None = None,
    ) -> int:
        """Write our part of the status; what is offered belongs to the room `sharing`."""
        mine = {k: v for k, v in (incoming or {}).items() if k not in {"offered", "offeredLabels"}}
        return await self._owner.tell(foreign, {"incoming": mine} if mine else {}, changes, only=only)

    @property
    def _owner(self) -> Owner:
        return Owner(
            home=self.home,
            foreigns=self.foreigns,
            manager=MANAGER,
            finalizer=INCOMING_FINALIZER,
            conditions=frozenset(INCOMING),
            events=self.events,
            clock=self.clock,
        )
