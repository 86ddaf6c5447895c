"""Zones on real name servers: the seed's, word for word, and every way in which one can be broken."""

import asyncio
import base64
import hashlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from dns_servers import NameServer, Serve, seed_zone
from liqo.adapters.dns import NameServers, encode_domain
from liqo.api.reasons import Reason
from liqo.discovery.dns import Type
from liqo.discovery.domain import Known, judge
from liqo.discovery.loop_dns import AT_ONCE, ask_instance, list_instances
from liqo.discovery.zone import Said

pytestmark = pytest.mark.lab

NOW = datetime(2026, 11, 23, tzinfo=UTC)
DOMAIN = "mydomain.com"
ID1, ID2 = "a" * 32, "b" * 32

SEED = seed_zone((ID1, "192.0.2.1"), (ID2, "192.0.2.2"))


@pytest.fixture(params=["coredns", "bind"])
def serve(request: pytest.FixtureRequest) -> Serve:
    found: Serve = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def ask() -> AsyncIterator[type["Search"]]:
    yield Search
    for resolver in Search.opened:
        await resolver.close()
    Search.opened.clear()


class Search:
    """A domain as the loop searches it, without an API server."""

    opened: list[NameServers] = []  # noqa: RUF012  closed by the fixture

    def __init__(self, *servers: str, ipv6: bool = True) -> None:
        self.resolver = NameServers.of(" ".join(servers))
        self.resolver.ipv6 = ipv6
        self.opened.append(self.resolver)

    async def run(self, domain: str = DOMAIN) -> dict[str, Known]:
        listed = await list_instances(self.resolver, encode_domain(domain), "_liqo._tcp")
        places = asyncio.Semaphore(AT_ONCE)

        async def one(instance: str) -> Said:
            async with places:
                return await ask_instance(self.resolver, instance)

        said = await asyncio.gather(*map(one, listed.instances))
        return {s.instance.split(".", 1)[0]: judge(s, seed="home", now=NOW) for s in said}


async def test_the_seed_s_zone_is_two_clusters(serve: Serve, ask: type[Search]) -> None:
    found = await ask(serve(DOMAIN, SEED).address).run()
    assert {
        name: (known.sighting.cluster_id, known.sighting.namespace, known.sighting.endpoints)
        for name, known in found.items()
        if known.sighting
    } == {
        "liqo1": (ID1, "liqo", ("https://apiserver1.mydomain.com:6443", "https://192.0.2.1:6443")),
        "liqo2": (ID2, "liqo", ("https://apiserver2.mydomain.com:6443", "https://192.0.2.2:6443")),
    }


RICH = f"""
@ PTR eins._liqo._tcp
_liqo._tcp PTR zwei._liqo._tcp
eins._liqo._tcp SRV 10 0 6443 backup
eins._liqo._tcp SRV 0 5 6443 first
eins._liqo._tcp TXT "namespace=liqo" "UNTRUSTED-CA=true" "other=ignored" "v=1"
eins._liqo._tcp TXT "id={ID1}"
first A 192.0.2.1
first AAAA 2001:db8::1
backup CNAME hop1
hop1 CNAME hop2
hop2 A 192.0.2.9
zwei._liqo._tcp SRV 0 0 443 api
zwei._liqo._tcp TXT "id={ID2}" "namespace=elsewhere" "url=https://public.example:8443"
api AAAA 2001:db8::2
"""


async def test_all_that_a_zone_may_say(serve: Serve, ask: type[Search]) -> None:
    found = await ask(serve(DOMAIN, RICH).address).run()
    first, second = found["eins"].sighting, found["zwei"].sighting
    assert first is not None
    assert second is not None
    assert first.untrusted_ca
    assert first.endpoints == (
        "https://192.0.2.1:6443",
        "https://[2001:db8::1]:6443",
        "https://192.0.2.9:6443",
    )
    assert second.namespace == "elsewhere"
    assert second.endpoints == (
        "https://public.example:8443",
        "https://api.mydomain.com:443",
        "https://[2001:db8::2]:443",
    )


