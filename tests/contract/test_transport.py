"""What a server may do to us over HTTP, tried with a real one that misbehaves."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from prometheus_client import CollectorRegistry

from liqo.adapters import transport
from liqo.adapters.clock import SystemClock, SystemRandom
from liqo.adapters.kube import HttpCluster
from liqo.adapters.kubeconfig import make_context
from liqo.adapters.tls import pinned_context, system_context
from liqo.api.kinds import CONFIG_MAP, NODE
from liqo.api.meta import Key, Wire
from liqo.errors import (
    Absent,
    Expired,
    Fault,
    Forbidden,
    Malformed,
    NotTrusted,
    Overloaded,
    Unauthorized,
    Unreachable,
)
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Selection
from liqo.runtime.watch import SILENT

KEY = Key("x", "a")
HOLD = 0.6  # seconds; longer than we wait in these tests
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl"
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Yield the URL at which a handler answers everything."""
    runner = web.ServerRunner(web.Server(handler), handle_signals=False, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def reached(server: str, **options: Any) -> AsyncIterator[HttpCluster]:
    cluster = HttpCluster(
        server,
        ssl_context=options.pop("ssl_context", None),
        clock=SystemClock(),
        random=SystemRandom(),
        **options,
    )
    try:
        yield cluster
    finally:
        await cluster.close()


def answering(status: int = 200, body: bytes = b"{}", **headers: str) -> Handler:
    async def handler(_request: web.BaseRequest) -> web.Response:
        return web.Response(
            status=status, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    return handler


def streaming(*chunks: bytes, hold: bool = False) -> Handler:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        if hold:
            await asyncio.sleep(HOLD)  # noqa: TID251
        return response

    return handler


async def watched(cluster: HttpCluster) -> list[Wire]:
    return [line async for line in cluster.watch(Selection(NODE), "1")]


ANSWERS: dict[str, tuple[Handler, type[Fault]]] = {
    "a redirect is not followed": (answering(302, Location="http://127.0.0.1:1/"), Unreachable),
    "not JSON": (answering(body=b"<html>"), Malformed),
    "no object": (answering(body=b"[]"), Malformed),
    "compressed though not asked for": (answering(body=b"\x1f\x8b", Content_Encoding="gzip"), Malformed),
    "too large, and says so": (answering(body=b"x" * 100_000), Malformed),
    "too large, and does not say so": (streaming(*[b"x" * 1000] * 100), Malformed),
    "overloaded": (answering(429, b"busy", Retry_After="7"), Overloaded),
    "forbidden": (answering(403, b"no"), Forbidden),
    "never ends": (streaming(b"{", hold=True), Unreachable),
}


@pytest.mark.parametrize("name", ANSWERS, ids=ANSWERS)
async def test_what_an_answer_means(name: str) -> None:
    handler, fault = ANSWERS[name]
    timeout = timedelta(seconds=0.3)
    async with served(handler) as server, reached(server, max_response=50_000, timeout=timeout) as cluster:
        with pytest.raises(fault):
            await cluster.get(CONFIG_MAP, KEY)


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    async with served(answering()) as server:
        pass
    async with reached(server) as cluster:
        with pytest.raises(Unreachable):
            await cluster.get(CONFIG_MAP, KEY)
        with pytest.raises(Unreachable):
            await watched(cluster)


async def test_lines_of_a_watch_may_be_cut_anywhere() -> None:
    line = orjson.dumps({"type": "ADDED", "object": {"metadata": {"name": "ü" * 50}}}) + b"\n"
    whole = line * 3 + b"\n"
    pieces = [whole[i : i + 7] for i in range(0, len(whole), 7)]
    async with served(streaming(*pieces, b'{"cut')) as server, reached(server) as cluster:
        assert await watched(cluster) == [orjson.loads(line)] * 3


WATCHES: dict[str, tuple[Handler, type[Fault], str]] = {
    "too old": (answering(410, b"old"), Expired, "Expired"),
    "an ERROR line": (
        streaming(b'{"type":"ERROR","object":{"kind":"Status","code":410,"message":"old"}}\n'),
        Expired,
        "Expired",
    ),
    "an ERROR line that says nothing": (streaming(b'{"type":"ERROR"}\n'), Unreachable, "Unreachable"),
    "not JSON": (streaming(b"hello\n"), Malformed, "Malformed"),
    "a line without end": (streaming(*[b"x" * 1000] * 30), Malformed, "Malformed"),
    "silence": (streaming(b'{"type":"BOOKMARK"}\n', hold=True), Unreachable, SILENT),
    "no kind": (answering(404, b"no"), Absent, "Absent"),
}


@pytest.mark.parametrize("name", WATCHES, ids=WATCHES)
async def test_how_a_watch_ends(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "SILENCE", timedelta(seconds=0.2))
    monkeypatch.setattr(transport, "MAX_LINE", 20_000)
    handler, fault, reason = WATCHES[name]
    async with served(handler) as server, reached(server) as cluster:
        with pytest.raises(fault) as caught:
            await watched(cluster)
        assert caught.value.reason == reason


def until(over: asyncio.Event) -> Handler:
    """Return what answers a watch with one event, and goes on until it is told to end."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"type":"BOOKMARK"}\n')
        await over.wait()
        return response

    return handler


async def read(cluster: HttpCluster, begun: asyncio.Event) -> None:
    """Read a watch to its end, and tell when it has begun."""
    async for _ in cluster.watch(Selection(CONFIG_MAP), "1"):
        begun.set()


async def test_a_watch_ends_when_we_close_its_connection_or_believe_another_ca() -> None:
    for end in (HttpCluster.close, lambda cluster: cluster.trust(None)):
        begun, over = asyncio.Event(), asyncio.Event()
        async with served(until(over)) as server, reached(server) as cluster:
            reading = asyncio.ensure_future(read(cluster, begun))
            await begun.wait()
            await end(cluster)
            done, _ = await asyncio.wait({reading}, timeout=10)
            over.set()
            assert done
            with pytest.raises(Unreachable):
                reading.result()


async def test_a_watch_whose_head_does_not_come_is_unreachable() -> None:
    async def handler(_request: web.BaseRequest) -> web.Response:
        await asyncio.sleep(HOLD)  # noqa: TID251
        return web.Response()

    async with served(handler) as server, reached(server, timeout=timedelta(seconds=0.2)) as cluster:
        with pytest.raises(Unreachable):
            await watched(cluster)


async def test_however_many_watches_are_open_requests_get_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "REQUESTS", 2)
    opened, over = asyncio.Semaphore(0), asyncio.Event()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if "watch" not in request.rel_url.query:
            return web.json_response({"metadata": {"name": "a", "namespace": "x"}})
        response = web.StreamResponse()
        await response.prepare(request)
        opened.release()
        await over.wait()
        return response

    async with served(handler) as server, reached(server) as cluster, asyncio.TaskGroup() as watches:
        for _ in range(5):
            watches.create_task(watched(cluster))
        for _ in range(5):
            await opened.acquire()
        assert (await cluster.get(CONFIG_MAP, KEY))["metadata"]["name"] == "a"
        over.set()


async def test_a_refused_token_is_made_anew_once() -> None:
    tokens, shown = ["old"], list[str]()

    async def handler(request: web.BaseRequest) -> web.Response:
        shown.append(request.headers["Authorization"])
        return web.Response(status=200 if shown[-1] == "Bearer new" else 401, body=b"{}")

    async def refresh() -> bool:
        tokens[:] = ["new"] if tokens == ["old"] else tokens
        return True

    options: Any = {"token": lambda: tokens[0], "refresh": refresh}
    async with served(handler) as server, reached(server, **options) as cluster:
        await cluster.get(CONFIG_MAP, KEY)
        tokens[:] = ["bad"]
        with pytest.raises(Unauthorized):
            await cluster.get(CONFIG_MAP, KEY)
        tokens[:] = ["old"]
        assert await watched(cluster) == []
    assert shown == [f"Bearer {t}" for t in ("old", "new", "bad", "bad", "old", "new")]


async def test_a_stranger_shows_no_token_and_nobody_goes_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = list[web.BaseRequest]()

    async def handler(request: web.BaseRequest) -> web.Response:
        seen.append(request)
        return web.Response(body=b"{}", headers={"Set-Cookie": "a=b", "Warning": '299 - "wait"'})

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with served(handler) as server, reached(server) as cluster:
        _, headers = await cluster.post_with_headers("/apis/x/v1/namespaces/n/things", {"a": 1})
        await cluster.fetch("/readyz")
    assert headers.getall("Warning") == ['299 - "wait"']
    assert headers["Date"]
    assert not {"Authorization", "Cookie"} & {name.title() for r in seen for name in r.headers}
    assert seen[0].headers["Accept-Encoding"] == "identity"


async def test_a_name_from_outside_stays_one_segment_of_a_path() -> None:
    async with served(answering()) as server, reached(server) as cluster:
        for name in ("../secrets/x", "a/b", "a?b", "a#b", "..", ".", "", "a%2fb", "ü"):
            with pytest.raises(Malformed):
                await cluster.get(CONFIG_MAP, Key("x", name))
            with pytest.raises((Malformed, ValueError)):
                await cluster.get(CONFIG_MAP, Key(name, "x"))
        for path in ("/api/../secrets", "/a//b", "/a?b", "api", "", "/a/", "/./a", "/a%2e", "/a#b"):
            with pytest.raises(Malformed):
                await cluster.fetch(path)
        await cluster.get(CONFIG_MAP, Key("x", "system:node.a_B-1"))


async def test_no_token_and_nothing_that_was_sent_is_in_a_message() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        said = f'Invalid value: "{(await request.json())["spec"]["sealed"]}" from {request.headers["Authorization"]}'
        return web.Response(status=422, body=orjson.dumps({"message": said}))

    async with served(handler) as server, reached(server, token=lambda: TOKEN) as cluster:
        with pytest.raises(Fault) as caught:
            await cluster.create(NODE, {"metadata": {"name": "a"}, "spec": {"sealed": f"{TOKEN}.a.b"}})
    assert "eyJ" not in str(caught.value)
    assert 'Invalid value: "***"' in str(caught.value)


async def test_requests_are_counted_by_what_they_were_and_not_by_what_a_server_makes_up() -> None:
    codes = iter((200, 404, 418, 599))

    async def handler(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=next(codes), body=b"{}")

    metrics = Metrics(CollectorRegistry())
    async with served(handler) as server, reached(server, metrics=metrics, role="foreign") as cluster:
        for _ in range(4):
            try:
                await cluster.get(CONFIG_MAP, KEY)
            except Fault:
                continue
    for code in ("200", "404", "400", "500"):
        labels = {"cluster": "foreign", "verb": "get", "resource": "configmaps", "code": code}
        assert metrics.registry.get_sample_value("liqo_api_requests_total", labels) == 1


async def test_a_watch_counts_as_open_until_it_ends_whoever_ends_it() -> None:
    metrics = Metrics(CollectorRegistry())

    def count() -> float | None:
        return metrics.registry.get_sample_value("liqo_watches", {"cluster": "foreign"})

    for ender in ("whoever reads", "we", "the server"):
        begun, over = asyncio.Event(), asyncio.Event()
        async with served(until(over)) as server, reached(server, metrics=metrics, role="foreign") as cluster:
            reading = asyncio.ensure_future(read(cluster, begun))
            await begun.wait()
            assert count() == 1
            match ender:
                case "whoever reads":
                    reading.cancel()
                case "we":
                    await cluster.close()
                case _:
                    over.set()
            await asyncio.gather(reading, return_exceptions=True)
            assert count() == 0
            over.set()


def make_server_context(folder: Path, host: str) -> tuple[ssl.SSLContext, str]:
    """Return the context of a server with a certificate of its own for a host, and that certificate."""
    made = issue(host, None)
    private = made.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(made.pem.encode() + private)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "both.pem")
    return context, made.pem


async def test_a_certificate_is_verified_by_its_ca_and_by_the_name_we_ask_for(tmp_path: Path) -> None:
    context, pem = make_server_context(tmp_path, "kubernetes.default.svc")
    async with served(answering(), context) as server:
        good = make_context(pem)
        async with reached(server, ssl_context=good, server_hostname="kubernetes.default.svc") as cluster:
            await cluster.get(CONFIG_MAP, KEY)
        for wrong in (
            {"ssl_context": good},  # its host is an address, which the certificate does not have
            {"ssl_context": good, "server_hostname": "another.svc"},
            {"ssl_context": make_context(""), "server_hostname": "kubernetes.default.svc"},
        ):
            async with reached(server, **wrong) as cluster:
                with pytest.raises(NotTrusted) as caught:
                    await cluster.get(CONFIG_MAP, KEY)
                assert caught.value.reason == "CANotTrusted"


@dataclass
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()


def issue(name: str, by: Issued | None, *, ca: bool = True) -> Issued:
    """Return a certificate for a name: signed by itself, or by another; of a CA or of a server."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)  # noqa: TID251  TLS reads the real clock
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    return Issued(builder.sign(by.key if by else key, hashes.SHA256()), key)


ROOT = issue("root", None)
MIDDLE = issue("intermediate", ROOT)
LEAF = issue("rome.example", MIDDLE, ca=False)
CHAINS = {
    "the root is trusted and the chain is served": (ROOT.pem, [LEAF, MIDDLE], True),
    "the root is trusted and the chain is not served": (ROOT.pem, [LEAF], False),
    "the intermediate alone is trusted": (MIDDLE.pem, [LEAF], True),
    "the intermediate alone is trusted, whatever is served": (MIDDLE.pem, [LEAF, MIDDLE], True),
    "both are trusted and the chain is not served": (ROOT.pem + MIDDLE.pem, [LEAF], True),
    "the server's own certificate is trusted": (LEAF.pem, [LEAF], True),
    "another root is trusted": (issue("root", None).pem, [LEAF, MIDDLE], False),
    "nothing but the system's roots is trusted": ("", [LEAF, MIDDLE], False),
}


@pytest.mark.parametrize(
    ("sentence", "make"),
    [*((s, system_context) for s in CHAINS), *((s, pinned_context) for s in CHAINS if CHAINS[s][0])],
)
async def test_intermediate_certificates(
    sentence: str, make: Callable[[str], ssl.SSLContext], tmp_path: Path
) -> None:
    trusted, chain, good = CHAINS[sentence]
    private = LEAF.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "chain.pem").write_bytes(private + "".join(c.pem for c in chain).encode())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "chain.pem")
    options: Any = {"ssl_context": make(trusted), "server_hostname": "rome.example"}
    async with served(answering(), context) as server, reached(server, **options) as cluster:
        if good:
            await cluster.get(CONFIG_MAP, KEY)
            return
        with pytest.raises(NotTrusted) as caught:
            await cluster.get(CONFIG_MAP, KEY)
        assert caught.value.reason == "CANotTrusted"
