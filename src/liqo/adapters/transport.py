"""Requests to one API server over two aiohttp sessions: connections, tokens, bounds, and what failures mean.

Nothing here decides or retries, but for one thing: when a token is refused and there is a newer one, the
request is sent once more. Redirects are not followed, no proxy is taken from the environment, cookies are
not kept, and compression is not asked for, so that a bound on bytes is a bound on memory.
"""

import asyncio
import os
import re
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDictProxy
from yarl import URL

from liqo.adapters.status import clean, parse_fault
from liqo.api.meta import Wire
from liqo.api.reasons import Reason
from liqo.errors import Fault, Malformed, NotTrusted, Unauthorized, Unreachable
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Clock
from liqo.runtime.watch import SILENT, TOO_LARGE

MAX_RESPONSE = 64 * 2**20  # bytes of one answer of our own cluster: 500 objects of 128 KiB
MAX_LINE = 4 * 2**20  # bytes of one watch line; etcd holds no object above 1.5 MiB
TIMEOUT = timedelta(seconds=10)  # of a whole request; of a watch, until it is open
CONNECT_TIMEOUT = timedelta(seconds=5)
SILENCE = timedelta(seconds=70)  # bookmarks come every minute
REQUESTS = 128  # connections to one server for requests that end
WATCHES = (
    0  # no bound: each is asked for by name, so many for a namespace, and 50 namespaces for a foreign cluster
)
# A dead peer is noticed in 50 s: the first three where nothing is under way, the last, in ms, where something is.
KEEPALIVE = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 50_000}
# Of a request's time: the kernel drops then what nobody acknowledged, which it would deliver else once the network is
# back, after we have asked again. It does so too when we close the connection before.
UNHEARD = 0.9
AT_ONCE = struct.pack("ii", 1, 0)  # struct linger: to close is to reset
USER_AGENT = "liqo"
JSON_TYPE = "application/json"

_SAFE_PATH = re.compile(r"(?:/[A-Za-z0-9:_~-][A-Za-z0-9.:_~-]*)+")
_COUNTED = frozenset({200, 201, 202, 400, 401, 403, 404, 409, 410, 413, 422, 429, 500, 502, 503, 504})

Headers = CIMultiDictProxy[str]


class Request(NamedTuple):
    """A request as data."""

    verb: str  # for metrics and messages: get, list, watch, create, apply, patch, delete
    resource: str
    method: str
    path: str
    query: str = ""
    body: Wire | None = None
    content_type: str = JSON_TYPE
    within: timedelta | None = None  # None: as long as any

    @property
    def what(self) -> str:
        """What is asked for, in a message."""
        return f"{self.verb} {self.resource} ({self.path})"


class Answer(NamedTuple):
    """The body of a 2xx and its headers."""

    body: bytes
    headers: Headers


