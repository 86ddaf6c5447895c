"""What becomes of a cluster that finders see: its ForeignCluster, made, kept up and removed; pure.

siblings           seen by               next
--------           -------               ----
none               a SearchDomain        create it, joined if the autojoin rules say so
some               anybody               the one that counts gets the sources and Discovered
some               anybody               another one that was only found, and that nobody touched, goes
one, only found    nobody any more       it goes, unless somebody joined, shares with or denies it
one, other         nobody any more       Discovered=False; a peering goes on

What the LAN agent finds it creates itself, unjoined; the autojoin rules are applied here when we first see it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from liqo.api.cluster_config import DiscoveryConfig
from liqo.api.conditions import carry, condition, is_news, status_body
from liqo.api.foreign_cluster import ForeignCluster, Source, counting
from liqo.api.kinds import FOREIGN_CLUSTER
from liqo.api.meta import Condition, Key, Wire, find_condition
from liqo.api.names import AUTOJOINED_LABEL
from liqo.api.reasons import ConditionType, Reason
from liqo.discovery.sighting import LAN, Sighting, dns_finder, forge_foreign, forge_source
from liqo.runtime.plan import Action, Apply, Create, Delete, Event, Patch, Plan

SETTLE = timedelta(minutes=1)  # between an agent's creating an object and its saying where it saw it
DNS_PREFIX = dns_finder("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that one decision looks at.

    Args:
        cluster_id: of the cluster in question; never our own.
        siblings: its ForeignClusters, with the object that each was read from.
        sightings: of our own finders, by name.
        silent: the finders that are there and have not answered since the start.
        autojoin: spec.autojoin of each SearchDomain, by finder; None: as `config` says.
        config: the settings in force.
    """

    cluster_id: str
    siblings: Sequence[tuple[ForeignCluster, Wire]]
    sightings: Mapping[str, Sighting]
    silent: Collection[str]
    autojoin: Mapping[str, bool | None]
    config: DiscoveryConfig


def decide(seen: Seen, now: datetime) -> Plan:
    """Return what has to be written."""
    counts = counting([foreign for foreign, _ in seen.siblings])
    if counts is None:
        return Plan(_create(seen))
    actions: list[Action] = []
    wake: timedelta | None = None
    for foreign, wire in seen.siblings:
        if foreign.metadata.deletion_timestamp is not None:
            continue
        counted = foreign is counts
        sources = _sources(seen, now) if counted else []
        others = [s for s in foreign.status.sources if not s.name.startswith(DNS_PREFIX)]
        if _is_only_found(foreign) and (not counted or not (sources or others)):
            fresh = _is_fresh(foreign, now) if counted else timedelta()
            if not fresh:
                actions.append(
                    Delete(
                        kind=FOREIGN_CLUSTER,
                        key=Key("", foreign.metadata.name),
                        uid=foreign.metadata.uid,
                        version=foreign.metadata.resource_version,
                    )
                )
                continue
            wake = fresh
            continue
        if counted and _is_to_join(seen, foreign):
            actions.append(_join(foreign))
        changes = _discovered(foreign, [*others, *map(Source.parse, sources)]) if counted else []
        actions.append(_status(foreign, wire, sources, changes, now))
        actions += [_event(wire, c) for c in changes if _is_worth_telling(foreign, c)]
    return Plan(actions, wake)


def is_held_back(seen: Seen) -> bool:
    """Return whether only requireAuthenticatedDNS keeps a new cluster from being joined at once."""
    free = seen.config.model_copy(update={"require_authenticated_dns": False})
    return not _is_joined_at_once(seen, seen.config) and _is_joined_at_once(seen, free)


def autojoins(sighting: Sighting, own: bool | None, config: DiscoveryConfig) -> bool:
    """Return whether a cluster found in DNS is joined at once.

    Args:
        sighting: of it.
        own: what the SearchDomain says; None: as the settings say.
        config: the settings.
    """
    if config.require_authenticated_dns and not sighting.authenticated:
        return False
    if own is not None:
        return own
    return config.autojoin_untrusted if sighting.untrusted_ca else config.autojoin


def _create(seen: Seen) -> list[Action]:
    """Nobody knows of it yet: make it from the first finder's sighting."""
    if not seen.sightings:
        return []
    join = _is_joined_at_once(seen, seen.config)
    first = next(iter(seen.sightings.values()))
    accept = seen.config.accept_untrusted_ca
    return [Create(kind=FOREIGN_CLUSTER, obj=forge_foreign(first, "WAN", join=join, accept_untrusted=accept))]


def _is_joined_at_once(seen: Seen, config: DiscoveryConfig) -> bool:
    return any(autojoins(s, seen.autojoin.get(f), config) for f, s in seen.sightings.items())


def _sources(seen: Seen, now: datetime) -> list[Wire]:
    """Return the entries of our own finders: what they see, and what one that has not answered yet saw before."""
    old = {s.name: s for foreign, _ in seen.siblings for s in foreign.status.sources}
    fresh = {name: _entry(name, s, old.get(name), now) for name, s in seen.sightings.items()}
    kept = {name: s.wire() for name, s in old.items() if name in seen.silent and name not in fresh}
    return [entry for _, entry in sorted({**kept, **fresh}.items())]


