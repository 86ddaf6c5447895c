"""Sends requests to an API server at a pace, as somebody without credentials, and tells how they were answered.

    python flood.py URL absent RATE SECONDS
    python flood.py URL requests RATE SECONDS IDS HOST [KNOWN]

`absent` gets a path that is not there. `requests` posts FederationRequests: a third is garbage, a third has a bad
proof, every second of these in the name of KNOWN if that is given, and a third is good, each of a fresh id until so
many IDS are spent; nobody listens at the address of HOST that they name. `good` posts these only.

It forges all that it will send, says "ready", and begins with the first line of standard input. It ends after SECONDS
or with the next line, and says how it went: {"sent": 300, "seconds": 1.0, "answers": {"garbage": {"400": 100}, …}}
"""

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import cycle
from typing import NamedTuple

import aiohttp

from e2e_stranger import CLOCK, Author, credentials
from liqo.api.kinds import CONFIG_MAP, FEDERATION_REQUEST
from liqo.api.meta import Wire
from liqo.api.names import WELL_KNOWN_CONFIG_MAP, WELL_KNOWN_KEY, request_name
from liqo.identity.cluster_id import new_identity
from liqo.identity.document import Document, parse_document
from liqo.identity.request import new_jti

GARBAGE, BAD, GOOD, ABSENT = "garbage", "bad proof", "good proof", "absent"
CLOSED = 1  # a port at which nobody listens
UNDER_WAY = 256  # at once; beyond that it falls behind, as any one machine does
ANSWER = aiohttp.ClientTimeout(total=30)
DENIED = re.compile(r"denied the request: (\w+)")


class Send(NamedTuple):
    """One request."""

    what: str
    method: str
    path: str
    body: bytes | None = None


def forge(document: Document, what: str, ids: int, host: str, known: str) -> list[Send]:
    """Return what is sent to the cluster of that document, in turn."""
    plain = json.dumps(credentials(server=f"https://{host}:{CLOSED}")).encode()
    good = []
    for _ in range(ids):
        he = Author(document, new_identity())
        good.append(he.request(sealed=he.seal(plain)))
    post = partial(Send, method="POST", path=FEDERATION_REQUEST.path("liqo"))
    if what == "good":
        return [post(GOOD, body=json.dumps(request).encode()) for request in good]
    sends, rubbish = [], cycle(garbage(good[0]))
    for number, request in enumerate(good):
        bad = unsigned(request, known if number % 2 else "")
        sends += [
            post(GARBAGE, body=next(rubbish)),
            post(BAD, body=json.dumps(bad).encode()),
            post(GOOD, body=json.dumps(request).encode()),
        ]
    return sends


def garbage(request: Wire) -> list[bytes]:
    """Return what is no request, in several ways."""
    large = {**request, "spec": {**request["spec"], "kubeConfig": "x" * 65_536}}
    return [
        b"\xff\xfe\x00",
        b"[" * 10_000,
        b'{"kind": "FederationRequest"}',
        json.dumps({**request, "spec": {"protocol": "one"}}).encode(),
        json.dumps(large).encode(),
    ]


def unsigned(request: Wire, known: str) -> Wire:
    """Return a request under a name that was not signed; in the name of another cluster if one is given."""
    cluster_id = known or request["spec"]["clusterID"]
    metadata = {"name": request_name(cluster_id, new_jti())}
    return {**request, "metadata": metadata, "spec": {**request["spec"], "clusterID": cluster_id}}


async def read_document(session: aiohttp.ClientSession) -> Document:
    async with session.get(CONFIG_MAP.path("liqo", WELL_KNOWN_CONFIG_MAP)) as answer:
        return parse_document((await answer.json())["data"][WELL_KNOWN_KEY], CLOCK.now())


async def flood(
    session: aiohttp.ClientSession, sends: list[Send], rate: float, seconds: float, over: Callable[[], bool]
) -> Wire:
    """Send at that pace until the time is over; return how it went."""
    answers: dict[str, Counter[str]] = {send.what: Counter() for send in sends}
    loop, free, count = asyncio.get_running_loop(), asyncio.Semaphore(UNDER_WAY), 0

    async def ask(send: Send) -> None:
        try:
            async with session.request(
                send.method, send.path, data=send.body, headers={"Content-Type": "application/json"}
            ) as answer:
                denied = DENIED.search(await answer.text())
                said = f"{answer.status}" + (f" {denied[1]}" if denied else "")
        except (aiohttp.ClientError, TimeoutError) as fault:
            said = type(fault).__name__
        answers[send.what][said] += 1
        free.release()

    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for send in cycle(sends):
            due = began + count / rate
            await CLOCK.sleep(timedelta(seconds=max(0, due - loop.time())))
            if over() or loop.time() - began >= seconds:
                break
            await free.acquire()
            group.create_task(ask(send))
            count += 1
        took = loop.time() - began
    return {"sent": count, "seconds": round(took, 2), "answers": answers}


async def main(
    url: str, what: str, rate: str, seconds: str, ids: str = "0", host: str = "", known: str = ""
) -> None:
    """Forge, say "ready", and obey."""
    lines, loop = asyncio.StreamReader(), asyncio.get_running_loop()
    await loop.connect_read_pipe(partial(asyncio.StreamReaderProtocol, lines), sys.stdin)
    connector = aiohttp.TCPConnector(ssl=False, limit=UNDER_WAY)
    async with aiohttp.ClientSession(url, connector=connector, timeout=ANSWER) as session:
        if what == ABSENT:
            sends = [Send(ABSENT, "GET", "/absent")]
        else:
            sends = forge(await read_document(session), what, int(ids), host, known)
        print("ready", flush=True)  # noqa: T201
        await lines.readline()
        end = asyncio.ensure_future(lines.readline())
        print(json.dumps(await flood(session, sends, float(rate), float(seconds), end.done)), flush=True)  # noqa: T201
        end.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
