"""The kubelet endpoint of all virtual nodes: logs, exec, attach, port-forward (and so cp) of pods abroad.

Only the head of a request is read and written anew (`kubelet_head`); then bytes are carried both ways. It stands on
asyncio's streams and not on aiohttp: there, the bytes after an upgrade belong to the parser, and what is in its buffer
when the protocol changes is lost. Here one reader reads the head and all that follows.

Whom we serve: a caller with a client certificate of this cluster's client CA who may use `nodes/proxy` of that node,
which is what a kubelet asks for. The end user is not told to us; abroad, all is done with our own rights there.

What pods use is another page, for whoever may `get` `nodes/metrics` of that node: metrics-server, which comes with the
token of its ServiceAccount. A token is good for that page only.
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import structlog

from liqo.errors import Fault, Malformed, Overloaded
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Stream
from liqo.runtime.secret import Secret
from liqo.serve.kubelet_head import (
    HEAD_MAX,
    Ask,
    Head,
    Verb,
    forge_head,
    parse_answer,
    parse_ask,
    parse_bearer,
    parse_head,
    parse_refusal,
    parse_usage_path,
)
from liqo.serve.splice import CLOSE_WITHIN, carry_exactly, close, ended, splice

CONNECTIONS_MAX = (
    512  # with those that have not said yet who they are; each has some 400 KiB of buffers at most
)
STREAMS_MAX = 128  # to one foreign cluster, so that the users of one leave room for those of others
HEAD_WITHIN = timedelta(seconds=10)  # for TLS, and again for the head
ANSWER_WITHIN = timedelta(
    seconds=30
)  # for the head of the answer to an upgrade; a first line of logs may take hours
BACKLOG = 128
SWITCHING = 101
TEXT_TYPE = "text/plain; charset=utf-8"
USAGE_TYPE = "text/plain; version=0.0.4; charset=utf-8"  # the text format of Prometheus
_NO_ANSWER = "the other cluster does not answer as an API server does"
VERBS = {"GET": "get", "POST": "create"}  # as a kubelet maps methods to verbs

log = structlog.get_logger()

_Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a client certificate or a token says that somebody is."""

    user: str
    groups: Sequence[str]


@dataclass(frozen=True, slots=True)
class Where:
    """Where a pod of ours runs."""

    node: str  # the virtual node
    cluster_id: str
    namespace: str  # abroad


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorkeeper:
    """What the endpoint asks of others.

    Args:
        locate: (namespace, pod, container) at home → where it runs, None if on no virtual node.
        identify: whose token is that, None if nobody's. Raises Fault where nobody can tell.
        allows: (caller, node, verb, subresource) → may he; "" is any node. Raises Fault likewise.
        open: opens a connection to the API server of a foreign cluster; raises Fault.
        usage: what the pods on a virtual node use, as a page, None if there is no such node; raises Fault.
    """

    locate: Callable[[str, str, str], Where | None]
    identify: Callable[[Secret], Awaitable[Caller | None]]
    allows: Callable[[Caller, str, str, str], Awaitable[bool]]
    open: Callable[[str], Awaitable[Stream]]
    usage: Callable[[str], Awaitable[str | None]]


