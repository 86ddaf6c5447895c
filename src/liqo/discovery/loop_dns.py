"""Searches DNS domains: a key is the name of a SearchDomain.

The instances that a domain lists are asked for each time. What is said about each of them is asked again when its
time is over, or when it was not there before. Whoever does not answer removes nobody.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.conditions import carry, condition, is_news, status_body
from liqo.api.kinds import SEARCH_DOMAIN
from liqo.api.meta import Condition, Key, Wire
from liqo.api.reasons import ConditionType, Reason
from liqo.api.search_domain import FOUND_MAX, PROBLEMS_MAX, SearchDomain
from liqo.discovery.announcement import show
from liqo.discovery.dns import Answer, Resolver, Type
from liqo.discovery.sighting import Sighting, dns_finder
from liqo.discovery.sightings import Sightings
from liqo.discovery.zone import TTL_LEAST, Said, assemble, targets
from liqo.errors import Invalid, Malformed
from liqo.runtime.loop import Outcome
from liqo.runtime.plan import Action, Apply, Event, Plan, act
from liqo.runtime.ports import Clock, Cluster, Events
from liqo.runtime.store import Store

MANAGER = "liqo-dns"
AT_ONCE = 64  # instances that are asked for at a time
OWNED = (ConditionType.ANSWERED, ConditionType.AUTHENTICATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with one instance, for whoever wrote the zone."""

    instance: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was last said about an instance, and until when that holds."""

    sighting: Sighting | None
    problem: Problem | None
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The instances of a domain.

    Args:
        instances: in the order of their names.
        answers: to the two questions for them.
        surplus: how many there are beyond what is taken.
    """

    instances: Sequence[str]
    answers: Sequence[Answer]
    surplus: int = 0

    @property
    def whole(self) -> bool:
        """Whether both questions were answered, so that nobody is missing."""
        return not any(a.silent for a in self.answers)

    @property
    def fault(self) -> Reason | None:
        """Why nothing is listed; None where something is, or where there is nothing."""
        if self.instances:
            return None
        silent = [a.fault for a in self.answers if a.silent]
        return silent[0] if silent else self.answers[0].fault


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


def judge(said: Said, *, seed: str, now: datetime) -> Known:
    """Return what an instance stands for."""
    authenticated = all(a.proof is not Reason.PLAIN_DNS for a in said.answers())
    try:
        sighting = assemble(said, seed=seed, authenticated=authenticated)
    except Malformed as fault:
        problem = Problem(instance=show(said.instance), reason=fault.reason, message=fault.message)
        return Known(sighting=None, problem=problem, until=now + TTL_LEAST)
    return Known(sighting=sighting, problem=None, until=now + said.ttl)


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
        sightings, problems = self._sum_up(listed, found)
        self.changed(self.sightings.replace(finder, sightings))
        writes = await self._tell(search, wire, _fields(sightings, problems), _conditions(listed, found))
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

    def _sum_up(
        self, listed: Listed, found: Mapping[str, Known]
    ) -> tuple[dict[str, Sighting], list[Problem]]:
        """Return the clusters of a domain by id, and what is wrong in it."""
        sightings: dict[str, Sighting] = {}
        problems: list[Problem] = []
        for instance, known in sorted(found.items()):
            if known.problem is not None:
                problems.append(known.problem)
            seen = known.sighting
            if seen is None or seen.cluster_id == self.home_id():
                continue
            first = sightings.setdefault(seen.cluster_id, seen)
            if first is not seen:
                message = f"it has the same id as {show(first.instance)}, which counts"
                problems.append(Problem(instance=show(instance), reason=Reason.ID_CONFLICT, message=message))
        if listed.surplus:
            message = f"{listed.surplus} more instances are not looked at; {FOUND_MAX} are"
            problems.append(Problem(instance="", reason=Reason.TOO_MANY, message=message))
        return sightings, problems

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
        conditions = carry(old.conditions, OWNED, changes, self.clock.now())
        body = status_body(
            SEARCH_DOMAIN.api_version,
            SEARCH_DOMAIN.kind,
            search.metadata.name,
            search.metadata.uid,
            {**(fields or kept), "conditions": conditions},
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


def unanswered(instance: str, reason: Reason, old: Known | None, now: datetime) -> Known:
    """Return what is known of an instance about which there was no answer: what was, and a problem."""
    problem = Problem(instance=show(instance), reason=reason, message=reason.sentence)
    return Known(sighting=old.sighting if old else None, problem=problem, until=now + TTL_LEAST)


def _fields(sightings: Mapping[str, Sighting], problems: Sequence[Problem]) -> Wire:
    return {
        "found": sorted(sightings),
        "foundCount": len(sightings),
        "problems": [
            {"instance": p.instance, "reason": str(p.reason), "message": p.message[:1024]}
            for p in problems[:PROBLEMS_MAX]
        ],
        "problemCount": len(problems),
    }


def _conditions(listed: Listed, found: Mapping[str, Known]) -> list[Condition]:
    """Return what is true of a domain whose servers have answered."""
    if listed.instances:
        answered = condition(ConditionType.ANSWERED, True, Reason.ANSWERED)
    elif listed.answers[0].fault is Reason.NO_SUCH_DOMAIN:
        answered = condition(ConditionType.ANSWERED, False, Reason.NO_SUCH_DOMAIN)
    else:
        answered = condition(ConditionType.ANSWERED, True, Reason.NO_INSTANCES)
    proofs = {a.proof for a in listed.answers if a.fault is None}
    seen = [k.sighting for k in found.values() if k.sighting is not None]
    if Reason.PLAIN_DNS in proofs or not proofs or not all(s.authenticated for s in seen):
        return [answered, condition(ConditionType.AUTHENTICATED, False, Reason.PLAIN_DNS)]
    proof = Reason.DNSSEC if proofs == {Reason.DNSSEC} else Reason.ENCRYPTED
    return [answered, condition(ConditionType.AUTHENTICATED, True, proof)]


def _event(about: Wire, new: Condition) -> Event:
    return Event(
        about=about,
        kind=SEARCH_DOMAIN,
        reason=new.reason,
        message=f"{new.type}: {new.message}",
        warning=new.status == "False",
    )
