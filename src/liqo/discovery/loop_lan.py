"""Keeps the ForeignCluster of each cluster that the LAN shows: a key is Key("", <cluster id>)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.foreign_cluster import ForeignCluster, Source, counting
from liqo.api.meta import Key, Kind, Wire
from liqo.api.names import LAN_AGENT
from liqo.api.reasons import Reason
from liqo.discovery.lan import Seen, choose, decide, is_contested, is_place_free, merge
from liqo.discovery.lan_ports import Proof, Prover
from liqo.discovery.lan_table import Claim, LanTable
from liqo.discovery.sighting import LAN, Sighting
from liqo.runtime.loop import Outcome
from liqo.runtime.plan import act
from liqo.runtime.ports import Clock, Cluster, Events
from liqo.runtime.store import Store

GRACE = timedelta(seconds=120)  # after a start, for what an earlier life of this process wrote
TTL_MIN = timedelta(seconds=1)  # between two questions to a cluster that is silent on the LAN
RETRY_PROOF = timedelta(seconds=2)  # while several claim an id and none proves it
REMEMBERED_MAX = 1_024  # answers to who is there


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
    _proofs: dict[tuple[str, tuple[str, ...]], tuple[Proof, datetime]] = field(default_factory=dict)

    _winners: dict[str, tuple[str, datetime]] = field(default_factory=dict)

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
        place = self._places.get(cluster_id)
        if is_contested(claims):
            claims = await self._sorted_by_proof(cluster_id, claims)
        sighting, until = merge(claims), max(c.until for c in claims)
        if place is None:
            known = bool(self.foreigns.by("cluster-id", cluster_id))
            proved = False
            if not known and not self._has_room(claims[0].sender, proved=False):
                proved = await self._prove(claims[0]) is Proof.PROVED
                if not proved or not self._has_room(claims[0].sender, proved=True):
                    self.dropped(Reason.TOO_MANY)
                    return Outcome(outcome="refused", reason=Reason.TOO_MANY)
            place = self._places[cluster_id] = _Place(sighting, until, claims[0].sender, proved or known)
        place.sighting, place.until = sighting, until
        return await self._write(cluster_id, sighting, until)

    async def _silent(self, cluster_id: str, now: datetime) -> Outcome:
        """Its records ran out: ask its API server before anything is removed."""
        place = self._places.get(cluster_id) or self._from_before(cluster_id, now)
        if place is None:
            return Outcome()
        if now < place.until:
            return Outcome(wake=place.until - now)
        sighting = place.sighting
        for endpoint in sighting.endpoints:
            proof = await self.prover.ask(endpoint, sighting.namespace, cluster_id)
            if proof in {Proof.PROVED, Proof.ANSWERED}:
                place.until = self.clock.now() + max(sighting.ttl, TTL_MIN)
                self.lost()
                return Outcome(wake=max(sighting.ttl, TTL_MIN), outcome="waiting", reason=Reason.LOST)
        if self.table.claims(cluster_id, self.clock.now()):
            return Outcome(wake=timedelta(0))  # it came back while its API server was asked
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
        sighting = _read_source(cluster_id, foreign.spec.namespace, entry)
        place = _Place(sighting, now + min(sighting.ttl, GRACE), "", proved=True)
        self._places[cluster_id] = place
        return place

    def _has_room(self, sender: str, *, proved: bool) -> bool:
        unproved = [p for p in self._places.values() if not p.proved]
        mine = sum(p.sender == sender for p in unproved)
        return is_place_free(places=len(self._places), unproved=len(unproved), of_sender=mine, proved=proved)

    async def _sorted_by_proof(self, cluster_id: str, claims: Sequence[Claim]) -> list[Claim]:
        """Return the claims, first the one that proves the id; while that is known nobody is asked again."""
        winner = self._winners.get(cluster_id)
        if winner is None or winner[1] <= self.clock.now() or not any(_is_at(c, winner[0]) for c in claims):
            asked = choose(claims)
            endpoints = list(dict.fromkeys(e for c in asked for e in c.sighting.endpoints[:2]))
            namespace, ttl = asked[0].sighting.namespace, max(asked[0].sighting.ttl, TTL_MIN)
            proved = await self.prover.first_proved(endpoints, namespace, cluster_id)
            while len(self._winners) >= REMEMBERED_MAX:
                del self._winners[next(iter(self._winners))]
            winner = self._winners[cluster_id] = (proved, self.clock.now() + (ttl if proved else RETRY_PROOF))
        return sorted(claims, key=lambda c: not _is_at(c, winner[0]))

    async def _prove(self, claim: Claim) -> Proof:
        sighting = claim.sighting
        asked = (sighting.cluster_id, sighting.endpoints)
        known = self._proofs.get(asked)
        if known is not None and known[1] > self.clock.now():
            return known[0]
        proof = Proof.SILENT
        for endpoint in sighting.endpoints[:2]:
            proof = await self.prover.ask(endpoint, sighting.namespace, sighting.cluster_id)
            if proof is Proof.PROVED:
                break
        while len(self._proofs) >= REMEMBERED_MAX:
            del self._proofs[next(iter(self._proofs))]
        self._proofs[asked] = (proof, self.clock.now() + max(sighting.ttl, TTL_MIN))
        return proof

    def _note(self, _kind: Kind, obj: Wire) -> None:
        self.foreigns.note(obj)


def _is_at(claim: Claim, endpoint: str) -> bool:
    return endpoint in claim.sighting.endpoints


def _read_source(cluster_id: str, namespace: str, entry: Source) -> Sighting:
    """Return the sighting that an entry was made from, as far as it tells."""
    ttl = timedelta(seconds=min(max(entry.ttl_seconds or 0, 1), int(GRACE.total_seconds())))
    return Sighting(
        cluster_id=cluster_id,
        namespace=namespace,
        endpoints=tuple(entry.endpoints),
        instance=entry.instance,
        ttl=ttl,
    )
