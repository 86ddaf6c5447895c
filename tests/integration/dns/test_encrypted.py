"""Name servers over TLS and HTTPS, whose certificate has to be trusted."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import dns.flags
import dns.message
import pytest
from aiohttp import web

from dns_servers import free_port
from liqo.adapters.dns import NameServers
from liqo.adapters.serving import make_serving
from liqo.api.reasons import Reason
from liqo.app.serving import server_context
from liqo.discovery.dns import Answer, Type

NAME = "x.example"


def answer(query: bytes, *, signed: bool = False) -> bytes:
    message = dns.message.make_response(dns.message.from_wire(query))
    text = f"id 0\nflags QR\n;ANSWER\n{NAME}. 60 IN PTR a.example.\n"
    message.answer += dns.message.from_text(text).answer
    if signed:
        message.flags |= dns.flags.AD
    return message.to_wire()


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A CA of our own among the system's roots, for as long as the test lasts."""
    made = make_serving(["127.0.0.1", "dns.example"], datetime.now(UTC))  # noqa: TID251  it has to be valid now
    (tmp_path / "ca.pem").write_bytes(made.ca)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return server_context(made)


@pytest.fixture
async def tls(context: ssl.SSLContext) -> AsyncIterator[int]:
    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(2))
                said = answer(await reader.readexactly(length), signed=True)
                writer.write(len(said).to_bytes(2) + said)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    port = free_port()
    server = await asyncio.start_server(stream, "127.0.0.1", port, ssl=context)
    yield port
    server.close()


@pytest.fixture
async def https(context: ssl.SSLContext) -> AsyncIterator[int]:
    async def reply(request: web.Request) -> web.Response:
        assert request.content_type == "application/dns-message"
        return web.Response(body=answer(await request.read()), content_type="application/dns-message")

    app = web.Application()
    app.router.add_post("/dns-query", reply)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    yield port
    await runner.cleanup()


async def ask(server: str, times: int = 1) -> Answer:
    resolver = NameServers.of(server)
    found = await asyncio.gather(*(resolver.ask(NAME, Type.PTR) for _ in range(times)))
    await resolver.close()
    assert len({a.fault for a in found}) == 1
    return found[0]


async def test_over_tls_many_questions_share_a_connection_and_a_signature_counts(tls: int) -> None:
    said = await ask(f"tls://127.0.0.1:{tls}", 20)
    assert (said.records, said.proof) == (["a.example"], Reason.DNSSEC)
    named = await ask(f"tls://127.0.0.1:{tls}#dns.example")
    assert named.records == ["a.example"]


async def test_over_https(https: int) -> None:
    said = await ask(f"https://127.0.0.1:{https}/dns-query")
    assert (said.records, said.proof) == (["a.example"], Reason.ENCRYPTED)
    absent = await ask(f"https://127.0.0.1:{https}/elsewhere")
    assert absent.fault in {Reason.SERVER_AWAY, Reason.BAD_ANSWER}


async def test_another_s_certificate_is_no_answer(
    tls: int, https: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = make_serving(["127.0.0.1"], datetime.now(UTC))  # noqa: TID251  it has to be valid now
    (tmp_path / "other.pem").write_bytes(other.ca)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
    assert (await ask(f"tls://127.0.0.1:{tls}")).fault is Reason.SERVER_AWAY
    assert (await ask(f"https://127.0.0.1:{https}/dns-query")).fault is Reason.SERVER_AWAY
    assert (await ask(f"tls://127.0.0.1:{tls}#other.example")).fault is Reason.SERVER_AWAY
