"""How those who ask to use this cluster are weighed, and called back before anything is made for them."""

from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import urlsplit

from liqo.api.advertisement import Advertisement
from liqo.api.conditions import condition
from liqo.api.federation_request import FederationRequest
from liqo.api.foreign_cluster import ForeignCluster, Pin, counting
from liqo.api.kinds import CONFIG_MAP, FEDERATION_REQUEST, FOREIGN_CLUSTER
from liqo.api.meta import Key, Wire, format_time
from liqo.api.names import WELL_KNOWN_CONFIG_MAP, WELL_KNOWN_KEY
from liqo.api.reasons import ConditionType, Reason
from liqo.errors import Fault, Malformed, NotTrusted, Unavailable
from liqo.identity.cluster_id import is_legacy_id
from liqo.identity.document import Document, parse_document
from liqo.identity.keys import Keys
from liqo.identity.request import verify_proof
from liqo.peering.forge import created, forge_foreign
from liqo.peering.incoming import (
    CALL_BACK_WITHIN,
    Asked,
    Decision,
    Seen,
    created_at,
    judge,
)
from liqo.peering.invites import invite_of
from liqo.peering.loop_tenant import Tenants
from liqo.peering.pins import PinChanged, check, first_use, forge_pin, takes_own_ca
from liqo.peering.places import exceeds, has_own_place, is_waiting, tenants
from liqo.runtime.loop import Outcome
from liqo.runtime.plan import created_or_there
from liqo.runtime.ports import Way

TURN = timedelta(seconds=1)  # then another may have been called back