async def test_ipv6_addresses_on_a_host_without_ipv6(serve: Serve, ask: type[Search]) -> None:
    found = await ask(serve(DOMAIN, RICH).address, ipv6=False).run()
    first, second = found["eins"].sighting, found["zwei"].sighting
    assert first is not None
    assert first.endpoints == ("https://192.0.2.1:6443", "https://192.0.2.9:6443")
    assert second is not None  # it says url=
    found = await ask(serve(DOMAIN, RICH.replace("url=", "x=")).address, ipv6=False).run()
    assert found["zwei"].problem is not None
    assert "only AAAA records" in found["zwei"].problem.message


BROKEN: dict[str, tuple[str, Reason]] = {
    "no SRV": (f'x TXT "id={ID1}" "namespace=liqo"', Reason.NO_SRV),
    "no TXT": ("x SRV 0 0 6443 api", Reason.NO_TXT),
    "no id": ('x SRV 0 0 6443 api\nx TXT "namespace=liqo"', Reason.NO_CLUSTER_ID),
    "bad id": ('x SRV 0 0 6443 api\nx TXT "id=MILAN" "namespace=liqo"', Reason.BAD_CLUSTER_ID),
    "no namespace": (f'x SRV 0 0 6443 api\nx TXT "id={ID1}"', Reason.NO_NAMESPACE),
    "bad namespace": (f'x SRV 0 0 6443 api\nx TXT "id={ID1}" "namespace=A B"', Reason.BAD_NAMESPACE),
    "no address": (f'x SRV 0 0 6443 nowhere\nx TXT "id={ID1}" "namespace=liqo"', Reason.NO_ADDRESS),
    "alias into nothing": (
        f'x SRV 0 0 6443 alias\nx TXT "id={ID1}" "namespace=liqo"\nalias CNAME nowhere',
        Reason.NO_ADDRESS,
    ),
    "alias in a circle": (
        f'x SRV 0 0 6443 a1\nx TXT "id={ID1}" "namespace=liqo"\na1 CNAME a2\na2 CNAME a1',
        Reason.CNAME_LOOP,
    ),
    "service withdrawn": (f'x SRV 0 0 0 .\nx TXT "id={ID1}" "namespace=liqo"', Reason.NO_SERVICE),
    "port 0": (f'x SRV 0 0 0 api\nx TXT "id={ID1}" "namespace=liqo"', Reason.BAD_SRV),
    "unknown version": (
        f'x SRV 0 0 6443 api\nx TXT "id={ID1}" "namespace=liqo" "v=9"',
        Reason.UNKNOWN_VERSION,
    ),
    "bad url": (
        f'x SRV 0 0 6443 api\nx TXT "id={ID1}" "namespace=liqo" "url=http://plain"',
        Reason.BAD_URL,
    ),
}


@pytest.mark.parametrize("mistake", BROKEN)
async def test_a_broken_instance_is_explained_and_hides_nobody(
    coredns: Serve, ask: type[Search], mistake: str
) -> None:
    records, reason = BROKEN[mistake]
    healthy = f'good SRV 0 0 6443 api\ngood TXT "id={ID2}" "namespace=liqo"\napi A 192.0.2.1'
    found = await ask(coredns(DOMAIN, f"@ PTR x\n@ PTR good\n{healthy}\n{records}").address).run()
    assert found["good"].sighting is not None
    if mistake == "alias in a circle":  # a server may also say SERVFAIL to that
        assert found["x"].sighting is None
        return
    assert found["x"].problem is not None
    assert (found["x"].problem.reason, found["x"].sighting) == (reason, None)


async def test_a_thousand_clusters_need_tcp(serve: Serve, ask: type[Search]) -> None:
    count = 1_000
    records = "\n".join(
        f"@ PTR c{n}._liqo._tcp\nc{n}._liqo._tcp SRV 0 0 6443 api\n"
        f'c{n}._liqo._tcp TXT "id={ID1}" "namespace=liqo"'
        for n in range(count)
    )
    server = serve(DOMAIN, f"{records}\napi A 192.0.2.1")
    listed = await list_instances(ask(server.address).resolver, DOMAIN, "_liqo._tcp")
    assert len(listed.instances) == count


