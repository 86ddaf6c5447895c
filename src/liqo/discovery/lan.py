"""What becomes of a cluster that the LAN shows: its ForeignCluster, and our entry in its sources; pure.

siblings     on the LAN     next
--------     ----------     ----
none         yes            create one, not joined, if there is a place
some         yes            the one that counts has our entry, no other one
some         no             no one has our entry; whether the object stays is the controller's to say
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from liqo.api.bounds import MESSAGE_MAX
from liqo.api.conditions import status_body
from liqo.api.foreign_cluster import ForeignCluster, Source, counting
from liqo.api.kinds import FOREIGN_CLUSTER
from liqo.api.meta import Wire
from liqo.discovery.lan_table import Claim
from liqo.discovery.sighting import LAN, Sighting, forge_foreign, forge_source
from liqo.runtime.plan import Action, Apply, Create, Plan

PLACES_MAX = 256  # ForeignClusters made from the LAN; a LAN with more clusters than that has a DNS domain
UNPROVED_MAX = 64  # of those, clusters whose document nobody could read
UNPROVED_PER_SENDER = 4  # so one neighbour cannot fill the list with clusters that are not there
CLAIMS_MAX = 8  # instances with one id that are asked who they are


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that one decision looks at.

    Args:
        siblings: ForeignClusters of the cluster in question, with the object that each was read from.
        sighting: how the LAN shows it; None: not at all.
        accept_untrusted: what we accept of others.
    """

    siblings: Sequence[tuple[ForeignCluster, Wire]]
    sighting: Sighting | None
    accept_untrusted: bool


def decide(seen: Seen, now: datetime) -> Plan:
    """Return what has to be written; nothing where all is as it was."""
    counts = counting([foreign for foreign, _ in seen.siblings])
    if counts is None:
        return Plan(_create(seen))
    actions: list[Action] = []
    for foreign, wire in seen.siblings:
        if foreign.metadata.deletion_timestamp is not None:
            continue
        old = next((s for s in foreign.status.sources if s.name == LAN), None)
        if foreign is counts and seen.sighting is not None:
            actions.append(_apply(foreign, wire, [_entry(seen.sighting, old, now)]))
        elif old is not None:
            actions.append(_apply(foreign, wire, []))
    return Plan(actions)


def is_place_free(*, places: int, unproved: int, of_sender: int, proved: bool) -> bool:
    """Return whether one more cluster gets a ForeignCluster.

    Args:
        places: that are taken.
        unproved: of those, by clusters that did not prove their id.
        of_sender: of those, that the same address spoke of.
        proved: whether this one proved its id.
    """
    if places >= PLACES_MAX:
        return False
    return proved or (unproved < UNPROVED_MAX and of_sender < UNPROVED_PER_SENDER)


def merge(claims: Sequence[Claim]) -> Sighting:
    """Return one sighting of all instances that claim an id; the first of them counts.

    Args:
        claims: at least one, those that proved the id first, then by when they were first heard.
    """
    first, *others = claims
    same = [c for c in others if set(c.sighting.endpoints) & set(first.sighting.endpoints)]
    different = [c for c in others if c not in same]
    if not different:
        return first.sighting
    told = "; ".join(f"{c.sighting.instance} at {', '.join(c.sighting.endpoints[:3])}" for c in different)
    return replace(first.sighting, conflict=f"also claimed by {told}"[:MESSAGE_MAX])


def choose(claims: Sequence[Claim]) -> list[Claim]:
    """Return the claims that are asked who they are: the newest of each sender before all others.

    So one sender with many claims cannot keep another from being asked.
    """
    newest = sorted(claims, key=lambda c: c.since, reverse=True)
    first = list({c.sender: c for c in reversed(newest)}.values())
    rest = [c for c in newest if c not in first]
    return [*sorted(first, key=lambda c: c.since, reverse=True), *rest][:CLAIMS_MAX]


def is_contested(claims: Sequence[Claim]) -> bool:
    """Return whether instances that claim one id lead to different places."""
    first = set(claims[0].sighting.endpoints) if claims else set()
    return any(not first & set(c.sighting.endpoints) for c in claims[1:])


def _create(seen: Seen) -> list[Action]:
    if seen.sighting is None:
        return []
    obj = forge_foreign(seen.sighting, "LAN", join=False, accept_untrusted=seen.accept_untrusted)
    return [Create(kind=FOREIGN_CLUSTER, obj=obj)]


def _entry(sighting: Sighting, old: Source | None, now: datetime) -> Wire:
    """Return the entry; its time is that of the last change, so that an idle LAN costs no write."""
    if old is not None and old.last_seen is not None:
        same = forge_source(LAN, sighting, old.last_seen)
        new = Source.parse(same)
        if new.conflict and old.conflict:  # who else claims it may change with every packet
            new, same = new.model_copy(update={"conflict": old.conflict}), {**same, "conflict": old.conflict}
        if new == old:
            return same
    return forge_source(LAN, sighting, now)


def _apply(foreign: ForeignCluster, wire: Wire, sources: list[Wire]) -> Apply:
    status: Wire = {"sources": sources}  # an empty list, since a status that becomes null is refused
    body = status_body(
        FOREIGN_CLUSTER.api_version, FOREIGN_CLUSTER.kind, foreign.metadata.name, foreign.metadata.uid, status
    )
    return Apply(kind=FOREIGN_CLUSTER, obj=body, seen=wire, subresource="status")