class Asking(Tenants):
    """What happens between a request and its acceptance."""

    async def _observe(self, cluster_id: str, known: Sequence[ForeignCluster]) -> Seen:
        """Read the stores; requests whose proof is bad go at once."""
        asked = []
        for wire in self.requests.by("cluster-id", cluster_id):
            try:
                request = FederationRequest.parse(wire)
                proof = verify_proof(
                    wire["spec"],
                    created(wire),
                    audience=self.us().identity.keys.thumbprint,
                    name=request.metadata.name,
                )
                if proof.legacy:
                    check(known, Pin(signing_key=proof.thumbprint))
            except (Malformed, NotTrusted):
                await self.home.delete(FEDERATION_REQUEST, Key.of(wire), uid=wire["metadata"]["uid"])
                continue
            asked.append(Asked(request=request, wire=wire, jti=proof.jti, issued=proof.iat))
        config, invited = self.config(), self._is_invited(asked)
        verdict = judge(
            cluster_id,
            known,
            config,
            peers=self._peers(cluster_id),
            legacy=is_legacy_id(cluster_id),
            invited=invited,
        )
        stranger = not has_own_place(cluster_id, known, config, invited=invited)
        return Seen(
            forget_after=timedelta(seconds=config.peering_config.forget_after),
            stranger=stranger,
            exceeds=stranger and exceeds(cluster_id, self._strangers(), config.peering_config.max_pending),
            asked=asked,
            foreign=counting(known),
            remote=self._remote(cluster_id),
            tenant_there=bool(self.namespaces.by("cluster-id", cluster_id)),
            verdict=verdict,
        )

    def _siblings(self, cluster_id: str) -> list[ForeignCluster]:
        return [ForeignCluster.parse(w) for w in self.foreigns.by("cluster-id", cluster_id)]

    def _peers(self, cluster_id: str) -> int:
        """Return how many other clusters are tenants, or will be."""
        return len(tenants(self.namespaces.values(), self.foreigns.by("taken", "")) - {cluster_id})

    def _is_invited(self, asked: Sequence[Asked]) -> bool:
        """Return whether the newest request came with an invite."""
        if not any(a.request.spec.invite for a in asked):
            return False
        newest = max(asked, key=lambda a: (a.issued, a.jti))
        invites = {w["metadata"]["name"]: w for w in self.invites.values()}
        return invite_of(newest.wire, invites, self.requests.values(), self.clock.now())

    def _strangers(self) -> list[Wire]:
        """Return all requests that wait without a place of their own."""
        config = self.config()
        found = []
        for wire in self.requests.values():
            asker = wire["spec"]["clusterID"]
            known = self._siblings(asker)
            invited = "invite" in wire["spec"]
            if is_waiting(wire) and not has_own_place(asker, known, config, invited=invited):
                found.append(wire)
        return found

    def _remote(self, cluster_id: str) -> Advertisement | None:
        """Return our Advertisement at home, as far as a watch there has seen it."""
        seen = self._watched(cluster_id)
        wire = next(iter(seen.values()), None) if seen else None
        return Advertisement.parse(wire) if wire is not None else None

    async def _rest(self, seen: Seen, decision: Decision) -> Outcome:
        """Nothing to do, or a person has to decide."""
        if decision.newest is None:
            return Outcome()
        verdict = seen.verdict
        writes = await self._mark(decision.newest, "Pending", verdict.reason, verdict.message)
        return Outcome(wake=decision.wake, writes=writes, outcome="waiting", reason=verdict.reason)

    async def _call_back_in_turn(self, cluster_id: str, seen: Seen, decision: Decision) -> Outcome:
        """Call a cluster back; a stranger only while few others are, and as long as it could become a tenant."""
        asked = decision.newest
        assert asked is not None
        if not seen.stranger:
            return await self._call_back(cluster_id, seen, asked)
        try:
            server = self._open(cluster_id, asked.request.spec.kube_config).server
        except Fault:
            return await self._call_back(
                cluster_id, seen, asked
            )  # which says what is wrong, and calls nobody
        addresses = await self.resolve(urlsplit(server).hostname or "")
        places = self.config().peering_config.max_peers - self._peers(cluster_id)
        with self.calls.place(asked.request.metadata.name, addresses, most=places) as free:
            if free:
                return await self._call_back(cluster_id, seen, asked)
        reason = Reason.TOO_MANY_CALL_BACKS
        if self.clock.now() >= created_at(asked) + CALL_BACK_WITHIN:
            return await self._drop(asked, reason, reason.sentence)
        writes = await self._mark(asked, "Pending", reason, reason.sentence)
        return Outcome(wake=TURN, writes=writes, outcome="waiting", reason=reason)

    async def _call_back(self, cluster_id: str, seen: Seen, asked: Asked) -> Outcome:
        """Accept a request once the address in it was seen to lead to the cluster that signed it."""
        spec = asked.request.spec
        foreign = seen.foreign
        untrusted = takes_own_ca(
            cluster_id,
            self._siblings(cluster_id),
            otherwise=self.config().discovery_config.accept_untrusted_ca,
        )
        try:
            credentials = self._open(cluster_id, spec.kube_config)
            self.clusters.use(cluster_id, Way.INCOMING, spec.kube_config or "")
            document = await self._read_document(cluster_id, spec.namespace)
            if document.keys.thumbprint != Keys.parse(asked.wire["spec"]["keys"]).thumbprint:
                raise NotTrusted("another key is in the document there", reason=Reason.WRONG_CLUSTER_ID)
        except PinChanged:
            raise
        except Fault as fault:
            self.clusters.drop(cluster_id, Way.INCOMING)
            await self._mark(asked, "Pending", Reason.CALL_BACK_FAILED, fault.message)
            within = CALL_BACK_WITHIN if seen.stranger else seen.forget_after
            if self.clock.now() < created_at(asked) + within:
                raise Unavailable(fault.message, reason=Reason.CALL_BACK_FAILED) from fault
            return await self._drop(asked, Reason.CALL_BACK_FAILED, fault.message)
        if foreign is None:
            wire = forge_foreign(asked.wire, credentials.server, allow_untrusted=untrusted)
            foreign = ForeignCluster.parse(await created_or_there(self.home, FOREIGN_CLUSTER, wire))
        if document.legacy:
            shown = forge_pin(document.keys.thumbprint, credentials.ca_pem if untrusted else "")
            await self._owner.pin(foreign, first_use(foreign, shown), None)
        await self._owner.hold(foreign, held=True)
        old = foreign.status.incoming.wire() if foreign.status.incoming is not None else {}
        incoming = {
            k: v for k, v in old.items() if k in {"tokenDigest", "tokenRenews", "tokenExpires", "access"}
        } | {
            "phase": "Accepted",
            "jti": asked.jti,
            "lastRequest": format_time(asked.issued),
            "namespace": spec.namespace,
            "server": credentials.server,
            "kubeConfig": spec.kube_config,
            "acceptedAt": old.get("acceptedAt") or format_time(self.clock.now()),
        }
        accepted = condition(ConditionType.INCOMING_ACCEPTED, True, seen.verdict.reason)
        await self._tell(foreign, incoming, [accepted])
        await self._mark(asked, "Accepted", seen.verdict.reason)
        return Outcome(writes=5)

    async def _drop(self, asked: Asked, reason: Reason, message: str) -> Outcome:
        """Delete a request that could not be called back in time, and say why: others wait for its place."""
        self.events.emit(asked.wire, FEDERATION_REQUEST, reason=reason, message=message, warning=True)
        await self._forget(asked)
        return Outcome(writes=2, outcome="refused", reason=reason)

    async def _read_document(self, cluster_id: str, namespace: str) -> Document:
        """Read a home cluster's well-known document with the token that it sent; it may let no stranger in."""
        session = self.clusters.get(cluster_id, Way.INCOMING)
        assert session is not None
        found = await session.cluster.get(CONFIG_MAP, Key(namespace, WELL_KNOWN_CONFIG_MAP))
        text = (found.get("data") or {}).get(WELL_KNOWN_KEY, "")
        return parse_document(text, self.clock.now(), expected=cluster_id)