async def test_the_zone_changes(serve: Serve, ask: type[Search]) -> None:
    server: NameServer = serve(DOMAIN, SEED)
    search = ask(server.address)
    assert set(await search.run()) == {"liqo1", "liqo2"}
    server.serve(SEED.replace("PTR     liqo2", "PTR     liqo1"))
    assert set(await search.run()) == {"liqo1"}


async def test_a_domain_in_another_script(serve: Serve, ask: type[Search]) -> None:
    server = serve(
        "xn--bcher-kva.example", f'@ PTR x\nx SRV 0 0 1 a\nx TXT "id={ID1}" "namespace=liqo"\na A 192.0.2.1'
    )
    assert set(await ask(server.address).run("Bücher.example.")) == {"x"}


async def test_what_is_not_there(serve: Serve, ask: type[Search]) -> None:
    search = ask(serve(DOMAIN, "").address)
    nothing = await search.resolver.ask(DOMAIN, Type.PTR)
    assert (nothing.records, nothing.fault, nothing.ttl.total_seconds()) == ((), None, 5)
    absent = await search.resolver.ask(f"nobody.{DOMAIN}", Type.PTR)
    assert absent.fault is Reason.NO_SUCH_DOMAIN
    other = await search.resolver.ask("other.example", Type.PTR)
    assert other.fault in {Reason.SERVER_REFUSED, Reason.SERVER_FAILED}


async def test_a_domain_whose_aliases_lead_in_a_circle_is_not_taken_for_an_empty_one(
    serve: Serve, ask: type[Search]
) -> None:
    search = ask(serve(DOMAIN, "here CNAME there\nthere CNAME here").address)
    listed = await list_instances(search.resolver, f"here.{DOMAIN}", "_liqo._tcp")
    assert listed.lost
    assert listed.fault in {Reason.CNAME_LOOP, Reason.SERVER_FAILED}  # a server may also say that to it


async def test_a_dead_server_leaves_it_to_the_next(serve: Serve, ask: type[Search]) -> None:
    server = serve(DOMAIN, SEED)
    assert set(await ask("127.0.0.1:9", server.address).run()) == {"liqo1", "liqo2"}


TEN = list({reason: records for records, reason in BROKEN.values() if reason != Reason.CNAME_LOOP}.items())[
    :10
]


async def test_of_a_thousand_with_200_broken_in_ten_ways_all_800_are_found_and_200_explained(
    coredns: Serve, ask: type[Search]
) -> None:
    lines, broken = ["api A 192.0.2.1", "alias CNAME nowhere"], dict[str, Reason]()
    for n in range(1_000):
        own = base64.b32encode(hashlib.sha256(str(n).encode()).digest()[:20]).decode().lower()
        records = f'x SRV 0 0 6443 api\nx TXT "id={own}" "namespace=liqo"'
        if n % 5 == 0:
            broken[f"c{n}"], records = TEN[n // 5 % 10]
        lines += [f"@ PTR c{n}", *(f"c{n} {line[2:]}" for line in records.splitlines() if line[:2] == "x ")]
    server = coredns(DOMAIN, "\n".join(lines)).address
    found = await ask(server, ipv6=False).run()
    assert len({k.sighting.cluster_id for k in found.values() if k.sighting}) == 800
    assert {name: k.problem.reason for name, k in found.items() if k.problem} == broken
    assert Counter(Counter(broken.values()).values()) == {20: 10}

    argv = (sys.executable, "-m", "liqo", "discover", "dns", DOMAIN, "--server", server)
    shown = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=False)
    told = re.findall(rf"^(c\d+)\.{DOMAIN}: (\w+): ", shown.stderr, re.MULTILINE)
    assert dict(told) == broken
