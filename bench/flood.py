"""A flood of strangers: what it costs people, and how soon a cluster that is known or invited is joined meanwhile.

Beside it the same number of anonymous requests for a path that is not there, which no cluster can forbid.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.measure import FOREIGN, HOME, NAME, POLL, Clusters, Row, quantile, resident, worked
from liqo.api.kinds import CLUSTER_CONFIG, CONFIG_MAP, FEDERATION_REQUEST, FOREIGN_CLUSTER
from liqo.api.kinds import NAMESPACE as NAMESPACE_KIND
from liqo.api.meta import Key
from liqo.api.names import CLUSTER_ID_CONFIG_MAP, CONFIG_NAME, NAMESPACE, TENANT_LABEL
from liqo.app.invites import join_invite
from liqo.runtime.ports import Selection

SCRIPT = Path(__file__).parents[1] / "tests" / "flood.py"
RATE, SECONDS = 300, 60  # the flood
USER_RATE = 20  # requests of people a second, every second one a write
USER_TIME = timedelta(seconds=12)
MAX_PENDING = 100
Took = dict[str, list[float]]  # by verb
WITHIN = 5.0  # from the first try of a cluster that is known or invited until its node is Ready


async def measure(clusters: Clusters) -> list[Row]:
    """Return what a flood does to milan; needs two clusters without a peering.

    What it is compared with is measured half before it and half after it, since a machine's load changes.
    """
    manual = {"spec": {"peeringConfig": {"requestPolicy": "Manual"}}}  # so that the places stay taken
    await clusters.to[FOREIGN].patch(CLUSTER_CONFIG, Key("", CONFIG_NAME), manual, manager="bench")
    await clusters.create()
    known = await _enter(clusters)
    beside: Took = {"get": [], "create": []}
    flooded: Took = {"get": [], "create": []}
    await _beside_absent(clusters, beside)
    before = worked(clusters.lab, FOREIGN)
    async with _flood(
        clusters, "requests", RATE * SECONDS // 3, clusters.lab.cluster(HOME).host, known
    ) as strangers:
        async with asyncio.timeout(SECONDS):
            while await _waiting(clusters) < MAX_PENDING:
                await clusters.clock.sleep(POLL * 50)
        for _ in range(2):
            await _use(clusters, flooded)
        joined = await clusters.join()
        _tell("known", joined)
        await clusters.to[HOME].delete(FOREIGN_CLUSTER, Key("", NAME))
        await clusters.to[FOREIGN].delete(FOREIGN_CLUSTER, Key("", NAME))
        for side in (HOME, FOREIGN):
            # A namespace is in the way of the next one of its name for as long as its end takes, flood or not.
            for left in (Selection(FOREIGN_CLUSTER), Selection(NAMESPACE_KIND, labels=TENANT_LABEL)):
                while (await clusters.to[side].list(left)).items:
                    await clusters.clock.sleep(POLL * 20)
        invited = await _join_by_invite(clusters)
        _tell("requests", await strangers())
    cpu = worked(clusters.lab, FOREIGN) - before
    await _beside_absent(clusters, beside)
    rows: list[Row] = []
    for what in beside:
        usual, now = quantile(beside[what], 0.99), quantile(flooded[what], 0.99)
        rows += [
            (f"P99 of a {what} beside 300/s of an absent path", round(usual, 3), "s", None),
            ("  beside 300/s of strangers", round(now, 3), "s", None),
            ("  ratio", round(now / usual, 2), "", 2.0),
        ]
    return [
        *rows,
        ("known cluster joined in a flood", round(joined, 2), "s", WITHIN),
        ("invited cluster joined in a flood", round(invited, 2), "s", WITHIN),
        ("CPU of Liqo in a minute of it", round(cpu, 1), "s", None),
        ("memory of Liqo after it", round(resident(clusters.lab, FOREIGN), 1), "MiB", 150),
    ]


async def _beside_absent(clusters: Clusters, took: Took) -> None:
    async with _flood(clusters, "absent") as ordinary:
        await _use(clusters, took)
        _tell("absent", await ordinary())


async def _enter(clusters: Clusters) -> str:
    """Have a person enter home on foreign; return home's id."""
    found = await clusters.to[HOME].get(CONFIG_MAP, Key(NAMESPACE, CLUSTER_ID_CONFIG_MAP))
    known = str(found["data"][CLUSTER_ID_CONFIG_MAP])
    spec = {
        "clusterID": known,
        "join": False,
        "namespace": NAMESPACE,
        "apiUrl": clusters.lab.cluster(HOME).api_url,
        "discoveryType": "Manual",
        "allowUntrustedCA": True,
        "incoming": "Allow",
    }
    body = {"metadata": {"name": NAME}, "spec": spec}
    await clusters.to[FOREIGN].apply(FOREIGN_CLUSTER, body, manager="bench")
    return known


@asynccontextmanager
async def _flood(clusters: Clusters, what: str, *args: object) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """Have a flood run from home's host; what is yielded waits until it is over, and returns how it went."""
    url = clusters.lab.cluster(FOREIGN).api_url
    seconds = SECONDS if args else USER_TIME.total_seconds() + 5
    argv = map(str, (SCRIPT, url, what, RATE, seconds, *args))
    command = clusters.lab.command(HOME, (sys.executable, *argv))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command.argv, env=command.env, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdout.readline()
    process.stdin.write(b"\n")

    async def over() -> Any:
        assert process.stdout is not None
        return json.loads(await process.stdout.readline())

    try:
        yield over
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _tell(what: str, told: Any) -> None:
    print(f"{what}: {json.dumps(told)}", file=sys.stderr)


async def _waiting(clusters: Clusters) -> int:
    return len((await clusters.to[FOREIGN].list(Selection(FEDERATION_REQUEST, namespace=NAMESPACE))).items)


async def _use(clusters: Clusters, took: Took) -> None:
    """Read and write as people do, at a pace; note how long each request took, in seconds."""
    cluster, clock = clusters.to[FOREIGN], clusters.clock

    async def time(what: str, request: Awaitable[object]) -> None:
        began = clock.now()
        await request
        took[what].append((clock.now() - began).total_seconds())

    mine = {"metadata": {"generateName": "bench-", "namespace": "default", "labels": {"bench": "flood"}}}
    own = await cluster.create(CONFIG_MAP, mine)
    key = Key("default", own["metadata"]["name"])
    began = clock.now()
    async with asyncio.TaskGroup() as group:
        for number in range(int(USER_RATE * USER_TIME.total_seconds())):
            await clock.sleep(began + timedelta(seconds=number / USER_RATE) - clock.now())
            if number % 2:
                group.create_task(time("create", cluster.create(CONFIG_MAP, mine)))
            else:
                group.create_task(time("get", cluster.get(CONFIG_MAP, key)))
    for item in (await cluster.list(Selection(CONFIG_MAP, namespace="default", labels="bench=flood"))).items:
        await cluster.delete(CONFIG_MAP, Key("default", item["metadata"]["name"]))


async def _join_by_invite(clusters: Clusters) -> float:
    """Join with an invite; return how long it took until the node was Ready, in seconds."""
    made = await asyncio.to_thread(clusters.lab.exec, FOREIGN, ["liqo", "invite"])
    began = clusters.clock.now()
    await join_invite(
        clusters.to[HOME], made.stdout.strip(), name=NAME, namespace=NAMESPACE, clock=clusters.clock
    )
    await clusters.joined()
    return (clusters.clock.now() - began).total_seconds()
