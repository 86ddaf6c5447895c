"""What a search makes of what name servers say, and of what they do not say, from one time to the next."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from liqo.api.cluster_config import effective
from liqo.api.kinds import SEARCH_DOMAIN
from liqo.api.meta import Key, Wire
from liqo.api.reasons import Reason
from liqo.discovery.dns import Answer, Record, Service, Type
from liqo.discovery.loop_dns import SearchDomains
from liqo.discovery.sighting import dns_finder
from liqo.discovery.sightings import Sightings
from liqo.runtime.loop import Outcome
from liqo.runtime.store import Store
from manual_clock import ManualClock
from memory_cluster import MemoryCluster
from world import Quiet

APEX, SUB = "mydomain.com", "_liqo._tcp.mydomain.com"
OLD_APEX, OLD_SUB = "old.example", "_liqo._tcp.old.example"
NAME = "seed"
HOUR = timedelta(hours=1)
AWAY = Answer(fault=Reason.SERVER_AWAY)
ABSENT = Answer(fault=Reason.NO_SUCH_DOMAIN)
CIRCLE = Answer(fault=Reason.CNAME_LOOP)
LOST = [
    AWAY,
    CIRCLE,
    Answer(fault=Reason.SERVER_FAILED),
    Answer(fault=Reason.SERVER_REFUSED),
    Answer(fault=Reason.BAD_ANSWER),
]


OTHER_SERVER = effective({"spec": {"discoveryConfig": {"dnsServer": "192.0.2.53:53"}}})


def cluster_id(name: str) -> str:
    return (name * 32)[:32]


def says(*records: Record) -> Answer:
    return Answer(records=records, ttl=timedelta(seconds=60))


@dataclass
class Zone:
    """Implements `discovery.dns.Resolver`; what is not in it does not exist."""

    lists: dict[str, Answer] = field(default_factory=dict)
    more: dict[tuple[str, Type], Answer] = field(default_factory=dict)
    asked: list[tuple[str, Type]] = field(default_factory=list)
    each: Callable[[str], None] = lambda _name: None
    ipv6: bool = True

    async def ask(self, name: str, kind: Type) -> Answer:
        self.asked.append((name, kind))
        self.each(name)
        if (name, kind) in self.more:
            return self.more[name, kind]
        match kind:
            case Type.PTR:
                return self.lists.get(name, ABSENT)
            case Type.SRV:
                return says(Service(0, 0, 6443, f"api.{name}"))
            case Type.TXT:
                return says(f"id={cluster_id(name.split('.', 1)[0])}".encode(), b"namespace=liqo")
            case Type.A:
                return says("192.0.2.1")
            case Type.AAAA:
                return says()


class Search:
    """One SearchDomain and all that its loop needs."""

    def __init__(self, zone: Zone, home_id: str = "") -> None:
        self.zone, self.clock, self.api = zone, ManualClock(), MemoryCluster()
        self.sightings, self.told = Sightings(), set[str]()
        self.domains = Store()
        self.spec: dict[str, Any] = {"domain": APEX}
        self.home_id = home_id
        self.took: list[tuple[str, timedelta]] = []
        self.born()

    def born(self) -> None:
        """Begin a new life of the process."""
        self.sightings = Sightings()
        self.loop = SearchDomains(
            home=self.api,
            domains=self.domains,
            sightings=self.sightings,
            changed=self.told.update,
            resolver=lambda _: self.zone,
            encode=str,
            config=lambda: effective(None),
            home_id=lambda: self.home_id,
            events=Quiet(),
            clock=self.clock,
            took=lambda result, took: self.took.append((result, took)),
        )

    async def run(self, *, after: timedelta = HOUR, **spec: Any) -> Outcome:
        """Search once more, later."""
        self.clock.at += after
        self.told.clear()
        self.spec |= spec
        if self.api.seen(SEARCH_DOMAIN, NAME) is None:
            await self.api.create(SEARCH_DOMAIN, {"metadata": {"name": NAME}, "spec": self.spec})
        await self.api.patch(SEARCH_DOMAIN, Key("", NAME), {"spec": self.spec})
        self.domains.replace(self.api.objects(SEARCH_DOMAIN), str(self.api.revision))
        return await self.loop.reconcile(Key("", NAME))

    @property
    def found(self) -> set[str]:
        """The first letters of the clusters that are seen."""
        return {i[0] for i in map(str, self.status["found"]) if self.sightings.of(i)}

    @property
    def status(self) -> Wire:
        wire = self.api.seen(SEARCH_DOMAIN, NAME)
        assert wire is not None
        status: Wire = wire["status"]
        return status

    @property
    def answered(self) -> tuple[str, str]:
        found = next(c for c in self.status["conditions"] if c["type"] == "Answered")
        return found["status"], found["reason"]

    @property
    def problems(self) -> dict[str, str]:
        return {p["instance"]: p["reason"] for p in self.status["problems"]}


def instances(names: Iterable[str], domain: str = APEX) -> Answer:
    return says(*(f"{name}.{domain}" for name in names))


@pytest.fixture
async def search() -> Search:
    """a and b stand at the domain itself, b and c at the name of RFC 6763."""
    made = Search(Zone({APEX: instances("ab"), SUB: instances("bc")}))
    await made.run()
    assert (made.found, made.answered, made.problems) == (set("abc"), ("True", "Answered"), {})
    return made


async def test_who_leaves_the_zone_goes(search: Search) -> None:
    search.zone.lists = {APEX: instances("a"), SUB: instances("c")}
    await search.run()
    assert search.found == set("ac")
    assert search.told == {cluster_id("b")}


@pytest.mark.parametrize("fault", LOST)
async def test_who_was_listed_where_nobody_answers_stays(search: Search, fault: Answer) -> None:
    search.zone.lists = {APEX: fault, SUB: instances("c")}
    await search.run()
    assert search.found == set("abc")
    assert search.answered == ("True", "Answered")
    assert search.problems == {APEX: fault.fault}


async def test_who_was_listed_only_where_there_is_an_answer_goes(search: Search) -> None:
    """Be the other name silent for ever."""
    search.zone.lists = {APEX: says(), SUB: AWAY}
    await search.run()
    assert search.found == set("bc")
    assert search.answered == ("False", "ServerAway")


@pytest.mark.parametrize("fault", [*LOST, ABSENT])
@pytest.mark.parametrize("reborn", [False, True])
async def test_a_domain_about_which_nothing_is_known_removes_nobody(
    search: Search, fault: Answer, *, reborn: bool
) -> None:
    if reborn:
        search.born()
    search.zone.lists = {APEX: fault, SUB: fault}
    assert (await search.run()).outcome == "waiting"
    assert (set(search.status["found"]), search.answered) == (
        set(map(cluster_id, "abc")),
        ("False", fault.fault),
    )
    assert not search.told
    assert search.sightings.has_answered(dns_finder(NAME)) is not reborn
    search.zone.lists = {APEX: instances("a")}
    await search.run()
    assert (search.found, search.answered) == ({"a"}, ("True", "Answered"))


async def test_a_domain_that_exists_and_lists_nobody_removes_all(search: Search) -> None:
    search.zone.lists = {APEX: says()}
    await search.run()
    assert (search.found, search.answered) == (set(), ("True", "NoInstances"))
    assert search.told == set(map(cluster_id, "abc"))


async def test_a_domain_that_does_not_exist_where_it_is_asked_removes_nobody(search: Search) -> None:
    search.zone.lists = {APEX: ABSENT, SUB: AWAY}
    await search.run()
    assert (set(search.status["found"]), search.answered) == (
        set(map(cluster_id, "abc")),
        ("False", "NoSuchDomain"),
    )
    assert not search.told


async def test_one_name_that_does_not_exist_keeps_nobody(search: Search) -> None:
    search.zone.lists = {APEX: instances("b")}
    await search.run()
    assert (search.found, search.problems) == ({"b"}, {})


@pytest.mark.parametrize(
    ("ttl", "holds"),
    [(60, 60), (3_600, 300), (1, 5)],
    ids=["until its TTL ends", "five minutes at most", "five seconds at least"],
)
async def test_what_was_said_of_an_instance_holds(ttl: int, holds: int) -> None:
    search = Search(Zone({APEX: instances("a")}))
    instance = f"a.{APEX}"
    search.zone.more = {
        (instance, Type.SRV): Answer(records=(Service(0, 0, 6443, "api"),), ttl=timedelta(seconds=ttl)),
        (instance, Type.TXT): Answer(
            records=(f"id={cluster_id('a')}".encode(), b"namespace=liqo"), ttl=timedelta(seconds=ttl)
        ),
        ("api", Type.A): Answer(records=("192.0.2.1",), ttl=timedelta(hours=1)),
        ("api", Type.AAAA): Answer(ttl=timedelta(hours=1)),
    }
    await search.run()
    of_it = {(instance, Type.SRV), (instance, Type.TXT), ("api", Type.A), ("api", Type.AAAA)}
    listing = {(APEX, Type.PTR), (SUB, Type.PTR)}
    for later, asked in ((holds - 1, listing), (1, listing | of_it), (1, listing)):
        search.zone.asked.clear()
        await search.run(after=timedelta(seconds=later))
        assert set(search.zone.asked) == asked
        assert search.found == {"a"}


async def test_aliases_in_a_circle_at_the_domain_are_a_mistake_and_not_an_empty_domain(
    search: Search,
) -> None:
    search.zone.lists = {APEX: CIRCLE}
    await search.run()
    assert search.found == set("ab")
    assert search.answered == ("False", "CNAMELoop")
    assert search.problems == {APEX: "CNAMELoop"}


async def test_who_stays_is_asked_for_like_everybody(search: Search) -> None:
    search.zone.lists = {APEX: AWAY, SUB: instances("bc")}
    search.zone.more[f"a.{APEX}", Type.SRV] = ABSENT
    await search.run()
    assert search.found == set("bc")
    assert search.problems == {APEX: "ServerAway", f"a.{APEX}": "NoSRV"}


@pytest.mark.parametrize("silent", [APEX, SUB])
async def test_another_domain_leaves_nobody_of_the_old_one(silent: str) -> None:
    search = Search(Zone({OLD_APEX: instances("ab", OLD_APEX), OLD_SUB: instances("bc", OLD_APEX)}))
    await search.run(domain=OLD_APEX)
    assert search.found == set("abc")
    search.zone.lists = {APEX: instances("d"), SUB: instances("d"), silent: AWAY}
    await search.run(domain=APEX)
    assert search.found == {"d"}
    assert search.told == set(map(cluster_id, "abcd"))


async def test_another_domain_that_is_half_empty_and_half_silent_leaves_nobody_either() -> None:
    search = Search(Zone({OLD_APEX: instances("ab", OLD_APEX)}))
    await search.run(domain=OLD_APEX)
    search.zone.lists = {APEX: says(), SUB: AWAY}
    await search.run(domain=APEX)
    assert (search.found, search.status["found"]) == (set(), [])
    assert search.answered == ("False", "ServerAway")


async def test_after_a_restart_half_an_answer_removes_nobody_of_an_earlier_life(search: Search) -> None:
    search.born()
    search.zone.lists = {APEX: instances("a"), SUB: AWAY}
    await search.run()
    assert not search.sightings.has_answered(dns_finder(NAME))
    assert search.sightings.of(cluster_id("a"))
    search.zone.lists = {APEX: instances("a"), SUB: says()}
    await search.run()
    assert search.sightings.has_answered(dns_finder(NAME))
    assert search.found == {"a"}
    assert "" in search.told


async def test_a_name_server_that_is_new_and_silent_about_one_removes_nobody(search: Search) -> None:
    search.zone.more[f"a.{APEX}", Type.SRV] = AWAY
    search.loop = replace(search.loop, config=lambda: OTHER_SERVER)
    await search.run()
    assert search.found == set("abc")
    assert search.problems == {f"a.{APEX}": "ServerAway"}


async def test_of_many_problems_the_first_hundred_are_shown_and_all_are_counted_by_reason() -> None:
    search = Search(
        Zone({APEX: instances([*(f"a{n}" for n in range(60)), *(f"b{n}" for n in range(90)), "c"])})
    )
    search.zone.more = {(f"a{n}.{APEX}", Type.SRV): says() for n in range(60)}
    search.zone.more |= {(f"b{n}.{APEX}", Type.TXT): says() for n in range(90)}
    await search.run()
    assert (search.found, search.status["problemCount"], len(search.status["problems"])) == ({"c"}, 150, 100)
    message = next(c["message"] for c in search.status["conditions"] if c["type"] == "Answered")
    assert message == "A name server answered for the domain. Problems: NoTXT ×90, NoSRV ×60."


async def test_of_two_with_one_id_the_first_by_name_counts_from_one_search_to_the_next() -> None:
    search = Search(Zone({APEX: instances(["x.1", "x.2"])}))
    for _ in range(2):
        await search.run()
        (sighting,) = search.sightings.of(cluster_id("x")).values()
        assert sighting.instance == f"x.1.{APEX}"
        assert search.problems == {f"x.2.{APEX}": "IdConflict"}
    assert not search.told


async def test_our_own_id_is_skipped() -> None:
    search = Search(Zone({APEX: instances("ab")}), home_id=cluster_id("a"))
    await search.run()
    assert (search.found, search.told) == ({"b"}, {cluster_id("b"), ""})


ONLY_IPV6 = {("api.a.mydomain.com", Type.A): says(), ("api.a.mydomain.com", Type.AAAA): says("2001:db8::1")}


async def test_a_cluster_with_ipv6_addresses_only_is_told_where_there_is_no_ipv6() -> None:
    search = Search(Zone({APEX: instances("ab")}, ONLY_IPV6, ipv6=False))
    await search.run()
    assert search.found == {"b"}
    (problem,) = search.status["problems"]
    assert (problem["instance"], problem["reason"]) == (f"a.{APEX}", "NoAddress")
    assert problem["message"] == "api.a.mydomain.com has only AAAA records, and this host has no IPv6"


async def test_without_ipv6_aaaa_is_asked_for_only_where_there_is_no_other_address() -> None:
    search = Search(Zone({APEX: instances("ab")}, ONLY_IPV6, ipv6=False))
    await search.run()
    assert [name for name, kind in search.zone.asked if kind is Type.AAAA] == ["api.a.mydomain.com"]


async def test_with_ipv6_it_is_a_cluster_like_any_other() -> None:
    search = Search(Zone({APEX: instances("ab")}, ONLY_IPV6))
    await search.run()
    (sighting,) = search.sightings.of(cluster_id("a")).values()
    assert "https://[2001:db8::1]:6443" in sighting.endpoints


async def test_how_long_a_search_took_is_told_by_how_it_ended(search: Search) -> None:
    search.took.clear()
    search.zone.each = lambda _name: setattr(search.clock, "at", search.clock.at + timedelta(seconds=1))
    search.zone.lists = {}
    await search.run()
    search.zone.lists = {APEX: AWAY, SUB: AWAY}
    await search.run()
    seconds = timedelta(seconds=2)
    assert search.took == [("NoSuchDomain", seconds), ("ServerAway", seconds)]


async def test_a_domain_of_which_most_is_never_answered_is_told_in_time_and_hides_nobody() -> None:
    """Each question about one that is silent takes a second, so that one search has no time for all hundred."""
    dead = [f"0dead{n}" for n in range(100)]
    search = Search(Zone({APEX: instances([*dead, "good"])}))
    search.zone.more = {(f"{name}.{APEX}", Type.SRV): AWAY for name in dead}
    second = timedelta(seconds=1)
    search.zone.each = lambda name: setattr(search.clock, "at", search.clock.at + second * ("dead" in name))
    await search.run()
    assert (search.found, search.status["problemCount"]) == (set(), 101)
    for _ in range(8):
        await search.run()
    assert search.found == {"g"}  # found in its turn, and kept when it is not its turn
