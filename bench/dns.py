"""How long a domain takes to become ForeignClusters, beside writing as many equal objects with the same client."""

import asyncio
import base64
import hashlib
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.measure import HOME, IDLE, Clusters, Row, resident, worked
from liqo.api.kinds import CLUSTER_CONFIG, FOREIGN_CLUSTER, SEARCH_DOMAIN
from liqo.api.meta import Key, Wire
from liqo.api.names import CONFIG_NAME
from liqo.api.search_domain import SearchDomain
from liqo.lab.lab import LIQO
from liqo.runtime.ports import Selection

DOMAIN = "bench.example"
AT_ONCE = 64
PORT = 5300  # on 5353 the LAN agent listens
POLL = timedelta(milliseconds=50)
WITHIN = timedelta(seconds=120)
MANY = 1_000


def cluster_id(number: int) -> str:
    return base64.b32encode(hashlib.sha256(str(number).encode()).digest()[:20]).decode().lower()


BROKEN = (
    'TXT "id={id}" "namespace=liqo"',
    "SRV 0 0 6443 {api}",
    'SRV 0 0 6443 {api}|TXT "namespace=liqo"',
    'SRV 0 0 6443 {api}|TXT "id=MILAN" "namespace=liqo"',
    'SRV 0 0 6443 {api}|TXT "id={id}"',
    'SRV 0 0 6443 {api}|TXT "id={id}" "namespace=A B"',
    'SRV 0 0 6443 nowhere.{domain}|TXT "id={id}" "namespace=liqo"',
    'SRV 0 0 0 .|TXT "id={id}" "namespace=liqo"',
    'SRV 0 0 0 {api}|TXT "id={id}" "namespace=liqo"',
    'SRV 0 0 6443 {api}|TXT "id={id}" "namespace=liqo" "v=9"',
)  # ten ways, each with a reason of its own
GOOD = 'SRV 0 0 6443 {api}|TXT "id={id}" "namespace=liqo"'
BROKEN_EACH = 5  # one of so many, where some are


# Ends well as soon as the name server knows a name.
KNOWS = """
import sys, dns.message, dns.query
host, port, name = sys.argv[1:]
answer = dns.query.udp(dns.message.make_query(name, "TXT"), host, port=int(port), timeout=1)
sys.exit(not answer.answer)
"""


def mark(count: int, *, broken: bool = False) -> str:
    """Return a name that only this zone has."""
    return f"{'broken' if broken else 'whole'}-{count}.{DOMAIN}."


