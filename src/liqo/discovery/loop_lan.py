"""Keeps the ForeignCluster of each cluster that the LAN shows: a key is Key("", <cluster id>)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.foreign_cluster import ForeignCluster, Source, counting
from liqo.api.meta import Key, Kind, Wire
from liqo.api.names import LAN_AGENT
from liqo.api.reasons import Reason
from liqo.discovery.lan import Seen, choose, decide, is_contested, is_place_free, merge
from liqo.discovery.lan_ports import Asked, Proof, Prover
from liqo.discovery.lan_table import Claim, LanTable
from liqo.discovery.sighting import LAN, Sighting
from liqo.runtime.loop import Outcome
from liqo.runtime.plan import act
from liqo.runtime.ports import Clock, Cluster, Events
from liqo.runtime.store import Store

GRACE = timedelta(seconds=120)  # after a start, for what an earlier life of this process wrote
TTL_MIN = timedelta(seconds=1)  # between two questions to a cluster that is silent on the LAN
RETRY_PROOF = timedelta(seconds=5)  # for who did not prove his id
PENDING = timedelta(seconds=1)  # for questions that found no seat; an answer wakes us sooner
ENDPOINTS_ASKED = 2  # of one instance, so that it cannot name sixteen that are silent


@dataclass(slots=True)
class _Place:
    """A cluster that has a ForeignCluster because of us, and until when nothing has to be asked."""

    sighting: Sighting
    until: datetime
    sender: str
    proved: bool


@dataclass(slots=True, kw_only=True)
class LanClusters:
    """All that the reconciles share.

    Args:
        home: our own cluster.
        foreigns: ForeignClusters, by index "cluster-id".
        table: what is on the wire.
        prover: asks API servers who they are.
        config: the settings in force.
        home_id: our own ClusterID, which is never found.
        events: tells people.
        clock: the time.
        lost: told when a cluster went, so that the LAN is asked again.
        dropped: told the reason why an instance got no place.
    """

    home: Cluster
    foreigns: Store
    table: LanTable
    prover: Prover
    config: Callable[[], ClusterConfigSpec]
    home_id: str
    events: Events
    clock: Clock
    lost: Callable[[], None]
    dropped: Callable[[str], None]
    _places: dict[str, _Place] = field(default_factory=dict)

    async def reconcile(self, key: Key) -> Outcome:
        """Bring the ForeignCluster of one cluster to what the LAN shows."""
        cluster_id = key.name
        if cluster_id == self.home_id:
            return Outcome()
        now = self.clock.now()
        if not self.config().discovery_config.enable_discovery:
            return await self._gone(cluster_id)
        claims = self.table.claims(cluster_id, now)
        if claims:
            return await self._shown(cluster_id, claims)
        if self.table.said_goodbye(cluster_id):
            return await self._gone(cluster_id)
        return await self._silent(cluster_id, now)

    def has_place(self, cluster_id: str) -> bool:
        """Return whether a cluster has a ForeignCluster because of us."""
        return cluster_id in self._places

    async def _shown(self, cluster_id: str, claims: Sequence[Claim]) -> Outcome:
        """The LAN shows it: see that it has a place, and that our entry says where."""
        place, now, pending = self._places.get(cluster_id), self.clock.now(), False
        if is_contested(claims):
            claims, pending = self._sorted_by_proof(claims, place, now)
        first = claims[0]
        sighting, until, proved = merge(claims), max(c.until for c in claims), self._has_proved(first, now)
        if place is None:
            if pending:
                return Outcome(wake=PENDING, outcome="waiting", reason=Reason.DUPLICATE_CLUSTER_ID)
            known = bool(self.foreigns.by("cluster-id", cluster_id))
            if not known and not self._has_room(first.sender, proved=proved):
                if not proved and None in self._ask(first, now):
                    return Outcome(wake=PENDING, outcome="waiting", reason=Reason.TOO_MANY)
                self.dropped(Reason.TOO_MANY)
                return Outcome(outcome="refused", reason=Reason.TOO_MANY)
            place = self._places[cluster_id] = _Place(sighting, until, first.sender, proved or known)
        elif proved and not place.proved:
            place.proved, place.sender = True, first.sender
        place.sighting, place.until = sighting, until
        done = await self._write(cluster_id, sighting, until)
        return replace(done, wake=min(done.wake or PENDING, PENDING)) if pending else done

    async def _silent(self, cluster_id: str, now: datetime) -> Outcome:
        """Its records ran out: ask its API server before anything is removed."""
        place = self._places.get(cluster_id) or self._from_before(cluster_id, now)
        if place is None:
            return Outcome()
        if now < place.until:
            return Outcome(wake=place.until - now)
        sighting = place.sighting
        asked = _questions(sighting, sighting.endpoints)
        answers = {self._answer(question, place.sender, place.until) for question in asked}
        if answers & {Proof.PROVED, Proof.ANSWERED}:
            place.until = now + max(sighting.ttl, TTL_MIN)
            self.lost()
            return Outcome(wake=max(sighting.ttl, TTL_MIN), outcome="waiting", reason=Reason.LOST)
        if None in answers:
            return Outcome(wake=PENDING, outcome="waiting", reason=Reason.LOST)
        return await self._gone(cluster_id)

    async def _gone(self, cluster_id: str) -> Outcome:
        if self._places.pop(cluster_id, None) is not None:
            self.lost()
        return await self._write(cluster_id, None, None)

    async def _write(self, cluster_id: str, sighting: Sighting | None, until: datetime | None) -> Outcome:
        seen = self._observe(cluster_id, sighting)
        writes = await self._act(seen)
        if not seen.siblings and sighting is not None:  # it is there now, and wants its entry
            writes += await self._act(self._observe(cluster_id, sighting))
        wake = max(until - self.clock.now(), timedelta(0)) if until is not None else None
        return Outcome(wake=wake, writes=writes)

    async def _act(self, seen: Seen) -> int:
        plan = decide(seen, self.clock.now())
        return await act(plan, self.home, manager=LAN_AGENT, events=self.events, remember=self._note)

    def _observe(self, cluster_id: str, sighting: Sighting | None) -> Seen:
        wires = self.foreigns.by("cluster-id", cluster_id)
        return Seen(
            siblings=[(ForeignCluster.parse(w), w) for w in wires],
            sighting=sighting,
            accept_untrusted=self.config().discovery_config.accept_untrusted_ca,
        )

    def _from_before(self, cluster_id: str, now: datetime) -> _Place | None:
        """Return a place for what an earlier life of this process saw; it has one TTL to show itself."""
        siblings = [ForeignCluster.parse(w) for w in self.foreigns.by("cluster-id", cluster_id)]
        entry = next((s for f in siblings for s in f.status.sources if s.name == LAN), None)
        foreign = counting(siblings)
        if entry is None or foreign is None:
            return None
        sighting = _read_source(cluster_id, foreign, entry)
        place = _Place(sighting, now + min(sighting.ttl, GRACE), "", proved=True)
        self._places[cluster_id] = place
        return place

    def _has_room(self, sender: str, *, proved: bool) -> bool:
        unproved = [p for p in self._places.values() if not p.proved]
        mine = sum(p.sender == sender for p in unproved)
        return is_place_free(places=len(self._places), unproved=len(unproved), of_sender=mine, proved=proved)

    def _sorted_by_proof(
        self, claims: Sequence[Claim], place: _Place | None, now: datetime
    ) -> tuple[list[Claim], bool]:
        """Return the claims, first those that prove the id, then where it was so far; and whether to wait for answers.

        While one is known to prove it nobody is asked, so that a crowd of claims costs nothing.
        """
        proved = [self._has_proved(c, now) for c in claims]
        pending = False
        if not any(proved):
            pending = None in {answer for c in choose(claims) for answer in self._ask(c, now)}
        here = set(place.sighting.endpoints) if place is not None else set()
        order = sorted(
            zip(claims, proved, strict=True),
            key=lambda c: (not c[1], here.isdisjoint(c[0].sighting.endpoints)),
        )
        return [claim for claim, _ in order], pending

    def _has_proved(self, claim: Claim, now: datetime) -> bool:
        """Return whether an instance's API server is known to be the cluster's."""
        since = now - max(claim.sighting.ttl, TTL_MIN)
        answers = [self.prover.known(question) for question in _first_questions(claim)]
        return any(a is not None and a.proof is Proof.PROVED and a.at >= since for a in answers)

    def _ask(self, claim: Claim, now: datetime) -> list[Proof | None]:
        """Return what an instance's API server answers; None: nothing yet."""
        since = now - RETRY_PROOF
        return [self._answer(question, claim.sender, since) for question in _first_questions(claim)]

    def _answer(self, asked: Asked, sender: str, since: datetime) -> Proof | None:
        """Return an answer of a question asked since then; have it asked if there is none."""
        answer = self.prover.known(asked)
        if answer is not None and answer.at >= since:
            return answer.proof
        self.prover.ask(asked, sender)
        return None

    def _note(self, _kind: Kind, obj: Wire) -> None:
        self.foreigns.note(obj)


def _first_questions(claim: Claim) -> list[Asked]:
    return _questions(claim.sighting, claim.sighting.endpoints[:ENDPOINTS_ASKED])


def _questions(said: Sighting, endpoints: Sequence[str]) -> list[Asked]:
    return [Asked(e, said.namespace, said.cluster_id, said.door_url) for e in endpoints]


def _read_source(cluster_id: str, foreign: ForeignCluster, entry: Source) -> Sighting:
    """Return the sighting that an entry was made from, as far as it tells."""
    ttl = timedelta(seconds=min(max(entry.ttl_seconds or 0, 1), int(GRACE.total_seconds())))
    return Sighting(
        cluster_id=cluster_id,
        namespace=foreign.spec.namespace,
        endpoints=tuple(entry.endpoints),
        door_url=foreign.spec.door_url or "",
        instance=entry.instance,
        ttl=ttl,
    )
