"""The door: two requests of strangers, for clusters whose API server takes none, and not one more.

    GET  the well-known document
    POST a FederationRequest

What comes is passed on without a look inside: whoever it is has to pass the same rights, limits and admission as an
anonymous caller elsewhere. Nothing of a request is kept but its body, and nothing of an answer but what the protocol
needs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from liqo.api.kinds import CONFIG_MAP, FEDERATION_REQUEST
from liqo.api.names import WELL_KNOWN_CONFIG_MAP
from liqo.errors import Fault

BODY_MAX = 128 * 1024  # bytes; a request at its bounds is under half of that
AT_ONCE = 16  # strangers inside; the API server's own level for them lets fewer through
KEPT = ("Content-Type", "Date", "Retry-After", "Warning")


@dataclass(frozen=True, slots=True)
class Passed:
    """An answer of the API server, whatever it is."""

    code: int
    headers: Sequence[tuple[str, str]]
    body: bytes


Forward = Callable[[str, str, bytes | None], Awaitable[Passed]]
"""(method, path, body) → the API server's answer; raises Fault where there is none."""


def door_app(forward: Forward, namespace: str) -> web.Application:
    """Return the door's HTTP application for Liqo's namespace."""
    inside = asyncio.Semaphore(AT_ONCE)

    async def enter(request: web.Request, method: str, path: str, body: bytes | None) -> web.Response:
        if inside.locked() or request.query_string:
            return _say(429 if not request.query_string else 400, {"Retry-After": "1"})
        async with inside:
            try:
                passed = await forward(method, path, body)
            except Fault:
                return _say(503, {"Retry-After": "1"})
        answer = web.Response(status=passed.code, body=passed.body)
        for name, value in passed.headers:
            if name in KEPT:
                answer.headers.add(name, value) if name == "Warning" else answer.headers.update({name: value})
        return answer

    document = CONFIG_MAP.path(namespace, WELL_KNOWN_CONFIG_MAP)
    requests = FEDERATION_REQUEST.path(namespace)

    async def show(request: web.Request) -> web.Response:
        return await enter(request, "GET", document, None)

    async def ask(request: web.Request) -> web.Response:
        return await enter(request, "POST", requests, await request.read())

    app = web.Application(client_max_size=BODY_MAX)
    app.router.add_get(document, show, allow_head=False)
    app.router.add_post(requests, ask)
    return app


def _say(code: int, headers: Mapping[str, str]) -> web.Response:
    return web.Response(status=code, headers=headers)
