"""Runs outgoing peerings: a key is the name of a ForeignCluster."""

from collections.abc import Sequence
from datetime import timedelta

from liqo.api.advertisement import Advertisement
from liqo.api.conditions import condition, status_body
from liqo.api.foreign_cluster import ForeignCluster, counting, is_contradicted
from liqo.api.kinds import ADVERTISEMENT, FEDERATION_REQUEST, FOREIGN_CLUSTER
from liqo.api.meta import Condition, Key, Wire, find_condition, format_time
from liqo.api.names import peer_account, request_name
from liqo.api.reasons import ConditionType, Reason
from liqo.api.rights import forge_peer_rights
from liqo.errors import Absent, Fault, Malformed, NotTrusted, Refused, Unauthorized, Unavailable
from liqo.identity.document import LEEWAY
from liqo.identity.keys import thumbprint
from liqo.identity.kubeconfig import digest, token_account, token_expiry, unseal
from liqo.identity.request import new_jti
from liqo.peering.forge import forge_request, forge_sealed
from liqo.peering.loop_meeting import MANAGER, Meetings
from liqo.peering.loop_rights import grant, issue_token
from liqo.peering.outgoing import APART, GIVE_UP_AFTER, Decision, Move, Seen, decide, is_accepted
from liqo.peering.pins import PinChanged
from liqo.peering.ports import Met
from liqo.runtime.loop import Outcome
from liqo.runtime.ports import Health, Way
from liqo.runtime.secret import Secret

SOON = timedelta(milliseconds=200)
PASSING = (
    Reason.TOO_MANY_PENDING,
    Reason.PROOF_EXPIRED,
    Reason.CLOCK_SKEW,
)  # refusals that may pass by themselves


