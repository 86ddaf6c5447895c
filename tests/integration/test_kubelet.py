"""The kubelet endpoint on real sockets: who is served, and what passes between the two sides."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from liqo.adapters.serving import Serving
from liqo.api.names import NODE_PREFIX
from liqo.app.kubelet import client_context
from liqo.errors import Unreachable
from liqo.lab.pki import Pair, make_ca, make_client, make_server
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Stream
from liqo.runtime.secret import Secret
from liqo.serve import kubelet, splice
from liqo.serve.kubelet import Caller, Doorkeeper, Kubelet, Where

HOST = "127.0.0.1"
NODE = f"{NODE_PREFIX}milan-abcdef"
API_SERVER = "kube-apiserver-kubelet-client"
SCRAPER = "metrics-server"
AWAY = f"{NODE_PREFIX}away-abcdef"
PAGE = "node_memory_working_set_bytes 1\n"
EXEC = (
    b"POST /exec/shop/web/main?command=cat&input=1&output=1 HTTP/1.1\r\nHost: node\r\n"
    b"Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n"
)
LOGS = b"GET /containerLogs/shop/web/main?follow=true HTTP/1.1\r\nHost: node\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\n"
MIB = 2**20

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Abroad = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
CA, OTHER_CA = make_ca("home CA"), make_ca("another CA")


@dataclass
class Bench:
    """A kubelet endpoint, and what stands for the API server of another cluster behind it."""

    port: int
    folder: Path
    metrics: Metrics
    heads: list[bytes] = field(default_factory=list)
    abroad: Abroad | None = None
    callers: list[asyncio.StreamWriter] = field(default_factory=list)

    def context(self, user: str | None = API_SERVER, *, ca: Pair = CA) -> ssl.SSLContext:
        """Return what a caller of that user connects with."""
        context = ssl.create_default_context(cadata=CA.certificate_pem)
        context.check_hostname = False
        if user is not None:
            pair = make_client(ca, user)
            file = self.folder / "client.pem"
            file.write_text(pair.key_pem + pair.certificate_pem)
            context.load_cert_chain(file)
        return context

    async def call(self, user: str | None = API_SERVER, *, ca: Pair = CA) -> Ends:
        """Connect with a certificate of that user."""
        reader, writer = await asyncio.open_connection(HOST, self.port, ssl=self.context(user, ca=ca))
        self.callers.append(writer)
        return reader, writer

    async def hang_up(self) -> None:
        """End all calls, however the other side takes it."""
        for writer in self.callers:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def ask(self, head: bytes, user: str | None = API_SERVER, *, ca: Pair = CA) -> bytes:
        """Return the whole answer to a request, nothing if TLS fails."""
        reader, writer = await self.call(user, ca=ca)
        try:
            writer.write(head)
            return await reader.read()
        except OSError:
            return b""
        finally:
            writer.close()

    def count(self, reason: str) -> float:
        return self.metrics.registry.get_sample_value("liqo_kubelet_refused_total", {"reason": reason}) or 0

    def open(self, verb: str) -> float:
        return self.metrics.registry.get_sample_value("liqo_kubelet_streams", {"verb": verb}) or 0


async def allows(caller: Caller, node: str, verb: str, subresource: str) -> bool:
    if subresource == "metrics":
        return caller.user in {API_SERVER, SCRAPER} and verb == "get"
    return caller.user == API_SERVER and node in {NODE, ""} and verb in {"get", "create"}


async def identify(token: Secret) -> Caller | None:
    if token.reveal() == "unasked":
        raise Unreachable("the API server does not answer")
    return Caller(token.reveal(), ()) if token.reveal() in {SCRAPER, "somebody"} else None


async def usage(node: str) -> str | None:
    if node == AWAY:
        raise Unreachable("milan does not answer")
    return PAGE if node == NODE else None


@asynccontextmanager
async def serving_and_server(folder: Path) -> AsyncIterator[tuple[Bench, Kubelet]]:
    async def foreign(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bench.heads.append(await reader.readuntil(b"\r\n\r\n"))
        assert bench.abroad is not None
        try:
            await bench.abroad(reader, writer)
        except OSError:
            pass
        finally:
            writer.close()

    async def open_stream(_cluster_id: str) -> Stream:
        if bench.abroad is None:
            raise Unreachable("milan does not answer")
        reader, writer = await asyncio.open_connection(HOST, port_abroad)
        return Stream(reader=reader, writer=writer, host="milan:6443", prefix="", token=Secret("t0ken"))

    def locate(namespace: str, pod: str, container: str) -> Where | None:
        known = (namespace, pod, container) == ("shop", "web", "main")
        return Where(NODE, "milan-id", "shop-rome") if known else None

    metrics = Metrics(CollectorRegistry())
    doorkeeper = Doorkeeper(locate=locate, identify=identify, allows=allows, open=open_stream, usage=usage)
    server = Kubelet(doorkeeper, metrics)
    server.bind(HOST, 0)
    assert server._socket is not None
    bench = Bench(server._socket.getsockname()[1], folder, metrics)
    listening = await asyncio.start_server(foreign, HOST, 0)
    port_abroad = listening.sockets[0].getsockname()[1]
    try:
        await server.use(context_for(CA))
        yield bench, server
    finally:
        await bench.hang_up()
        await server.cleanup()
        listening.close()


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Bench]:
    async with serving_and_server(folder) as (bench, _server):
        yield bench


def context_for(ca: Pair) -> ssl.SSLContext:
    pair = make_server(CA, "kubelet", (HOST,))
    shown = Serving(b"", pair.certificate_pem.encode(), pair.key_pem.encode())
    return client_context(shown, ca.certificate_pem)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(SWITCHED)
    while chunk := await reader.read(65_536):
        writer.write(chunk)
        await writer.drain()


@pytest.mark.parametrize(
    ("user", "head", "line", "reason"),
    [
        (None, EXEC, b"HTTP/1.1 401 Unauthorized", "NoCertificate"),
        ("somebody", EXEC, b"HTTP/1.1 403 Forbidden", "Forbidden"),
        ("somebody", EXEC.replace(b"/web/", b"/none/"), b"HTTP/1.1 403 Forbidden", "Forbidden"),
        (API_SERVER, EXEC.replace(b"/web/", b"/none/"), b"HTTP/1.1 404 Not Found", "NotFound"),
        (API_SERVER, b"GET /pods HTTP/1.1\r\nHost: node\r\n\r\n", b"HTTP/1.1 404 Not Found", "NotFound"),
        (API_SERVER, EXEC.replace(b"POST", b"GET"), b"HTTP/1.1 400 Bad Request", "Malformed"),
        (API_SERVER, b"\r\n\r\n", b"HTTP/1.1 400 Bad Request", "Malformed"),
        (API_SERVER, b"GET /" + b"a" * 70_000, b"HTTP/1.1 431 ", "Malformed"),
        (API_SERVER, EXEC, b"HTTP/1.1 502 Bad Gateway", "ForeignAway"),
    ],
)
async def test_a_caller_who_is_not_served_is_told_why(
    tmp_path: Path, user: str | None, head: bytes, line: bytes, reason: str
) -> None:
    async with serving(tmp_path) as bench:
        assert (await bench.ask(head, user)).startswith(line)
        assert bench.count(reason) == 1


def usage_of(node: str, token: str = "") -> bytes:
    field = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET /metrics/resource/{node} HTTP/1.1\r\nHost: node\r\n{field}\r\n".encode()


@pytest.mark.parametrize(
    ("user", "token", "node", "line", "reason"),
    [
        (None, "", NODE, b"HTTP/1.1 401 Unauthorized", "NoCredentials"),
        (None, "stranger", NODE, b"HTTP/1.1 401 Unauthorized", "NoCredentials"),
        (None, "unasked", NODE, b"HTTP/1.1 503 Service Unavailable", "Unknown"),
        (None, "somebody", NODE, b"HTTP/1.1 403 Forbidden", "Forbidden"),
        ("somebody", SCRAPER, NODE, b"HTTP/1.1 403 Forbidden", "Forbidden"),
        (None, SCRAPER, "none", b"HTTP/1.1 404 Not Found", "NotFound"),
        (None, SCRAPER, "a/b", b"HTTP/1.1 400 Bad Request", "Malformed"),
        (None, SCRAPER, AWAY, b"HTTP/1.1 503 Service Unavailable", "NoUsage"),
    ],
)
async def test_who_gets_no_usage_is_told_why(
    tmp_path: Path, user: str | None, token: str, node: str, line: bytes, reason: str
) -> None:
    async with serving(tmp_path) as bench:
        assert (await bench.ask(usage_of(node, token), user)).startswith(line)
        assert bench.count(reason) == 1


@pytest.mark.parametrize(("user", "token"), [(None, SCRAPER), (API_SERVER, "")])
async def test_usage_is_told_to_who_has_the_right_by_token_or_certificate(
    tmp_path: Path, user: str | None, token: str
) -> None:
    async with serving(tmp_path) as bench:
        head, _, page = (await bench.ask(usage_of(NODE, token), user)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4")
        assert page.decode() == PAGE


async def test_a_token_opens_no_stream(tmp_path: Path) -> None:
    async with serving(tmp_path) as bench:
        bench.abroad = echo
        with_token = LOGS.replace(b"\r\n\r\n", f"\r\nAuthorization: Bearer {SCRAPER}\r\n\r\n".encode())
        assert (await bench.ask(with_token, None)).startswith(b"HTTP/1.1 401 ")
        assert bench.heads == []


async def test_a_certificate_of_another_ca_fails_in_the_handshake(tmp_path: Path) -> None:
    async with serving(tmp_path) as bench:
        bench.abroad = echo
        assert await bench.ask(EXEC, ca=OTHER_CA) == b""
        assert bench.heads == []


async def test_anybody_may_ask_whether_we_live(tmp_path: Path) -> None:
    async with serving(tmp_path) as bench:
        answer = await bench.ask(b"GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n", None)
        assert answer.endswith(b"\r\n\r\nok\n")


async def test_what_is_sent_comes_back_byte_by_byte_however_slowly_it_is_read(tmp_path: Path) -> None:
    sent = bytes(range(256)) * (8 * MIB // 256)
    async with serving(tmp_path) as bench:
        bench.abroad = echo
        reader, writer = await bench.call()
        writer.write(EXEC + sent[:1000])  # a caller need not wait for the answer
        assert await reader.readuntil(b"\r\n\r\n") == SWITCHED
        assert bench.open("exec") == 1
        writer.write(sent[1000:])  # all at once, while nothing is read
        assert await reader.readexactly(len(sent)) == sent
        assert b"Authorization: Bearer t0ken" in bench.heads[0]
        assert bench.heads[0].startswith(b"POST /api/v1/namespaces/shop-rome/pods/web/exec?command=cat&")
        writer.close()


async def test_both_sides_end_when_one_does(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def until_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await echo(reader, writer)
        ended.set()

    async def say_and_go(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SWITCHED + b"x" * MIB)
        await writer.drain()

    async with serving(tmp_path) as bench:
        bench.abroad = until_end
        reader, writer = await bench.call()
        writer.write(EXEC)
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await asyncio.wait_for(ended.wait(), 10)
        bench.abroad = say_and_go
        assert await bench.ask(EXEC) == SWITCHED + b"x" * MIB


async def test_who_reads_slowly_gets_all_though_the_other_side_has_long_ended(tmp_path: Path) -> None:
    sent = bytes(range(256)) * 240  # less than what a transport keeps for a socket that takes no more

    async def say_and_go(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SWITCHED + sent)
        await writer.drain()

    async with serving_and_server(tmp_path) as (bench, server):
        assert server._socket is not None
        server._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # as little as the kernel can
        bench.abroad = say_and_go
        assert await asyncio.to_thread(read_slowly, bench) == SWITCHED + sent


def read_slowly(bench: Bench) -> bytes:
    """Ask, take a breath, and read the answer to its end."""
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        plain.connect((HOST, bench.port))
        with bench.context().wrap_socket(plain) as caller:
            caller.sendall(EXEC)
            got = caller.recv(1)
            time.sleep(3 * splice.LINGER.total_seconds())  # no wait for anything: this is how slow he is
            while chunk := caller.recv(MIB):
                got += chunk
    return got


async def test_an_upgrade_that_is_refused_abroad_is_told_and_ends(tmp_path: Path) -> None:
    said = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n"

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await reader.read()  # an API server keeps the connection for a next request

    async with serving(tmp_path) as bench:
        bench.abroad = refuse
        assert await bench.ask(EXEC) == said


async def test_nothing_of_a_second_request_goes_abroad(tmp_path: Path) -> None:
    seen = bytearray()

    async def listen(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        seen.extend(await reader.read())

    async with serving(tmp_path) as bench:
        bench.abroad = listen
        assert await bench.ask(LOGS + LOGS) == b""
        assert b"Connection: close" in bench.heads[0]
    assert len(bench.heads) == 1
    assert not seen


async def test_streams_to_one_cluster_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubelet, "STREAMS_MAX", 1)
    async with serving(tmp_path) as bench:
        bench.abroad = echo
        reader, writer = await bench.call()
        writer.write(EXEC)
        await reader.readuntil(b"\r\n\r\n")
        assert (await bench.ask(EXEC)).startswith(b"HTTP/1.1 429 ")
        writer.close()


async def test_a_stream_without_a_byte_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splice, "IDLE_MAX", splice.IDLE_MAX * 0)
    async with serving(tmp_path) as bench:
        bench.abroad = echo
        assert await bench.ask(EXEC) == SWITCHED


async def test_another_client_ca_counts_at_once_and_open_streams_go_on(tmp_path: Path) -> None:
    async with serving_and_server(tmp_path) as (bench, server):
        bench.abroad = echo
        reader, writer = await bench.call()
        writer.write(EXEC)
        await reader.readuntil(b"\r\n\r\n")
        await server.use(context_for(OTHER_CA))
        assert await bench.ask(EXEC) == b""
        fresh, other = await bench.call(ca=OTHER_CA)
        other.write(EXEC)
        assert await fresh.readuntil(b"\r\n\r\n") == SWITCHED
        writer.write(b"still here")
        assert await reader.readexactly(10) == b"still here"
        other.close()
        writer.close()