def zone(count: int, *, broken: bool = False) -> str:
    """Return a zone of so many clusters, all whole or one in five broken, in ten ways."""
    lines = [f'{mark(count, broken=broken)} 60 TXT "served"']
    for n in range(count):
        instance, api = f"c{n}._liqo._tcp.{DOMAIN}.", f"api{n}.{DOMAIN}."
        wrong = broken and n % BROKEN_EACH == 0
        records = BROKEN[n // BROKEN_EACH % len(BROKEN)] if wrong else GOOD
        filled = records.format(id=cluster_id(n), api=api, domain=f"{DOMAIN}.")
        lines += [f"{DOMAIN}. 60 PTR {instance}", *(f"{instance} 60 {r}" for r in filled.split("|"))]
        lines.append(f"{api} 60 A 192.0.{n // 250}.{n % 250}")
    return "\n".join(lines) + "\n"


async def crowd(work: Iterable[Coroutine[Any, Any, Any]]) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(task: Coroutine[Any, Any, Any]) -> None:
        async with places:
            await task

    await asyncio.gather(*map(one, work))


async def write_directly(clusters: Clusters, count: int) -> float:
    """Return how long writing equal objects takes, with nobody else at work."""
    to = clusters.to[HOME]
    clusters.lab.stop(HOME, LIQO)

    async def one(number: int) -> None:
        endpoint = f"https://api{number}.{DOMAIN}:6443"
        head: Wire = {"apiVersion": FOREIGN_CLUSTER.api_version, "kind": FOREIGN_CLUSTER.kind}
        spec = {
            "clusterID": cluster_id(number),
            "clusterName": f"c{number}",
            "namespace": "liqo",
            "join": False,
            "discoveryType": "WAN",
            "allowUntrustedCA": False,
            "apiUrl": endpoint,
        }
        name = cluster_id(number)
        made = await to.create(FOREIGN_CLUSTER, {**head, "metadata": {"name": name}, "spec": spec})
        at = "2026-01-01T00:00:00Z"
        found = {"type": "Discovered", "status": "True", "reason": "Found", "message": "Seen by dns/bench."}
        status = {
            "sources": [
                {
                    "name": "dns/bench",
                    "endpoints": [endpoint, "https://192.0.2.1:6443"],
                    "ttlSeconds": 60,
                    "lastSeen": at,
                    "instance": f"c{number}._liqo._tcp.{DOMAIN}",
                }
            ],
            "conditions": [{**found, "lastTransitionTime": at}],
        }
        body = {**head, "metadata": {"name": name, "uid": made["metadata"]["uid"]}, "status": status}
        await to.apply(FOREIGN_CLUSTER, body, manager="bench", subresource="status")

    began = clusters.clock.now()
    await crowd(one(n) for n in range(count))
    took = (clusters.clock.now() - began).total_seconds()
    await crowd(to.delete(FOREIGN_CLUSTER, Key("", cluster_id(n))) for n in range(count))
    clusters.lab.start(HOME, LIQO)
    return took


async def search(clusters: Clusters, count: int, broken: int = 0) -> float:
    """Return how long it takes from the SearchDomain to the last ForeignCluster with its source."""
    to, began = clusters.to[HOME], clusters.clock.now()
    head: Wire = {"apiVersion": SEARCH_DOMAIN.api_version, "kind": SEARCH_DOMAIN.kind}
    await to.create(SEARCH_DOMAIN, {**head, "metadata": {"name": "bench"}, "spec": {"domain": DOMAIN}})
    while True:
        domain = SearchDomain.parse(await to.get(SEARCH_DOMAIN, Key("", "bench")))
        told = (domain.status.found_count, domain.status.problem_count)
        if told == (count, broken) and await _count(clusters) == count:
            return (clusters.clock.now() - began).total_seconds()
        if clusters.clock.now() - began > WITHIN:
            raise TimeoutError(f"{domain.status.found_count} of {count}: {domain.status.problems[:3]}")
        await clusters.clock.sleep(POLL)


async def _count(clusters: Clusters) -> int:
    """Return how many ForeignClusters the domain is a source of."""
    found, token = 0, ""
    while True:
        page = await clusters.to[HOME].list(Selection(FOREIGN_CLUSTER), continue_token=token)
        for wire in page.items:
            sources = wire.get("status", {}).get("sources", ())
            found += any(s["name"] == "dns/bench" for s in sources)
        token = page.continue_token
        if not token:
            return found


async def forget(clusters: Clusters) -> None:
    """Take the domain out and wait until nothing of it is left."""
    to = clusters.to[HOME]
    await to.delete(SEARCH_DOMAIN, Key("", "bench"))
    while await _count(clusters):
        await clusters.clock.sleep(POLL)


@asynccontextmanager
async def far(clusters: Clusters, seconds: float) -> AsyncIterator[str]:
    """Yield the address of the lab's name server, at that distance."""
    host, port = clusters.lab.name_server()
    if not seconds:
        yield f"{host}:{port}"
        return
    script = str(Path(__file__).with_name("delay.py"))
    command = clusters.lab.command(HOME, [sys.executable, script, str(PORT), host, str(port), str(seconds)])
    process = await asyncio.create_subprocess_exec(
        *command.argv, env=dict(command.env), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout
        await process.stdout.readline()
        yield f"127.0.0.1:{PORT}"
    finally:
        process.kill()
        await process.wait()


async def measure(clusters: Clusters, counts: tuple[int, ...]) -> list[Row]:
    """Return how long domains of so many clusters take, and what it costs that they are there."""
    rows: list[Row] = []
    for count in counts:
        await _serve(clusters, count)
        direct = await write_directly(clusters, count)
        rows.append((f"{count} ForeignClusters written directly", round(direct, 2), "s", None))
        for delay in (0.0, 0.02):
            async with far(clusters, delay) as server:
                await _ask(clusters, server)
                took = await search(clusters, count)
                what = f"{count} found in a domain, +{delay * 1000:.0f} ms a query"
                budget = direct * 1.6 + (2 if delay else 0) if count == MANY else None
                rows.append((what, round(took, 2), "s", round(budget, 2) if budget else None))
                if not delay and count >= MANY // 10:
                    rows += await _idle(clusters, count)
                await forget(clusters)
    return [*rows, await _broken(clusters)]


async def _serve(clusters: Clusters, count: int, *, broken: bool = False) -> None:
    """Publish a zone, and wait until the name server has taken notice: the TTL of what it said before is a minute."""
    clusters.lab.set_records(zone(count, broken=broken))
    host, port = clusters.lab.name_server()
    asked = [sys.executable, "-c", KNOWS, host, str(port), mark(count, broken=broken)]
    while clusters.lab.exec(HOME, asked).returncode:
        await clusters.clock.sleep(POLL)


async def _ask(clusters: Clusters, server: str) -> None:
    """Have home ask this server, as often as is the default."""
    config = {"spec": {"discoveryConfig": {"dnsServer": server}}}
    await clusters.to[HOME].patch(CLUSTER_CONFIG, Key("", CONFIG_NAME), config, manager="bench")


async def _idle(clusters: Clusters, count: int) -> list[Row]:
    """Return what a minute costs in which so many are there, nobody joined any, and nothing changes."""
    await clusters.quiet(HOME)
    before = worked(clusters.lab, HOME)
    requests = await clusters.idle(HOME)
    cpu = worked(clusters.lab, HOME) - before
    about = {k: v for k, v in requests.items() if k[1] in {"foreignclusters", "searchdomains"}}
    if about:
        print(f"idle with {count}: {about}", file=sys.stderr)
    return [
        (f"requests about them an idle {IDLE.seconds} s, {count}", sum(about.values()), "", 0),
        (f"CPU of an idle {IDLE.seconds} s with {count}", round(cpu, 2), "s", None),
        (f"memory with {count} that nobody joined", round(resident(clusters.lab, HOME), 1), "MiB", None),
    ]


async def _broken(clusters: Clusters) -> Row:
    """Return how long it takes until all whole ones of a domain are there and all others are told of."""
    broken = MANY // BROKEN_EACH
    await _serve(clusters, MANY, broken=True)
    async with far(clusters, 0) as server:
        await _ask(clusters, server)
        took = await search(clusters, MANY - broken, broken)
        await forget(clusters)
    return (f"{MANY - broken} found, {broken} explained, of {MANY}", round(took, 2), "s", None)