class OutgoingPeerings(Meetings):
    """All reconciles of outgoing peerings."""

    async def reconcile(self, key: Key) -> Outcome:
        """Bring one outgoing peering a step closer."""
        wire = self.foreigns.get(key)
        if wire is None:
            return Outcome()
        foreign = ForeignCluster.parse(wire)
        seen = self._observe(foreign)
        decision = decide(seen, self.clock.now())
        if decision.stale_offer and seen.advertisement is not None:
            meta = seen.advertisement.metadata
            await self.home.delete(ADVERTISEMENT, Key(meta.namespace, meta.name), uid=meta.uid)
        match decision.move:
            case Move.REST:
                return await self._rest(foreign, seen, decision)
            case Move.LEARN:
                return await self._learn(foreign)
            case Move.ASK:
                return await self._ask(foreign)
            case Move.HAND_OVER:
                return await self._hand_over(foreign, seen, decision)
            case Move.END | Move.REFUSED:
                return await self._end(foreign, seen, decision)

    def _observe(self, foreign: ForeignCluster) -> Seen:
        """Read the stores."""
        us = self.us()
        cluster_id = foreign.spec.cluster_id
        found = self.advertisements.get(Key(us.namespace, cluster_id)) if cluster_id else None
        offer = Advertisement.parse(found) if found else None
        fault = self._use(foreign, offer)
        counts = counting(self._siblings(cluster_id)) or foreign
        return Seen(
            foreign=foreign,
            counts=counts.metadata.name,
            home_id=us.cluster_id,
            access=us.access,
            server=us.server,
            certificate_names=us.certificate_names,
            advertisement=offer,
            unusable=fault.message if fault is not None else "",
            changed=isinstance(fault, PinChanged) or foreign.status.shown is not None,
            session=self.clusters.get(cluster_id, Way.OUTGOING) if cluster_id else None,
            account_there=bool(cluster_id)
            and Key(us.namespace, peer_account(cluster_id or "")) in self.accounts,
            node_there=bool(cluster_id and self.nodes.by("cluster-id", cluster_id)),
        )

    async def _rest(self, foreign: ForeignCluster, seen: Seen, decision: Decision) -> Outcome:
        """Take the offer's credentials into use and say what is true."""
        changes = list(decision.conditions)
        offer = seen.advertisement
        if decision.use_offer and offer is not None:
            await self._acknowledge(offer)
        if decision.forget:
            only = frozenset({ConditionType.REQUESTED})
            return Outcome(writes=await self._tell(foreign, None, changes, only=only))
        out = self._outgoing(foreign, phase=decision.phase, namespace=offer.spec.namespace if offer else None)
        writes = await self._tell(foreign, out, changes)
        waiting = decision.phase != "Established" and foreign.spec.join
        return Outcome(wake=decision.wake, writes=writes, outcome="waiting" if waiting else "done")

    def _use(self, foreign: ForeignCluster, offer: Advertisement | None) -> Fault | None:
        """Make the credentials in an accepted offer the current ones; return why they are unusable.

        This comes before any decision, so that none is taken on the health of a connection that is over.
        """
        cluster_id, outgoing = foreign.spec.cluster_id, foreign.status.outgoing
        if cluster_id is None or outgoing is None or offer is None or not is_accepted(offer, outgoing):
            return None
        try:
            self.clusters.use(cluster_id, Way.OUTGOING, offer.spec.kube_config or "")
        except (Malformed, NotTrusted) as fault:
            return fault
        return None

    async def _acknowledge(self, offer: Advertisement) -> None:
        """Tell foreign which of its tokens we use."""
        seen = digest(offer.spec.kube_config or "")
        if offer.status.token_seen != seen:
            await self._advertisement_status(offer, token_seen=seen, kube_config=offer.status.kube_config)

    async def _advertisement_status(
        self, offer: Advertisement, *, token_seen: str, kube_config: str | None
    ) -> None:
        """Write the two fields of an Advertisement's status that hand tokens over."""
        body = status_body(
            ADVERTISEMENT.api_version,
            ADVERTISEMENT.kind,
            offer.metadata.name,
            offer.metadata.uid,
            {"tokenSeen": token_seen, **({"kubeConfig": kube_config} if kube_config else {})},
        )
        body["metadata"]["namespace"] = offer.metadata.namespace
        written = await self.home.apply(ADVERTISEMENT, body, manager=MANAGER, subresource="status")
        self.advertisements.note(written)  # the next look must not take back what was just handed over

    async def _learn(self, foreign: ForeignCluster) -> Outcome:
        """Ask the address who is there and write the answer once."""
        met = await self._meet(foreign)
        name = foreign.metadata.name
        patch = {
            "metadata": {"resourceVersion": foreign.metadata.resource_version},
            "spec": {
                "clusterID": met.document.cluster_id,
                "clusterName": foreign.spec.cluster_name or met.document.cluster_name,
            },
        }
        await self.home.patch(FOREIGN_CLUSTER, Key("", name), patch, manager=f"{MANAGER}-once")
        return Outcome(writes=1, outcome="waiting")

    async def _ask(self, foreign: ForeignCluster) -> Outcome:
        """Give foreign the rights it needs here, and send a request that carries them."""
        us = self.us()
        cluster_id, outgoing = foreign.spec.cluster_id, foreign.status.outgoing
        assert cluster_id is not None
        asked = outgoing.requested_at if outgoing is not None else None
        if asked is not None and self.clock.now() < asked + APART:
            return Outcome(wake=APART, outcome="waiting")
        if not us.server:
            raise Refused(
                "no address is known at which others reach our API server",
                reason=Reason.NO_OWN_ADDRESS,
                hint="set spec.discoveryConfig.apiUrl in ClusterConfig clusterconfig",
            )
        met = await self._meet(foreign)
        if outgoing is None or outgoing.phase != "Established":
            await self._compare_clocks(foreign, met)
        await self._owner.hold(foreign, held=True)
        account = peer_account(cluster_id)
        await grant(self.home, forge_peer_rights(us.namespace, cluster_id), manager=MANAGER, clock=self.clock)
        token = await issue_token(self.home, us.namespace, account, self.clock)
        sealed = forge_sealed(us, token.text, us.namespace, met.document.keys.sealing, cluster_id)
        jti = new_jti()
        out: Wire = {
            "phase": "Requesting",
            "jti": jti,
            "server": met.server,
            "requestedAt": format_time(self.clock.now()),
            "tokenDigest": digest(sealed),
            "sealedTo": thumbprint(met.document.keys.sealing),
            "askedAs": us.cluster_id,
            "access": us.access,
            **token.times(),
        }
        told = find_condition(foreign.status.conditions, ConditionType.REQUESTED)
        # What went wrong stays to be read, and keeps its time, until a request gets through.
        failing = outgoing is not None and outgoing.jti and told is not None and told.status == "False"
        told_trust = find_condition(foreign.status.conditions, ConditionType.TRUSTED)
        by = Reason.CA_FROM_DOCUMENT if met.ca_pem else Reason.CA_TRUSTED
        trusted = condition(ConditionType.TRUSTED, True, by)
        conditions = [
            self._verified(foreign, met),
            told_trust if failing and told_trust else trusted,
            told if failing and told else condition(ConditionType.REQUESTED, None, Reason.REQUESTING),
        ]
        await self._tell(foreign, out, conditions, signing_key=met.document.keys.thumbprint)
        try:
            warnings = await self._send(foreign, met, jti, sealed)
        except Fault as fault:
            untrusted = (
                fault.reason == Reason.CA_NOT_TRUSTED
            )  # it never heard the request: it refused nothing
            refused = isinstance(fault, Refused) and not untrusted
            final = refused and not any(f"{r}:" in fault.message for r in PASSING)
            reason = Reason.REQUEST_REFUSED if refused else fault.reason
            conditions[1] = (
                condition(ConditionType.TRUSTED, False, reason, str(fault)) if untrusted else trusted
            )
            conditions[2] = condition(ConditionType.REQUESTED, False, reason, str(fault))
            if final:
                out |= self._refused(foreign)
            await self._tell(foreign, out, conditions, signing_key=met.document.keys.thumbprint)
            outcome, wake = ("refused", None) if final else ("waiting", APART)
            return Outcome(writes=3, wake=wake, outcome=outcome, reason=fault.reason)
        conditions[1:] = [trusted, condition(ConditionType.REQUESTED, True, Reason.SENT)]
        if warnings:
            conditions.append(condition(ConditionType.ACCEPTED, None, Reason.PENDING, "; ".join(warnings)))
        out["phase"] = "Requested"
        await self._tell(foreign, out, conditions, signing_key=met.document.keys.thumbprint)
        return Outcome(writes=8, wake=timedelta(seconds=10), outcome="waiting")

    async def _send(self, foreign: ForeignCluster, met: Met, jti: str, sealed: str) -> Sequence[str]:
        """Send a request, with the invite that its owner gave us as long as that counts."""
        us, namespace = self.us(), foreign.spec.namespace
        token = self._invite(foreign)
        if token is not None:
            request = forge_request(us, met, jti, sealed, invite=token_account(token))
            try:
                return await self.contact.ask(met, namespace, request, token=token)
            except Unauthorized:
                pass  # it was used, or taken back
        return await self.contact.ask(met, namespace, forge_request(us, met, jti, sealed))

    def _invite(self, foreign: ForeignCluster) -> Secret | None:
        """Return the token of the invite that a person put into spec, sealed to ourselves; None if it is over."""
        us = self.us()
        if foreign.spec.invite is None:
            return None
        token = unseal(foreign.spec.invite, us.identity, issuer=us.cluster_id, audience=us.cluster_id).token
        end = token_expiry(token)
        return token if end is None or self.clock.now() < end else None

    async def _compare_clocks(self, foreign: ForeignCluster, met: Met) -> None:
        """Begin nothing with a cluster that will not take what we sign; a peering that runs is not ended for it."""
        now = self.clock.now()
        if abs(met.at - now) <= LEEWAY:
            return
        fault = NotTrusted(
            f"the clock there says {format_time(met.at)}, and here it is {format_time(now)}",
            reason=Reason.CLOCK_SKEW,
            hint="set the clocks of both clusters",
        )
        await self._tell_fault(foreign, fault)
        raise fault

    def _verified(self, foreign: ForeignCluster, met: Met) -> Condition:
        """Return what the document proves, and where another cluster is that should not be there."""
        if met.document.legacy:
            return condition(ConditionType.IDENTITY_VERIFIED, False, Reason.LEGACY_CLUSTER_ID)
        siblings = [
            f for f in self._siblings(met.document.cluster_id) if f.metadata.uid != foreign.metadata.uid
        ]
        rivals = [f"the address of ForeignCluster {f.metadata.name}" for f in siblings if is_contradicted(f)]
        others = [*rivals, *met.others]
        if not others:
            return condition(ConditionType.IDENTITY_VERIFIED, True, Reason.VERIFIED)
        message = f"It proved its ClusterID; another cluster is at {', '.join(others)}."
        return condition(ConditionType.IDENTITY_VERIFIED, True, Reason.ID_CONFLICT, message)

    async def _hand_over(self, foreign: ForeignCluster, seen: Seen, decision: Decision) -> Outcome:
        """Give foreign the next token, sealed, in the status of its Advertisement."""
        us, offer, cluster_id = self.us(), seen.advertisement, foreign.spec.cluster_id
        assert offer is not None
        assert cluster_id is not None
        met = await self._meet(foreign)
        sealing = thumbprint(met.document.keys.sealing)
        if offer.spec.sealing_key not in {"", sealing}:
            raise Unavailable("its document does not show yet the key that it wants us to seal to")
        token = await issue_token(self.home, us.namespace, peer_account(cluster_id), self.clock)
        sealed = forge_sealed(us, token.text, us.namespace, met.document.keys.sealing, cluster_id)
        await self._advertisement_status(offer, token_seen=offer.status.token_seen, kube_config=sealed)
        out = self._outgoing(foreign, phase=decision.phase)
        out |= {"tokenDigest": digest(sealed), "sealedTo": sealing, "access": us.access, **token.times()}
        await self._tell(foreign, out, decision.conditions)
        return Outcome(writes=3, wake=SOON)

    async def _end(self, foreign: ForeignCluster, seen: Seen, decision: Decision) -> Outcome:
        """Take down what is ours, here and there; again and again until nothing is left."""
        cluster_id, outgoing = foreign.spec.cluster_id, foreign.status.outgoing
        since = (outgoing.ending_since if outgoing else None) or self.clock.now()
        out = self._outgoing(foreign, phase=decision.phase) | {"endingSince": format_time(since)}
        if decision.move is Move.REFUSED:
            out["refusedGeneration"] = foreign.metadata.generation
        writes = await self._tell(foreign, out, decision.conditions)
        if seen.node_there:
            return Outcome(writes=writes, outcome="waiting")  # the room `node` removes it; its store wakes us
        if cluster_id is not None:
            if (
                decision.move is Move.END
                and not await self._withdraw(foreign)
                and self.clock.now() < since + GIVE_UP_AFTER  # to ask a silent one takes seconds
            ):
                return Outcome(writes=writes, wake=timedelta(seconds=1), outcome="waiting")
            await self._revoke(cluster_id)
            self.clusters.drop(cluster_id, Way.OUTGOING)
        if decision.move is Move.END:
            over = condition(ConditionType.REQUESTED, False, Reason.NOT_JOINED)
            await self._tell(foreign, None, [over], only=frozenset({ConditionType.REQUESTED}))
        else:
            out.pop("endingSince")
            await self._tell(foreign, out, decision.conditions)
        await self._owner.hold(foreign, held=False)
        return Outcome(writes=writes + 6)

    async def _withdraw(self, foreign: ForeignCluster) -> bool:
        """Take our request back; return whether the other side knows."""
        us, cluster_id, outgoing = self.us(), foreign.spec.cluster_id, foreign.status.outgoing
        assert cluster_id is not None
        session = self.clusters.get(cluster_id, Way.OUTGOING)
        try:
            if session is not None and session.health is not Health.REFUSED and outgoing is not None:
                name = request_name(us.cluster_id, outgoing.jti)
                await session.cluster.delete(FEDERATION_REQUEST, Key(foreign.spec.namespace, name))
                return True
        except Absent:
            return True
        except Refused:
            pass  # the identity it gave us is void: prove who we are instead
        except Unavailable:
            return False
        try:
            met = await self._try_to_meet(foreign)  # what we say of it now is that it ends
            await self.contact.ask(met, foreign.spec.namespace, forge_request(us, met, new_jti(), None))
        except Unavailable:
            return False
        except (Refused, Malformed):
            return True  # whoever is there now keeps nothing of ours
        return True
