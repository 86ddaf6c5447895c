"""Searches DNS domains: a key is the name of a SearchDomain.

The instances that a domain lists are asked for each time. What is said about each of them is asked again when its
time is over, or when it was not there before. Whoever does not answer removes nobody.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.conditions import carry, condition, is_news, status_body
from liqo.api.kinds import SEARCH_DOMAIN
from liqo.api.meta import Condition, Key, Wire
from liqo.api.reasons import ConditionType, Reason
from liqo.api.search_domain import SearchDomain
from liqo.discovery.dns import Answer, Resolver, Type
from liqo.discovery.domain import (
    Known,
    Listed,
    conditions,
    judge,
    list_up,
    status_fields,
    sum_up,
    unanswered,
)
from liqo.discovery.sighting import Sighting, dns_finder
from liqo.discovery.sightings import Sightings
from liqo.discovery.zone import Said, targets
from liqo.errors import Invalid
from liqo.runtime.loop import Outcome
from liqo.runtime.plan import Action, Apply, Event, Plan, act
from liqo.runtime.ports import Clock, Cluster, Events
from liqo.runtime.store import Store

MANAGER = "liqo-dns"
AT_ONCE = 64  # instances that are asked for at a time
PATIENCE = timedelta(
    minutes=1
)  # then nobody else is asked for: a reconcile has two, and what was found has to be told
OWNED = (ConditionType.ANSWERED, ConditionType.AUTHENTICATED)


async def list_instances(
    resolver: Resolver,
    domain: str,
    service: str,
    before: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> Listed:
    """Return the instances that a domain lists: at itself, as the seed has it, and by RFC 6763 §4.

    Args:
        resolver: is asked.
        domain: in ASCII.
        service: `_liqo._tcp`.
        before: what stood at each of these names when it was last asked.
    """
    names = (domain, f"{service}.{domain}")
    answers = await asyncio.gather(*(resolver.ask(name, Type.PTR) for name in names))
    return list_up(dict(zip(names, answers, strict=True)), before)


async def ask_instance(resolver: Resolver, instance: str) -> Said:
    """Ask for everything about one instance; for addresses of no use here only to say that there are some."""
    services, texts = await asyncio.gather(resolver.ask(instance, Type.SRV), resolver.ask(instance, Type.TXT))
    names = targets(services)
    addresses = await _ask_addresses(resolver, names, (Type.A, Type.AAAA) if resolver.ipv6 else (Type.A,))
    out_of_reach: Mapping[str, Sequence[Answer]] = {}
    if not resolver.ipv6 and not any(a.records for found in addresses.values() for a in found):
        out_of_reach = await _ask_addresses(resolver, names, (Type.AAAA,))
    return Said(
        instance=instance, services=services, texts=texts, addresses=addresses, out_of_reach=out_of_reach
    )


async def _ask_addresses(
    resolver: Resolver, names: Sequence[str], kinds: Sequence[Type]
) -> dict[str, list[Answer]]:
    """Return the answers by name."""
    found = await asyncio.gather(*(resolver.ask(name, kind) for name in names for kind in kinds))
    return {name: found[len(kinds) * i : len(kinds) * (i + 1)] for i, name in enumerate(names)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What the last search of a domain came to.

    Args:
        asked: domain, service and servers; others say something else, and prove something else.
        lists: what stood at each name that lists instances.
        known: by instance.
    """

    asked: tuple[str, str, str] = ("", "", "")
    lists: Mapping[str, Collection[str]] = field(default_factory=dict)
    known: Mapping[str, Known] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchDomains:
    """All that the reconciles share.

    Args:
        home: our own cluster.
        domains: SearchDomains.
        sightings: where what is seen is noted.
        changed: looks at the ForeignClusters of these ids again; "" is all that were ever seen.
        resolver: the servers that a setting names; raises Invalid for what names none.
        encode: a domain in ASCII; raises Invalid for what is none.
        config: the settings in force.
        home_id: our own ClusterID, which is skipped.
        events: tells people.
        clock: the time.
        took: told how each search ended, "answered" or a reason, and how long that took.
    """

    home: Cluster
    domains: Store
    sightings: Sightings
    changed: Callable[[set[str]], None]
    resolver: Callable[[str], Resolver]
    encode: Callable[[str], str]
    config: Callable[[], ClusterConfigSpec]
    home_id: Callable[[], str]
    events: Events
    clock: Clock
    took: Callable[[str, timedelta], None]
    searched: dict[str, Searched] = field(default_factory=dict)  # by SearchDomain

    async def reconcile(self, key: Key) -> Outcome:
        """Search one domain."""
        wire = self.domains.get(key)
        finder = dns_finder(key.name)
        if wire is None or "deletionTimestamp" in wire["metadata"]:
            self.searched.pop(key.name, None)
            self.changed(self.sightings.forget(finder))
            return Outcome()
        config = self.config().discovery_config
        wake = timedelta(seconds=config.search_interval)
        search = SearchDomain.parse(wire)
        try:
            domain = self.encode(search.spec.domain)
            resolver = self.resolver(config.dns_server)
        except Invalid as fault:
            said = [condition(ConditionType.ANSWERED, False, fault.reason, str(fault))]
            return Outcome(wake=wake, writes=await self._tell(search, wire, {}, said), outcome="refused")
        before, began = self.searched.get(key.name, Searched()), self.clock.now()
        listed = await list_instances(resolver, domain, config.service, before.lists)
        result = "answered" if listed.fault is None else str(listed.fault)
        if listed.silent:
            self.took(result, self.clock.now() - began)
            reason = listed.fault or Reason.BAD_ANSWER
            message = f"{reason.sentence} Whoever was found stays."
            said = [condition(ConditionType.ANSWERED, False, reason, message)]
            return Outcome(wake=wake, writes=await self._tell(search, wire, {}, said), outcome="waiting")
        asked = (domain, config.service, config.dns_server)
        anew = before.asked != asked
        found = await self._ask_all(finder, resolver, listed, before.known, anew=anew)
        self.took(result, self.clock.now() - began)
        self.searched[key.name] = Searched(asked=asked, lists=listed.lists, known=found)
        sightings, problems = sum_up(listed, found, self.home_id())
        self.changed(self.sightings.replace(finder, sightings, whole=not listed.lost))
        said = conditions(listed, found, problems)
        writes = await self._tell(search, wire, status_fields(sightings, problems), said)
        return Outcome(wake=wake, writes=writes, outcome="waiting" if listed.lost else "done")

    async def _ask_all(
        self, finder: str, resolver: Resolver, listed: Listed, before: Mapping[str, Known], *, anew: bool
    ) -> dict[str, Known]:
        """Ask for every instance whose time is over, or for all anew; each is told of as soon as it is known.

        Who waits longest comes first, so that many who are never answered do not keep others from being asked for.
        """
        now = self.clock.now()
        places = asyncio.Semaphore(AT_ONCE)

        async def ask(instance: str) -> Known:
            old = before.get(instance)
            if old is not None and now < old.until and not anew:
                return old
            async with places:
                if self.clock.now() - now > PATIENCE:
                    return unanswered(instance, Reason.SERVER_AWAY, old, now - PATIENCE)
                said = await ask_instance(resolver, instance)
            if said.silent is not None:
                fresh = unanswered(instance, said.silent, old, now)
            else:
                fresh = judge(said, seed=self.home_id(), now=now)
            if fresh.sighting is not None:
                self._tell_of(finder, fresh.sighting)
            return fresh

        turn = sorted(listed.instances, key=lambda i: (i in before, before[i].until if i in before else now))
        answers = await asyncio.gather(*map(ask, turn))
        return dict(zip(turn, answers, strict=True))

    def _tell_of(self, finder: str, seen: Sighting) -> None:
        """Have a cluster looked at before all others are known; of two with one id, the sum decides in the end."""
        if seen.cluster_id == self.home_id():
            return
        told = self.sightings.of(seen.cluster_id).get(finder)
        if (told is None or told.instance == seen.instance) and self.sightings.add(finder, seen):
            self.changed({seen.cluster_id})

    async def _tell(
        self, search: SearchDomain, wire: Wire, fields: Wire, changes: Sequence[Condition]
    ) -> int:
        """Write the status, if it is not so already; without `fields` what was found stays."""
        old = search.status
        kept = {
            "found": list(old.found),
            "foundCount": old.found_count,
            "problems": [p.wire() for p in old.problems],
            "problemCount": old.problem_count,
        }
        carried = carry(old.conditions, OWNED, changes, self.clock.now())
        body = status_body(
            SEARCH_DOMAIN.api_version,
            SEARCH_DOMAIN.kind,
            search.metadata.name,
            search.metadata.uid,
            {**(fields or kept), "conditions": carried},
        )
        actions: list[Action] = [Apply(kind=SEARCH_DOMAIN, obj=body, seen=wire, subresource="status")]
        actions += [
            _event(wire, c)
            for c in changes
            if c.type == ConditionType.ANSWERED and is_news(old.conditions, c)
        ]
        return await act(Plan(actions), self.home, manager=MANAGER, events=self.events, remember=self._note)

    def _note(self, _kind: object, obj: Wire) -> None:
        self.domains.note(obj)


def _event(about: Wire, new: Condition) -> Event:
    return Event(
        about=about,
        kind=SEARCH_DOMAIN,
        reason=new.reason,
        message=f"{new.type}: {new.message}",
        warning=new.status == "False",
    )
