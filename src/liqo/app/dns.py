"""What the commands about DNS do: look, print, check and publish."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from liqo.adapters.clock import SystemClock
from liqo.adapters.dns import NameServers, encode_domain
from liqo.adapters.kubeconfig import Access
from liqo.api.cluster_config import effective
from liqo.api.kinds import CLUSTER_CONFIG, CONFIG_MAP
from liqo.api.meta import Key
from liqo.api.names import CLUSTER_ID_CONFIG_MAP, CONFIG_NAME, WELL_KNOWN_CONFIG_MAP
from liqo.api.reasons import Reason
from liqo.app.home import find_own_server
from liqo.app.own_address import own_door
from liqo.discovery.announcement import Announcement
from liqo.discovery.dns import Answer, Service, Type
from liqo.discovery.domain import Known, Problem, judge, sum_up, unanswered
from liqo.discovery.loop_dns import ask_instance, list_instances
from liqo.discovery.records import Entry, forge_entries
from liqo.errors import Absent, Invalid
from liqo.runtime.ports import Cluster

SERVICE = "_liqo._tcp"
RESOLV_CONF = Path("/etc/resolv.conf")
FALLBACK = "8.8.8.8:53"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a domain shows.

    Args:
        domain: in ASCII.
        server: that was asked.
        instances: what each stands for, by name.
        problems: what is wrong in it, as a SearchDomain's status would tell.
        fault: why nothing is shown; None where something is, or nothing is there.
        proof: what proves the list.
    """

    domain: str
    server: str
    instances: dict[str, Known]
    problems: list[Problem]
    fault: Reason | None
    proof: Reason


def default_server(path: Path = RESOLV_CONF) -> str:
    """Return the machine's own name server, or a public one."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return FALLBACK
    found = [line.split()[1] for line in lines if line.startswith("nameserver") and len(line.split()) > 1]
    host = found[0].split("%", 1)[0] if found else ""
    return (f"[{host}]" if ":" in host else host) if host else FALLBACK


async def look(domain: str, server: str, service: str = SERVICE) -> Shown:
    """Search a domain as the controller does.

    Raises:
        Invalid: domain or server are none.
    """
    name, resolver = encode_domain(domain), NameServers.of(server)
    try:
        listed = await list_instances(resolver, name, service)
        places = asyncio.Semaphore(64)

        async def one(instance: str) -> tuple[str, Known]:
            async with places:
                said = await ask_instance(resolver, instance)
            now = SystemClock().now()
            if said.silent is not None:
                return instance, unanswered(instance, said.silent, None, now)
            return instance, judge(said, seed="", now=now)

        found = dict(await asyncio.gather(*map(one, listed.instances)))
        proofs = {a.proof for a in listed.answers.values()}
    finally:
        await resolver.close()
    proof = Reason.PLAIN_DNS if Reason.PLAIN_DNS in proofs else min(proofs)
    _, problems = ({}, []) if listed.silent else sum_up(listed, found, home_id="")
    return Shown(
        domain=name, server=server, instances=found, problems=problems, fault=listed.fault, proof=proof
    )


async def own_entries(
    cluster: Cluster, access: Access, namespace: str, domain: str, name: str | None
) -> list[Entry]:
    """Return the records of a cluster in a domain.

    Raises:
        Invalid: Liqo is not installed there or never ran, or no address of its API server is known.
    """
    try:
        known = await cluster.get(CONFIG_MAP, Key(namespace, CLUSTER_ID_CONFIG_MAP))
        document = await cluster.get(CONFIG_MAP, Key(namespace, WELL_KNOWN_CONFIG_MAP))
    except Absent:
        raise Invalid(
            "this cluster has not yet told who it is", hint="liqo install, and run its controller once"
        ) from None
    try:
        config = effective(await cluster.get(CLUSTER_CONFIG, Key("", CONFIG_NAME))).discovery_config
    except Absent:
        config = effective(None).discovery_config
    server = await find_own_server(cluster, access, config)
    cluster_id = known["data"][CLUSTER_ID_CONFIG_MAP]
    said = Announcement(
        cluster_id=cluster_id,
        namespace=namespace,
        untrusted_ca=config.allow_untrusted_ca,
        door_url=own_door(document, cluster_id, SystemClock().now()),
    )
    return forge_entries(
        said,
        name=name or config.cluster_name or f"cluster-{cluster_id[:6]}",
        domain=encode_domain(domain),
        service=config.service,
        server=server,
    )


async def entries_there(wanted: list[Entry], server: str) -> tuple[list[Entry], list[Reason]]:
    """Return what DNS shows for the owners and kinds of some records, and why it could not be asked."""
    resolver = NameServers.of(server)
    questions = sorted({(e.owner, e.kind) for e in wanted})
    try:
        answers = await asyncio.gather(*(resolver.ask(owner, Type(kind)) for owner, kind in questions))
    finally:
        await resolver.close()
    there = [
        entry
        for (owner, kind), answer in zip(questions, answers, strict=True)
        for entry in _entries(owner, kind, answer)
    ]
    return there, [a.fault for a in answers if a.fault is not None and a.silent]


def _entries(owner: str, kind: str, answer: Answer) -> list[Entry]:
    if kind == "TXT":
        strings = [r.decode("utf-8", "replace") for r in answer.records if isinstance(r, bytes)]
        return [Entry(owner, kind, " ".join(f'"{s}"' for s in strings))] if strings else []
    found = []
    for record in answer.records:
        if isinstance(record, Service):
            data = f"{record.priority} {record.weight} {record.port} {record.target}."
            found.append(Entry(owner, kind, data))
        elif isinstance(record, str):
            found.append(Entry(owner, kind, f"{record}." if kind == "PTR" else record))
    return found