@dataclass(slots=True, kw_only=True)
class Transport:
    """One API server, reached as one identity; the arguments are those of `HttpCluster`."""

    server: str
    ssl_context: ssl.SSLContext | None
    clock: Clock
    token: Callable[[], str] | None
    refresh: Callable[[], Awaitable[bool]] | None
    server_hostname: str | None
    resolver: AbstractResolver | None
    metrics: Metrics | None
    role: str
    max_response: int
    timeout: timedelta
    sessions: dict[int, aiohttp.ClientSession] = field(
        default_factory=dict
    )  # by how many connections it may have
    streams: set[aiohttp.ClientResponse] = field(default_factory=set)  # that are being read

    async def close(self) -> None:
        """Close all connections; whoever reads from one is told, which aiohttp alone does not do."""
        for response in self.streams:
            response.content.set_exception(aiohttp.ClientConnectionError("we closed the connection"))
        while self.sessions:
            _, session = self.sessions.popitem()
            await session.close()

    async def give_up(self) -> None:
        """End all requests that are under way: what of them has not arrived by now never does."""
        if session := self.sessions.pop(REQUESTS, None):
            await session.close()

    async def send(self, request: Request) -> Answer:
        """Send a request and return its 2xx answer; raise the Fault that any other means."""
        try:
            return await self._send_once(request)
        except Unauthorized:
            if self.refresh is None or not await self.refresh():
                raise
        return await self._send_once(request)

    async def lines(self, request: Request) -> AsyncGenerator[bytes]:
        """Yield the lines of an answer that goes on until the server ends it.

        Raises:
            Unreachable: also, with reason SILENT, when nothing came for SILENCE.
        """
        try:
            response = await self._open(request)
        except Unauthorized:
            if self.refresh is None or not await self.refresh():
                raise
            response = await self._open(request)
        self.streams.add(response)
        self._count_open(1)
        try:
            async for line in split_lines(response.content):
                yield line
        except aiohttp.SocketTimeoutError as exc:
            raise Unreachable(f"{request.what} fell silent", reason=SILENT) from exc
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            raise self._unreachable(request, exc) from exc
        finally:
            self.streams.discard(response)
            self._count_open(-1)
            _drop(response)

    async def _send_once(self, request: Request) -> Answer:
        began, code = self.clock.now(), 0
        try:
            async with self._session(REQUESTS).request(
                request.method,
                self._url(request),
                data=orjson.dumps(request.body) if request.body is not None else None,
                headers=self._headers(request),
                allow_redirects=False,
                server_hostname=self.server_hostname,
                timeout=self._timeout(request.within or self.timeout),
            ) as response:
                code = response.status
                answer = Answer(await self._read(response), response.headers)
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            raise self._unreachable(request, exc) from exc
        finally:
            self._count(request, code, self.clock.now() - began)
        if code // 100 != 2:  # noqa: PLR2004  2xx
            raise parse_fault(code, answer.body, answer.headers, request.what, self.clock.now())
        return answer

    async def _open(self, request: Request) -> aiohttp.ClientResponse:
        """Send a request and return its answer as soon as the head of a 200 has come."""
        began, code = self.clock.now(), 0
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT.total_seconds(), sock_read=SILENCE.total_seconds()
        )
        try:
            async with asyncio.timeout(self.timeout.total_seconds()):
                response = await self._session(WATCHES).request(
                    request.method,
                    self._url(request),
                    headers=self._headers(request),
                    allow_redirects=False,
                    timeout=timeout,
                    server_hostname=self.server_hostname,
                )
                code = response.status
                if code == 200:  # noqa: PLR2004  OK
                    return response
                async with response:
                    body = await self._read(response)
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            raise self._unreachable(request, exc) from exc
        finally:
            self._count(request, code, self.clock.now() - began)
        raise parse_fault(code, body, response.headers, request.what, self.clock.now())

    def _session(self, connections: int) -> aiohttp.ClientSession:
        """Return the session for requests, or that for watches: however many of these there are, those get through.

        It is made by the first request, since it needs a running loop.
        """
        if connections not in self.sessions:
            connector = aiohttp.TCPConnector(
                ssl=self.ssl_context if self.ssl_context is not None else True,
                resolver=self.resolver,
                limit=connections,
                ttl_dns_cache=10,
                keepalive_timeout=75,
                socket_factory=partial(
                    _make_socket, self.timeout * UNHEARD if connections == REQUESTS else None
                ),
            )
            self.sessions[connections] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept": JSON_TYPE, "Accept-Encoding": "identity", "User-Agent": USER_AGENT},
                auto_decompress=False,
                timeout=self._timeout(self.timeout),
            )
        return self.sessions[connections]

    @staticmethod
    def _timeout(whole: timedelta) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(
            total=whole.total_seconds(), sock_connect=CONNECT_TIMEOUT.total_seconds()
        )

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {"Content-Type": request.content_type} if request.body is not None else {}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token()}"
        return headers

    def _url(self, request: Request) -> URL:
        if not _SAFE_PATH.fullmatch(request.path):
            raise Malformed("not a path of an API server")
        query = f"?{request.query}" if request.query else ""
        return URL(f"{self.server}{request.path}{query}", encoded=True)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """Return a body within its bound."""
        chunks, size = [], 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > self.max_response:
                _drop(response)
                message = f"an answer of {URL(self.server).host} has over {self.max_response} bytes"
                raise Malformed(message, reason=TOO_LARGE)
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _count(self, request: Request, code: int, took: timedelta) -> None:
        if self.metrics is not None:
            counted = code if code in _COUNTED else code // 100 * 100
            self.metrics.observe_request(self.role, request.verb, request.resource, counted, took)

    def _count_open(self, change: int) -> None:
        if self.metrics is not None:
            self.metrics.watches.labels(self.role).inc(change)

    def _unreachable(self, request: Request, exc: Exception) -> Fault:
        """Return what a failure below HTTP means."""
        host = URL(self.server).host
        cause: object = exc
        if isinstance(exc, aiohttp.ClientConnectorCertificateError):
            cause = exc.certificate_error
        elif isinstance(exc, aiohttp.ClientConnectorError):
            cause = exc.os_error
        if isinstance(cause, ssl.SSLCertVerificationError):
            said = clean(f"certificate of {host}: {cause.verify_message}")
            return NotTrusted(said, reason=Reason.CA_NOT_TRUSTED)
        if isinstance(exc, TimeoutError):
            return Unreachable(f"{self.server} did not answer in time ({request.verb} {request.resource})")
        return Unreachable(clean(f"{self.server} does not answer: {_in_words(cause)}"))


def _in_words(cause: object) -> str:
    """Return what went wrong below HTTP as a person would say it."""
    match cause:
        case socket.gaierror():
            return "the name does not resolve"
        case ssl.SSLError(reason=str(reason)):
            return f"what is there does not speak TLS as we do ({reason.replace('_', ' ').lower()})"
        case aiohttp.ServerDisconnectedError():
            return "it closed the connection"
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number).lower()
        case _:
            return str(cause) or type(cause).__name__


async def split_lines(content: aiohttp.StreamReader) -> AsyncGenerator[bytes]:
    """Yield the lines of a stream; a last one without its end is dropped.

    Raises:
        Malformed: one is longer than MAX_LINE.
    """
    parts: list[bytes] = []
    size = 0
    async for chunk in content.iter_any():
        first, *rest = chunk.split(b"\n")
        for following in rest:
            parts.append(first)
            line = parts[0] if len(parts) == 1 else b"".join(parts)
            if line:
                yield line
            parts, size, first = [], 0, following
        if first:
            parts.append(first)
            size += len(first)
            if size > MAX_LINE:
                raise Malformed(f"a line has over {MAX_LINE} bytes")


def _drop(response: aiohttp.ClientResponse) -> None:
    """Close an answer's connection at once, without the farewell that TLS would wait for."""
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()
    response.close()


def _make_socket(unheard: timedelta | None, address: tuple[Any, ...]) -> socket.socket:
    """Return a socket that notices a peer that died without a word; what it sends is dropped after `unheard`."""
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    drop = {}
    if unheard is not None:
        drop = {"TCP_USER_TIMEOUT": unheard // timedelta(milliseconds=1)}
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    for option, value in {**KEEPALIVE, **drop}.items():
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made
