"""Domains that are never answered, and one that is, on the real loop with real sockets."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import dns.message
import pytest
from prometheus_client import CollectorRegistry

from dns_servers import free_port
from liqo.adapters.clock import SystemClock, SystemRandom
from liqo.adapters.dns import NameServers, encode_domain
from liqo.api.cluster_config import effective
from liqo.api.kinds import SEARCH_DOMAIN
from liqo.api.meta import Key
from liqo.discovery.loop_dns import SearchDomains
from liqo.discovery.sightings import Sightings
from liqo.runtime.loop import CONCURRENCY, Loop
from liqo.runtime.metrics import Metrics
from liqo.runtime.queue import Queue
from liqo.runtime.store import Store
from memory_cluster import MemoryCluster
from world import Quiet

ID = "a" * 32
DEAD = ("dead1.example", "dead2.example")
GOOD = "good.example"
ZONE = {
    "PTR": f"{GOOD}. 60 IN PTR x.{GOOD}.",
    "SRV": f"x.{GOOD}. 60 IN SRV 0 0 6443 api.{GOOD}.",
    "TXT": f'x.{GOOD}. 60 IN TXT "id={ID}" "namespace=liqo"',
    "A": f"api.{GOOD}. 60 IN A 192.0.2.1",
}


class HalfDead(asyncio.DatagramProtocol):
    """A name server that says nothing about some domains."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        if b"dead" in data:
            return
        answer = dns.message.make_response(query)
        line = ZONE.get(str(question.rdtype.name), "")
        if line.startswith(f"{question.name} "):
            answer.answer += dns.message.from_text(f"id 0\nflags QR\n;ANSWER\n{line}\n").answer
        self.transport.sendto(answer.to_wire(), address)  # type: ignore[attr-defined]


@pytest.fixture
async def resolver() -> AsyncIterator[NameServers]:
    port = free_port()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(HalfDead, local_addr=("127.0.0.1", port))
    made = NameServers.of(f"127.0.0.1:{port}")
    yield made
    await made.close()
    transport.close()


async def ends(resolver: NameServers, concurrency: int) -> list[str]:
    """Search the dead domains and then the good one, so many at once; return the domains as they are done."""
    api, domains, order = MemoryCluster(), Store(), list[str]()
    for domain in (*DEAD, GOOD):
        await api.create(SEARCH_DOMAIN, {"metadata": {"name": domain}, "spec": {"domain": domain}})
    domains.replace(api.objects(SEARCH_DOMAIN), str(api.revision))
    clock, metrics = SystemClock(), Metrics(CollectorRegistry())
    queue, sightings, done = Queue(clock, SystemRandom()), Sightings(), asyncio.Event()
    search = SearchDomains(
        home=api,
        domains=domains,
        sightings=sightings,
        changed=lambda _ids: None,
        resolver=lambda _servers: resolver,
        encode=encode_domain,
        config=lambda: effective({"spec": {"discoveryConfig": {"searchInterval": 3_600}}}),
        home_id=lambda: "",
        events=Quiet(),
        clock=clock,
        took=lambda _result, _took: None,
    )

    async def reconcile(key: Key) -> object:
        outcome = await search.reconcile(key)
        order.append(key.name)
        if len(order) == len(domains):
            done.set()
        return outcome

    loop = Loop("domain", reconcile, queue, clock=clock, metrics=metrics, concurrency=concurrency)  # type: ignore[arg-type]
    for domain in (*DEAD, GOOD):
        queue.add(Key("", domain))
    task = asyncio.ensure_future(loop.run())
    try:
        async with asyncio.timeout(timedelta(minutes=1).total_seconds()):
            await done.wait()
    finally:
        task.cancel()
        await asyncio.wait({task})
    assert sightings.of(ID)
    return order


async def test_two_dead_domains_do_not_delay_a_third(resolver: NameServers) -> None:
    order = await ends(resolver, CONCURRENCY)
    assert order[0] == GOOD


async def test_they_would_if_they_were_searched_one_after_another(resolver: NameServers) -> None:
    assert await ends(resolver, 1) == [*DEAD, GOOD]