def _entry(finder: str, sighting: Sighting, old: Source | None, now: datetime) -> Wire:
    """Return an entry; its time is that of the last change, so that seeing it again costs no write.

    A name server that asks others tells what is left of a TTL, each time another number: that is no change.
    """
    before = old.last_seen if old is not None else None
    if before is not None and old is not None:
        same = {**forge_source(finder, sighting, before), "ttlSeconds": old.ttl_seconds}
        if Source.parse(same) == old:
            return same
    return forge_source(finder, sighting, now)


def _is_only_found(foreign: ForeignCluster) -> bool:
    """Return whether nothing but a finder's word keeps it: nobody joined, shares with, denies or entered it."""
    outgoing, incoming = foreign.status.outgoing, foreign.status.incoming
    made = foreign.spec.discovery_type in {"LAN", "WAN"} or (
        foreign.spec.discovery_type == "IncomingPeering"  # and found later, when its request is long over
        and foreign.metadata.generation == 1
        and find_condition(foreign.status.conditions, ConditionType.DISCOVERED) is not None
    )
    return (
        made
        and not foreign.spec.join
        and foreign.spec.incoming == "Default"
        and (outgoing is None or outgoing.phase is None)  # a node's name outlives the peering
        and (incoming is None or incoming.phase is None)
        and foreign.spec.pin is None
        and foreign.status.pin is None  # by what a legacy id is known is not forgotten
        and not foreign.metadata.finalizers
    )


def _is_fresh(foreign: ForeignCluster, now: datetime) -> timedelta:
    """Return for how long an object without sources is left, since its finder may be about to add one."""
    if find_condition(foreign.status.conditions, ConditionType.DISCOVERED) is not None:
        return timedelta()
    created = foreign.metadata.creation_timestamp
    return max(created + SETTLE - now, timedelta()) if created is not None else timedelta()


def _is_to_join(seen: Seen, foreign: ForeignCluster) -> bool:
    """Return whether the autojoin rules join what the LAN agent has just created, and nobody has touched."""
    if (
        foreign.spec.discovery_type != "LAN"
        or foreign.spec.join
        or foreign.metadata.generation != 1
        or find_condition(foreign.status.conditions, ConditionType.DISCOVERED) is not None
        or not any(s.name == LAN for s in foreign.status.sources)
    ):
        return False
    return seen.config.autojoin_untrusted if foreign.spec.allow_untrusted_ca else seen.config.autojoin


def _join(foreign: ForeignCluster) -> Patch:
    """Set join once, and say that nobody did; a person who writes in between wins."""
    return Patch(
        kind=FOREIGN_CLUSTER,
        key=Key("", foreign.metadata.name),
        patch={
            "metadata": {
                "resourceVersion": foreign.metadata.resource_version,
                "labels": {AUTOJOINED_LABEL: "true"},
            },
            "spec": {"join": True},
        },
    )


def _discovered(foreign: ForeignCluster, sources: Sequence[Source]) -> list[Condition]:
    """Return the condition Discovered; none for what a person entered and no finder ever saw."""
    if not sources:
        if find_condition(foreign.status.conditions, ConditionType.DISCOVERED) is None:
            return []
        return [condition(ConditionType.DISCOVERED, False, Reason.LOST)]
    conflicts = [f"{s.name}: {s.conflict}" for s in sources if s.conflict]
    if conflicts:
        return [condition(ConditionType.DISCOVERED, True, Reason.ID_CONFLICT, "; ".join(conflicts))]
    names = ", ".join(sorted(s.name for s in sources))
    return [condition(ConditionType.DISCOVERED, True, Reason.FOUND, f"Seen by {names}.")]


def _status(
    foreign: ForeignCluster, wire: Wire, sources: list[Wire], changes: list[Condition], now: datetime
) -> Apply:
    conditions = carry(foreign.status.conditions, {ConditionType.DISCOVERED}, changes, now) if changes else []
    status: Wire = {}
    if sources:
        status["sources"] = sources
    if conditions:
        status["conditions"] = conditions
    body = status_body(
        FOREIGN_CLUSTER.api_version, FOREIGN_CLUSTER.kind, foreign.metadata.name, foreign.metadata.uid, status
    )
    return Apply(kind=FOREIGN_CLUSTER, obj=body, seen=wire, subresource="status")


def _is_worth_telling(foreign: ForeignCluster, new: Condition) -> bool:
    """Return whether people want an event: a thousand clusters that are found are no news each."""
    return is_news(foreign.status.conditions, new) and (
        new.status == "False" or new.reason == Reason.ID_CONFLICT
    )


def _event(about: Wire, new: Condition) -> Event:
    message = f"{new.type}: {new.message}"
    return Event(about=about, kind=FOREIGN_CLUSTER, reason=new.reason, message=message, warning=True)
