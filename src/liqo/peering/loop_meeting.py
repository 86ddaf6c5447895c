"""How a foreign cluster is met, told of and given up: the steps that outgoing peerings are made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from liqo.api.conditions import condition
from liqo.api.foreign_cluster import ForeignCluster, endpoints_of
from liqo.api.kinds import ADVERTISEMENT, ROLE, SERVICE_ACCOUNT
from liqo.api.meta import Condition, Key, Wire, format_time
from liqo.api.names import OUTGOING_FINALIZER, peer_account
from liqo.api.reasons import ConditionType, Reason
from liqo.errors import Fault, Refused
from liqo.peering.conditions import OUTGOING
from liqo.peering.loop_rights import revoke
from liqo.peering.loop_status import Owner
from liqo.peering.pins import PinChanged, check, first_use, forge_pin, takes_own_ca
from liqo.peering.ports import Contact, Met, Ourselves
from liqo.runtime.ports import Clock, Cluster, Clusters, Events, Way
from liqo.runtime.store import Store

MANAGER = "liqo-outgoing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meetings:
    """All that the reconciles of outgoing peerings share."""

    home: Cluster
    clusters: Clusters
    contact: Contact
    foreigns: Store  # ForeignClusters, by index "cluster-id"
    advertisements: Store  # in Liqo's namespace
    accounts: Store  # ServiceAccounts of foreign clusters there
    nodes: Store  # by index "cluster-id"
    us: Callable[[], Ourselves]
    events: Events
    clock: Clock

    async def _meet(self, foreign: ForeignCluster) -> Met:
        """Meet the cluster, and say on the ForeignCluster why that fails if it does."""
        try:
            return await self._try_to_meet(foreign)
        except PinChanged as fault:
            await self._owner.pin(foreign, foreign.status.pin, fault.shown)
            self.clusters.drop(foreign.spec.cluster_id or "", Way.OUTGOING)
            await self._tell_fault(foreign, fault)
            raise
        except Fault as fault:
            await self._tell_fault(foreign, fault)
            raise

    async def _try_to_meet(self, foreign: ForeignCluster) -> Met:
        """Meet the cluster."""
        servers = endpoints_of(foreign)
        if not servers:
            raise Refused(
                "no address of that cluster is known",
                reason=Reason.NO_ADDRESS,
                hint="set spec.apiUrl, or let discovery find it",
            )
        cluster_id = foreign.spec.cluster_id
        met = await self.contact.meet(
            servers,
            foreign.spec.namespace,
            expected=cluster_id,
            allow_untrusted=takes_own_ca(
                cluster_id or "", self._siblings(cluster_id) or [foreign], otherwise=False
            ),
            door=foreign.spec.door_url or "",
        )
        if met.document.legacy:
            await self._recognise(foreign, met)
        return met

    async def _recognise(self, foreign: ForeignCluster, met: Met) -> None:
        """See that a legacy id shows what it is known by; what it shows first is written down before anything is sent.

        Raises:
            PinChanged: it shows something else.
        """
        shown = forge_pin(met.document.keys.thumbprint, met.ca_pem)
        check(self._siblings(met.document.cluster_id), shown)
        if foreign.spec.cluster_id is not None:
            await self._owner.pin(foreign, first_use(foreign, shown), None)

    def _siblings(self, cluster_id: str | None) -> list[ForeignCluster]:
        """Return all ForeignClusters of a cluster; none while its id is to be learnt."""
        found = self.foreigns.by("cluster-id", cluster_id) if cluster_id else ()
        return [ForeignCluster.parse(w) for w in found]

    async def _tell_fault(self, foreign: ForeignCluster, fault: Fault) -> None:
        """Put a fault of first contact where a person looks for it."""
        trust = {Reason.CA_NOT_TRUSTED, Reason.CA_NOT_SHOWN, Reason.PIN_CHANGED, Reason.ADDRESS_REFUSED}
        identity = {
            Reason.WRONG_CLUSTER_ID,
            Reason.IDENTITY_REPLACED,
            Reason.BAD_SIGNATURE,
            Reason.DOCUMENT_EXPIRED,
            Reason.CLOCK_SKEW,
            Reason.DOCUMENT_MISSING,
        }
        reason, out = fault.reason, self._outgoing(foreign)
        if reason == Reason.WRONG_CLUSTER_ID and foreign.status.signing_key:
            reason = Reason.IDENTITY_REPLACED
            if self._answers(foreign):
                out |= self._refused(foreign) | {"requestedAt": format_time(self.clock.now())}
        changes = [condition(ConditionType.REQUESTED, False, reason, str(fault))]
        if reason in trust:
            changes.append(condition(ConditionType.TRUSTED, False, reason, str(fault)))
        if reason in identity:
            changes.append(condition(ConditionType.IDENTITY_VERIFIED, False, reason, str(fault)))
        await self._tell(foreign, out, changes)

    def _answers(self, foreign: ForeignCluster) -> bool:
        """Return whether whoever is at the address proved to hold the key of the certificate we know.

        If not, nothing is ended for its sake: it may sit on the line.
        """
        session = self.clusters.get(foreign.spec.cluster_id or "", Way.OUTGOING)
        return session is None or session.reason != Reason.CA_NOT_TRUSTED

    @staticmethod
    def _refused(foreign: ForeignCluster) -> Wire:
        """Return what makes a refusal last until spec changes."""
        return {"phase": "Refused", "refusedGeneration": foreign.metadata.generation}

    async def _revoke(self, cluster_id: str) -> None:
        """Remove what foreign could do here, and then what it could see."""
        namespace, account = self.us().namespace, peer_account(cluster_id)
        key = Key(namespace, account)
        attributes = {
            "verb": "get",
            "group": ADVERTISEMENT.group,
            "resource": ADVERTISEMENT.plural,
            "namespace": namespace,
            "name": cluster_id,
        }
        await revoke(
            self.home,
            bindings=[key],
            probe=(account, namespace, attributes),
            then=[(ADVERTISEMENT, Key(namespace, cluster_id)), (SERVICE_ACCOUNT, key), (ROLE, key)],
            clock=self.clock,
        )

    @staticmethod
    def _outgoing(foreign: ForeignCluster, **changes: str | None) -> Wire:
        """Return status.outgoing as it is but for the changes, without what another loop owns there."""
        outgoing = foreign.status.outgoing
        kept = outgoing.wire() if outgoing is not None else {}
        kept.pop("nodeName", None)
        return kept | {k: v for k, v in changes.items() if v is not None}

    async def _tell(
        self,
        foreign: ForeignCluster,
        outgoing: Wire | None,
        changes: Sequence[Condition],
        *,
        signing_key: str = "",
        only: frozenset[str] | None = None,
    ) -> int:
        """Write our part of the status; the key that was proved once stays."""
        fields: Wire = {"outgoing": outgoing} if outgoing else {}
        key = signing_key or foreign.status.signing_key
        if key:
            fields["signingKey"] = key
        return await self._owner.tell(foreign, fields, changes, only=only)

    @property
    def _owner(self) -> Owner:
        return Owner(
            home=self.home,
            foreigns=self.foreigns,
            manager=MANAGER,
            finalizer=OUTGOING_FINALIZER,
            conditions=frozenset(OUTGOING),
            events=self.events,
            clock=self.clock,
        )