class _No(Exception):  # noqa: N818  an answer, not an error
    def __init__(self, status: HTTPStatus, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


class Kubelet:
    """Serves on one socket, with whatever certificate and client CA are current."""

    def __init__(self, doorkeeper: Doorkeeper, metrics: Metrics) -> None:
        self._doorkeeper, self._metrics = doorkeeper, metrics
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._streams: set[asyncio.Task[Any]] = set()
        self._abroad: Counter[str] = Counter()

    def bind(self, address: str, port: int) -> None:
        """Take the address; nobody is answered yet.

        Raises:
            OSError: somebody else has it.
        """
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.create_server((address, port), family=family, backlog=BACKLOG)

    async def use(self, context: ssl.SSLContext) -> None:
        """Serve new connections with that certificate and client CA; those that are open go on.

        Old and new server listen on one socket, so that nobody is turned away in between.
        """
        assert self._socket is not None
        fresh = await asyncio.start_server(
            self._accept,
            sock=self._socket.dup(),
            ssl=context,
            limit=HEAD_MAX,
            ssl_handshake_timeout=HEAD_WITHIN.total_seconds(),
            ssl_shutdown_timeout=CLOSE_WITHIN.total_seconds(),  # with less, what is not sent by then is lost
        )
        old, self._server = self._server, fresh
        if old is not None:
            old.close()

    async def cleanup(self) -> None:
        """End all streams and listen no more."""
        if self._server is not None:
            self._server.close()
        if self._socket is not None:
            self._socket.close()
        for task in list(self._streams):
            task.cancel()
        await asyncio.gather(*self._streams, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._streams) >= CONNECTIONS_MAX:
            self._metrics.kubelet_refused.labels("TooMany").inc()
            writer.transport.abort()
            return
        self._streams.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the caller went, or we stop
        except Exception:
            log.exception("bug in the kubelet endpoint")
        finally:
            self._streams.discard(task)
            writer.transport.abort() if writer.is_closing() else await close(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request; no connection has a second."""
        try:
            await self._answer(reader, writer)
        except _No as no:
            self._metrics.kubelet_refused.labels(no.reason).inc()
            body = f"{no.message}\n".encode()
            writer.write(_forge_answer(no.status, body))
            await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = await _read_head(reader)
        if raw is None:
            return
        try:
            head = parse_head(raw)
            if head.path == "/healthz" and head.method == "GET":
                writer.write(_forge_answer(HTTPStatus.OK, b"ok\n"))
                await writer.drain()
                return
            caller = parse_caller(writer.get_extra_info("peercert"))
            node = parse_usage_path(head)
            if node is not None:
                page = await self._usage(caller or await self._identify(head), node)
                writer.write(_forge_answer(HTTPStatus.OK, page.encode(), USAGE_TYPE))
                await writer.drain()
                return
            if caller is None:
                raise _No(
                    HTTPStatus.UNAUTHORIZED, "NoCertificate", "show a client certificate of this cluster"
                )
            ask = parse_ask(head)
        except Malformed as fault:
            raise _No(HTTPStatus.BAD_REQUEST, "Malformed", fault.message) from fault
        taken, where = await self._admit(caller, head.method, ask)
        await self._carry(taken, where, (reader, writer))

    async def _identify(self, head: Head) -> Caller:
        """Return whose token a request shows."""
        token = parse_bearer(head)
        with _telling():
            caller = await self._doorkeeper.identify(token) if token is not None else None
        if caller is None:
            message = "show a token or a client certificate of this cluster"
            raise _No(HTTPStatus.UNAUTHORIZED, "NoCredentials", message)
        return caller

    async def _usage(self, caller: Caller, node: str) -> str:
        """Return what the pods on a virtual node use, to whoever may know."""
        with _telling():
            allowed = await self._doorkeeper.allows(caller, node, "get", "metrics")
        if not allowed:
            raise _No(HTTPStatus.FORBIDDEN, "Forbidden", "you may not get nodes/metrics of this node")
        try:
            page = await self._doorkeeper.usage(node)
        except Fault as fault:
            raise _No(HTTPStatus.SERVICE_UNAVAILABLE, "NoUsage", fault.message) from fault
        if page is None:
            raise _No(HTTPStatus.NOT_FOUND, "NotFound", "there is no such virtual node")
        return page

    async def _admit(self, caller: Caller, method: str, ask: Ask | None) -> tuple[Ask, Where]:
        """Return what is asked for and where that runs, to whoever may know."""
        where = self._doorkeeper.locate(ask.namespace, ask.pod, ask.container) if ask is not None else None
        verb = VERBS.get(method, "update")
        with _telling():
            allowed = await self._doorkeeper.allows(caller, where.node if where else "", verb, "proxy")
        if not allowed:
            raise _No(HTTPStatus.FORBIDDEN, "Forbidden", f"you may not {verb} nodes/proxy of this node")
        if ask is None:
            raise _No(HTTPStatus.NOT_FOUND, "NotFound", "a virtual node has no such page")
        if where is None:
            what = f"container {ask.container} of pod" if ask.container else "pod"
            message = f"no {what} {ask.namespace}/{ask.pod} runs on a virtual node"
            raise _No(HTTPStatus.NOT_FOUND, "NotFound", message)
        return ask, where

    async def _carry(self, ask: Ask, where: Where, near: _Ends) -> None:
        """Open the same abroad, and carry."""
        if self._abroad[where.cluster_id] >= STREAMS_MAX:
            raise _No(HTTPStatus.TOO_MANY_REQUESTS, "TooMany", "too many streams to that cluster")
        self._abroad[where.cluster_id] += 1
        gauge = self._metrics.kubelet_streams.labels(str(ask.verb))
        gauge.inc()
        try:
            await self._carried(ask, where, near)
        finally:
            gauge.dec()
            self._abroad[where.cluster_id] -= 1
            if not self._abroad[where.cluster_id]:
                del self._abroad[where.cluster_id]

    async def _carried(self, ask: Ask, where: Where, near: _Ends) -> None:
        try:
            stream = await self._doorkeeper.open(where.cluster_id)
        except Overloaded as fault:
            raise _No(HTTPStatus.TOO_MANY_REQUESTS, "TooMany", fault.message) from fault
        except Fault as fault:
            raise _No(HTTPStatus.BAD_GATEWAY, "ForeignAway", fault.message) from fault
        far = (stream.reader, stream.writer)
        try:
            head = forge_head(
                ask, namespace=where.namespace, host=stream.host, prefix=stream.prefix, token=stream.token
            )
            stream.writer.write(head)
            await stream.writer.drain()
            if await (_begun(far, near) if ask.verb is Verb.LOGS else _switched(far, near[1])):
                log.debug("stream", verb=ask.verb, node=where.node, namespace=ask.namespace, pod=ask.pod)
                await splice(near, far, both_ways=ask.upgrades)
        except BaseException:
            stream.writer.transport.abort()
            raise
        await asyncio.gather(close(near[1]), close(stream.writer))


async def _begun(far: _Ends, near: _Ends) -> bool:
    """Pass the head of logs on as soon as there is one; return False where the caller left before.

    A refusal is told in the words in which a kubelet would say it.
    """
    head = asyncio.ensure_future(far[0].readuntil(b"\r\n\r\n"))
    gone = asyncio.ensure_future(ended(near[0]))
    try:
        await asyncio.wait({head, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not head.done():
            return False
        code, length = parse_answer(head.result())
        if code >= HTTPStatus.BAD_REQUEST:
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                body = await far[0].readexactly(min(length or 0, HEAD_MAX))
            status = HTTPStatus(code)
            raise _No(status, "RefusedThere", parse_refusal(body) or status.phrase)
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, Malformed) as exc:
        raise _No(HTTPStatus.BAD_GATEWAY, "ForeignAway", _NO_ANSWER) from exc
    finally:
        head.cancel()
        gone.cancel()
    near[1].write(head.result())
    return True


async def _switched(far: _Ends, near: asyncio.StreamWriter) -> bool:
    """Pass the head of the answer to an upgrade on; return whether the connection was switched.

    One that was not is a short answer in words, passed on too.
    """
    reader = far[0]
    try:
        async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
            head = await reader.readuntil(b"\r\n\r\n")
        code, length = parse_answer(head)
    except TimeoutError as exc:
        raise _No(HTTPStatus.GATEWAY_TIMEOUT, "ForeignAway", "the other cluster does not answer") from exc
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, Malformed) as exc:
        raise _No(HTTPStatus.BAD_GATEWAY, "ForeignAway", _NO_ANSWER) from exc
    near.write(head)
    await near.drain()
    if code == SWITCHING:
        return True
    with suppress(TimeoutError):
        async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
            await carry_exactly(reader, near, length if length is not None else HEAD_MAX)
    return False


async def _read_head(reader: asyncio.StreamReader) -> bytes | None:
    """Return the head of a request, None where the caller left without one."""
    try:
        async with asyncio.timeout(HEAD_WITHIN.total_seconds()):
            return await reader.readuntil(b"\r\n\r\n")
    except (TimeoutError, asyncio.IncompleteReadError):
        return None
    except asyncio.LimitOverrunError as exc:
        too_large = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        raise _No(too_large, "Malformed", f"the head has over {HEAD_MAX} bytes") from exc


def parse_caller(certificate: dict[str, Any] | None) -> Caller | None:
    """Return whom a verified client certificate names: its CN, in the groups that its O name.

    Returns:
        None without a certificate, and for one that names nobody.
    """
    parts = [pair for rdn in (certificate or {}).get("subject", ()) for pair in rdn]
    names = [value for key, value in parts if key == "commonName"]
    if len(names) != 1 or not names[0]:
        return None
    groups = [value for key, value in parts if key == "organizationName"]
    return Caller(names[0], (*groups, "system:authenticated"))


@contextmanager
def _telling() -> Iterator[None]:
    """Say so where the API server does not tell who somebody is, or what he may."""
    try:
        yield
    except Fault as fault:
        raise _No(HTTPStatus.SERVICE_UNAVAILABLE, "Unknown", "nobody can say whether you may") from fault


def _forge_answer(status: HTTPStatus, body: bytes, content: str = TEXT_TYPE) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {content}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
