"""Runs incoming peerings: a key is the ClusterID of a home cluster."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from liqo.api.advertisement import Advertisement
from liqo.api.conditions import condition
from liqo.api.foreign_cluster import ForeignCluster, counting
from liqo.api.kinds import FOREIGN_CLUSTER
from liqo.api.meta import Key, Wire, format_time
from liqo.api.names import (
    INCOMING_FINALIZER,
    TENANT_SERVICE_ACCOUNT,
    tenant_namespace,
)
from liqo.api.reasons import ConditionType, Reason
from liqo.api.rights import forge_tenant_rights
from liqo.errors import Forbidden, Malformed, NotTrusted, Refused, Unauthorized, Unavailable
from liqo.identity.keys import Keys
from liqo.identity.kubeconfig import digest
from liqo.peering.conditions import INCOMING
from liqo.peering.forge import forge_sealed
from liqo.peering.incoming import (
    TELL_WITHIN,
    Decision,
    Move,
    Seen,
    created_at,
    decide,
)
from liqo.peering.loop_asking import Asking
from liqo.peering.loop_rights import grant, issue_token
from liqo.peering.loop_tenant import MANAGER
from liqo.peering.pins import PinChanged
from liqo.peering.places import is_waiting
from liqo.runtime.loop import Outcome
from liqo.runtime.ports import Health, Session, Way

MEANT_AFTER = timedelta(seconds=11)  # a refusal that is said again so much later
AWAY_ENDS = timedelta(seconds=60)  # refused for so long, without a new request: home ended it


class IncomingPeerings(Asking):
    """All reconciles of incoming peerings."""

    async def reconcile(self, key: Key) -> Outcome:
        """Bring one incoming peering a step closer."""
        cluster_id = key.name
        known = self._siblings(cluster_id)
        if await self._move(known):
            return Outcome(writes=2)
        seen = await self._observe(cluster_id, known)
        decision = decide(seen, self.clock.now())
        if decision.move in {Move.SERVE, Move.REST, Move.CALL_BACK}:
            for old in decision.over:
                await self._forget(old)
        try:
            return await self._act(cluster_id, seen, decision)
        except PinChanged as fault:
            return await self._stop(seen, decision, fault)

    async def _act(self, cluster_id: str, seen: Seen, decision: Decision) -> Outcome:
        """Take the next step."""
        match decision.move:
            case Move.REST:
                return await self._rest(seen, decision)
            case Move.CALL_BACK:
                return await self._call_back_in_turn(cluster_id, seen, decision)
            case Move.SERVE:
                return await self._serve(cluster_id, seen, decision)
            case Move.DENY:
                return await self._deny(cluster_id, seen, decision)
            case Move.END:
                return await self._end(cluster_id, seen)

    async def _stop(self, seen: Seen, decision: Decision, fault: PinChanged) -> Outcome:
        """Send nothing to a legacy id that shows something else, and say so; a person's word on it wakes us."""
        foreign, asked = seen.foreign, decision.newest
        assert foreign is not None  # who is known by something is known
        assert asked is not None
        await self._owner.pin(foreign, foreign.status.pin, fault.shown)
        incoming = foreign.status.incoming.wire() if foreign.status.incoming is not None else None
        writes = await self._tell(
            foreign, incoming, [condition(ConditionType.SHARING, False, Reason.PIN_CHANGED, str(fault))]
        )
        if decision.move is Move.CALL_BACK:
            writes += await self._mark(asked, "Pending", Reason.PIN_CHANGED, fault.message)
        return Outcome(writes=writes, outcome="refused", reason=Reason.PIN_CHANGED)

    async def _move(self, known: Sequence[ForeignCluster]) -> bool:
        """Put what we keep of a home cluster on the ForeignCluster that counts; return whether it had to be.

        A person may write a ForeignCluster for a cluster that is a tenant already.
        """
        counts = counting(known)
        others = [f for f in known if counts is not None and f.metadata.uid != counts.metadata.uid]
        stray = next((f for f in others if INCOMING_FINALIZER in f.metadata.finalizers), None)
        if counts is None or stray is None:
            return False
        kept = counts.status.incoming
        if stray.status.incoming is not None and (kept is None or kept.phase is None):
            await self._owner.hold(counts, held=True)
            moved = [c for c in stray.status.conditions if c.type in INCOMING]
            await self._tell(counts, stray.status.incoming.wire(), moved)
        await self._leave(stray, None, ())
        return True

    async def _serve(self, cluster_id: str, seen: Seen, decision: Decision) -> Outcome:
        """Keep tenant, credentials and Advertisement of an accepted request as they should be."""
        foreign, asked, remote = seen.foreign, decision.newest, seen.remote
        assert foreign is not None
        assert asked is not None
        incoming = foreign.status.incoming
        assert incoming is not None
        sealed, adopted = self._newest_sealed(cluster_id, foreign, remote)
        if adopted:  # written down before it is used: a fresh connection has not seen yet where it came from
            writes = await self._tell(foreign, incoming.wire() | {"kubeConfig": sealed}, [])
            return Outcome(writes=writes, outcome="waiting")
        token_seen = self.clusters.use(cluster_id, Way.INCOMING, sealed)
        session = self.clusters.get(cluster_id, Way.INCOMING)
        assert session is not None
        now = self.clock.now()
        over = self._over(session)
        if over is not None and now >= over:
            return await self._give_up(foreign, seen)
        if session.reason == Reason.CA_NOT_TRUSTED:
            refused = condition(ConditionType.SHARING, False, Reason.CA_NOT_TRUSTED, session.message)
            self._watched(cluster_id)  # whose retries find out when that is over
            writes = await self._tell(foreign, incoming.wire(), [refused])
            return Outcome(wake=MEANT_AFTER, writes=writes, outcome="waiting", reason=session.reason)
        if incoming.phase == "Offered" and self._watched(cluster_id) is None:
            return Outcome(
                wake=timedelta(seconds=10), outcome="waiting"
            )  # the watch wakes us when it is there
        us = self.us()
        if is_waiting(asked.wire):
            await self._mark(asked, "Accepted", seen.verdict.reason)
        if incoming.phase == "Accepted" or not seen.tenant_there:
            rights = forge_tenant_rights(us.namespace, cluster_id, [asked.request.metadata.name])
            await grant(self.home, rights, manager=MANAGER, clock=self.clock)
        latest = self.foreigns.get(Key("", foreign.metadata.name))
        now_there = ForeignCluster.parse(latest).status.incoming if latest is not None else None
        offer = incoming if incoming.offered or now_there is None else now_there
        if offer.offered is None:
            return Outcome(outcome="waiting", reason=Reason.COMPUTING)  # the room `sharing` wakes us
        current = remote.spec.kube_config if remote is not None and remote.spec.answers == asked.jti else None
        due = incoming.token_renews
        times: Wire = {}
        moved = incoming.access not in {"", us.access}
        if current is None or digest(current) != incoming.token_digest or due is None or now >= due or moved:
            tenant = tenant_namespace(cluster_id)
            token = await issue_token(self.home, tenant, TENANT_SERVICE_ACCOUNT, self.clock)
            recipient = Keys.parse(asked.wire["spec"]["keys"]).sealing
            current = forge_sealed(us, token.text, tenant, recipient, cluster_id)
            due, times = token.renews, token.times() | {"access": us.access}
        spec = {
            "phase": "Offered",
            "answers": asked.jti,
            "namespace": tenant_namespace(cluster_id),
            "resources": dict(offer.offered),
            "labels": dict(offer.offered_labels),
            "kubeConfig": current,
            "tokenSeen": token_seen,
            "sealingKey": us.sealing_key,
        }
        try:
            writes = await self._advertise(cluster_id, session.cluster, spec, session.namespace)
        except (Unauthorized, Forbidden) as fault:
            wake = max((over or now) - now, MEANT_AFTER)  # said twice it is meant
            return Outcome(wake=wake, outcome="waiting", reason=fault.reason)
        status = incoming.wire() | {
            "phase": "Offered",
            "kubeConfig": sealed,
            "tokenDigest": digest(current),
            **times,
        }
        writes += await self._tell(foreign, status, [condition(ConditionType.SHARING, True, Reason.OFFERED)])
        wake = max(min(due, over or due) - now, timedelta(seconds=1))
        return Outcome(wake=wake, writes=writes)

    def _over(self, session: Session) -> datetime | None:
        """Return when a home cluster that does not answer us any more is given up; None while it does."""
        if session.health == Health.REFUSED:
            return session.since + AWAY_ENDS
        if session.health == Health.READY or session.expires is None:
            return None
        return session.expires + timedelta(seconds=self.config().peering_config.forget_after)

    async def _give_up(self, foreign: ForeignCluster, seen: Seen) -> Outcome:
        """End what a home cluster has here that ended it, or was not heard of for too long."""
        wire = self.foreigns.get(Key("", foreign.metadata.name))
        if wire is not None:
            message = (
                "It does not let us in any more, or was not heard of for too long: its rights here are gone."
            )
            self.events.emit(wire, FOREIGN_CLUSTER, reason=Reason.ENDED, message=message)
        return await self._end(foreign.spec.cluster_id or "", seen)

    def _newest_sealed(
        self, cluster_id: str, foreign: ForeignCluster, remote: Advertisement | None
    ) -> tuple[str, bool]:
        """Return the newest credentials that home sent, and whether they are new to us."""
        incoming = foreign.status.incoming
        assert incoming is not None
        held = incoming.kube_config or ""
        handed = (
            remote.status.kube_config if remote is not None and remote.spec.answers == incoming.jti else None
        )
        if handed is None or digest(handed) == digest(held):
            return held, False
        try:
            self._open(cluster_id, handed)
        except (Malformed, NotTrusted):
            return held, False
        return handed, True

    async def _deny(self, cluster_id: str, seen: Seen, decision: Decision) -> Outcome:
        """Tell home why, for a bounded time, and end what is there."""
        asked, verdict = decision.newest, seen.verdict
        assert asked is not None
        incoming = seen.foreign.status.incoming if seen.foreign is not None else None
        running = incoming is not None and incoming.phase in {"Accepted", "Offered", "Ending"}
        since = (incoming.ending_since if incoming is not None else None) or self.clock.now()
        spec = {
            "phase": "Ending" if running else "Refused",
            "answers": asked.jti,
            "reason": str(verdict.reason),
            "message": verdict.message,
        }
        if running and seen.foreign is not None and incoming is not None:
            changes = [condition(ConditionType.INCOMING_ACCEPTED, False, verdict.reason, verdict.message)]
            status = incoming.wire() | {"phase": "Ending", "endingSince": format_time(since)}
            await self._tell(seen.foreign, status, changes)
        try:
            sealed = (
                incoming.kube_config if running and incoming else None
            ) or asked.request.spec.kube_config
            self.clusters.use(cluster_id, Way.INCOMING, sealed or "")
            session = self.clusters.get(cluster_id, Way.INCOMING)
            assert session is not None
            await self._advertise(cluster_id, session.cluster, spec, asked.request.spec.namespace)
        except Unavailable as fault:
            if self.clock.now() < max(since, created_at(asked)) + TELL_WITHIN:
                return Outcome(wake=timedelta(seconds=1), outcome="waiting", reason=fault.reason)
        except (Refused, Malformed):
            pass  # home took our rights back, or never gave any: there is nobody to tell
        return await self._end(cluster_id, seen)
