"""Searches DNS domains: a key is the name of a SearchDomain.

The instances that a domain lists are asked for each time. What is said about each of them is asked again when its
time is over, or when it was not there before. Whoever does not answer removes nobody.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.conditions import carry, condition, is_news, status_body
from liqo.api.kinds import SEARCH_DOMAIN
from liqo.api.meta import Condition, Key, Wire
from liqo.api.reasons import ConditionType, Reason
from liqo.api.search_domain import FOUND_MAX, SearchDomain
from liqo.discovery.dns import Resolver, Type
from liqo.discovery.domain import Known, Listed, conditions, judge, status_fields, sum_up, unanswered
from liqo.discovery.sighting import dns_finder
from liqo.discovery.sightings import Sightings
from liqo.discovery.zone import Said, targets
from liqo.errors import Invalid
from liqo.runtime.loop import Outcome
from liqo.runtime.plan import Action, Apply, Event, Plan, act
from liqo.runtime.ports import Clock, Cluster, Events
from liqo.runtime.store import Store

MANAGER = "liqo-dns"
AT_ONCE = 64  # instances that are asked for at a time
OWNED = (ConditionType.ANSWERED, ConditionType.AUTHENTICATED)


async def list_instances(resolver: Resolver, domain: str, service: str) -> Listed:
    """Return the instances that a domain lists: at itself, as the seed has it, and by RFC 6763 §4."""
    answers = await asyncio.gather(
        resolver.ask(domain, Type.PTR), resolver.ask(f"{service}.{domain}", Type.PTR)
    )
    names = sorted({r for a in answers for r in a.records if isinstance(r, str) and r})
    return Listed(instances=names[:FOUND_MAX], answers=answers, surplus=max(len(names) - FOUND_MAX, 0))


async def ask_instance(resolver: Resolver, instance: str) -> Said:
    """Ask for everything about one instance."""
    services, texts = await asyncio.gather(resolver.ask(instance, Type.SRV), resolver.ask(instance, Type.TXT))
    names = targets(services)
    found = await asyncio.gather(
        *(resolver.ask(name, kind) for name in names for kind in (Type.A, Type.AAAA))
    )
    addresses = {name: found[2 * i : 2 * i + 2] for i, name in enumerate(names)}
    return Said(instance=instance, services=services, texts=texts, addresses=addresses)


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
    known: dict[str, dict[str, Known]] = field(default_factory=dict)  # by SearchDomain and instance
    asked: dict[str, tuple[str, str, str]] = field(
        default_factory=dict
    )  # domain, service, servers, by SearchDomain

    async def reconcile(self, key: Key) -> Outcome:
        """Search one domain."""
        wire = self.domains.get(key)
        finder = dns_finder(key.name)
        if wire is None or "deletionTimestamp" in wire["metadata"]:
            self.known.pop(key.name, None)
            self.asked.pop(key.name, None)
            self.changed(self.sightings.forget(finder))
            return Outcome()
        config = self.config().discovery_config
        wake = timedelta(seconds=config.search_interval)
        search = SearchDomain.parse(wire)
        try:
            domain = self.encode(search.spec.domain)
            resolver = self.resolver(config.dns_server)
        except Invalid as fault:
            said = condition(ConditionType.ANSWERED, False, fault.reason, str(fault))
            return Outcome(wake=wake, writes=await self._tell(search, wire, {}, [said]), outcome="refused")
        listed = await list_instances(resolver, domain, config.service)
        if listed.fault in {a.fault for a in listed.answers if a.silent}:
            said = condition(ConditionType.ANSWERED, False, listed.fault or Reason.SERVER_AWAY, "")
            return Outcome(wake=wake, writes=await self._tell(search, wire, {}, [said]), outcome="waiting")
        found = await self._ask_all(search, resolver, listed)
        sightings, problems = sum_up(listed, found, self.home_id())
        self.changed(self.sightings.replace(finder, sightings))
        writes = await self._tell(search, wire, status_fields(sightings, problems), conditions(listed, found))
        return Outcome(wake=wake, writes=writes)

    async def _ask_all(self, search: SearchDomain, resolver: Resolver, listed: Listed) -> dict[str, Known]:
        """Ask for every instance whose time is over; each is told of as soon as it is known."""
        name, now = search.metadata.name, self.clock.now()
        before, finder = self.known.get(name, {}), dns_finder(search.metadata.name)
        config = self.config().discovery_config
        asked = (search.spec.domain, config.service, config.dns_server)
        stale = self.asked.get(name) != asked  # others say something else, and prove something else
        self.asked[name] = asked
        places = asyncio.Semaphore(AT_ONCE)

        done: dict[str, Known] = {}
        left, taken = list(reversed(listed.instances)), set[str]()

        def tell() -> None:
            """Tell of all that are known, in the order of their names: of two with one id the first counts."""
            while left and left[-1] in done:
                seen = done[left.pop()].sighting
                if seen is None or seen.cluster_id == self.home_id() or seen.cluster_id in taken:
                    continue
                taken.add(seen.cluster_id)
                if self.sightings.add(finder, seen):
                    self.changed({seen.cluster_id})

        async def ask(instance: str) -> Known:
            old = before.get(instance)
            if old is not None and now < old.until and not stale:
                done[instance] = old
                tell()
                return old
            async with places:
                said = await ask_instance(resolver, instance)
            if said.silent is not None:
                fresh = unanswered(instance, said.silent, old, now)
            else:
                fresh = judge(said, seed=self.home_id(), now=now)
            done[instance] = fresh
            tell()
            return fresh

        answers = await asyncio.gather(*(ask(instance) for instance in listed.instances))
        found = dict(zip(listed.instances, answers, strict=True))
        if not listed.whole:  # an instance that is not listed now may be in the answer that did not come
            found = {**before, **found}
        self.known[name] = found
        return found

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
