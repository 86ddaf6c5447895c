"""What an API server has to say to count as there: it is asked over real TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from liqo.adapters.clock import SystemClock, SystemRandom
from liqo.adapters.contact import HttpContact
from liqo.adapters.lan_prover import LanProver
from liqo.adapters.serving import Serving, make_serving
from liqo.adapters.tls import PINNED_NAME, system_context
from liqo.api.reasons import Reason
from liqo.app.serving import server_context
from liqo.discovery.lan_ports import Asked, Proof
from liqo.errors import NotTrusted
from liqo.identity.cluster_id import Identity, new_identity
from liqo.identity.document import forge_document
from liqo.identity.trust import check_address
from liqo.peering.ports import Met
from liqo.runtime.metrics import Metrics

US = new_identity()
NOW = datetime.now(UTC)  # noqa: TID251  certificates and documents have to be valid now
WELL_KNOWN = "/api/v1/namespaces/liqo/configmaps/liqo-well-known"


def forge_text(who: Identity, ca: bytes) -> str:
    return forge_document(
        who, NOW, cluster_id=who.cluster_id, cluster_name="milan", namespace="liqo", ca_bundle=ca.decode()
    )


@dataclass
class Server:
    """An API server that answers with these codes."""

    tls: Serving
    codes: dict[str, int] = field(default_factory=dict)
    who: Identity = US
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        code = self.codes.get(request.path, 200)
        if code != 200 or request.path != WELL_KNOWN:
            return web.json_response({"kind": "Status", "message": "no"}, status=code)
        return web.json_response({"data": {"document": forge_text(self.who, self.tls.ca)}})

    async def start(self, context: ssl.SSLContext | None) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/{path:.*}", self.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        self.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        return runner


@pytest.fixture(scope="module")
def tls() -> Serving:
    return make_serving(["127.0.0.1", PINNED_NAME], NOW)


@pytest.fixture
async def server(tls: Serving) -> AsyncIterator[Server]:
    made = Server(tls)
    runner = await made.start(server_context(tls))
    yield made
    await runner.cleanup()


def make_contact() -> HttpContact:
    return HttpContact(
        system=partial(system_context, ""),
        check=partial(check_address, own=[], allow_loopback=True),
        clock=SystemClock(),
        random=SystemRandom(),
        metrics=Metrics(CollectorRegistry()),
        knocking=timedelta(),  # as the agent has it
    )


async def meet(*servers: str, door: str = "") -> Met:
    """Meet our cluster at one of these addresses, in untrusted mode."""
    expected = US.cluster_id
    return await make_contact().meet(servers, "liqo", expected=expected, allow_untrusted=True, door=door)


async def proof(url: str) -> Proof:
    """Return what a prover learns there."""
    heard = asyncio.Event()
    prover = LanProver(contact=make_contact(), clock=SystemClock(), heard=lambda _id: heard.set())
    asked = Asked(url, "liqo", US.cluster_id)
    prover.ask(asked, "10.0.0.1")
    await heard.wait()
    await prover.close()
    answer = prover.known(asked)
    assert answer is not None
    return answer.proof


async def test_a_signed_document_over_its_own_ca_proves_the_id(server: Server) -> None:
    assert await proof(server.url) is Proof.PROVED


@pytest.mark.parametrize("code", [302, 401, 404, 409, 429, 500, 503, 504])
async def test_whatever_it_says_after_that_it_is_the_cluster(server: Server, code: int) -> None:
    server.codes = {"/version": code}
    assert await proof(server.url) is Proof.PROVED


@pytest.mark.parametrize("code", [302, 403, 404, 409, 429, 500, 503, 504])
async def test_one_that_shows_no_document_is_there_all_the_same(server: Server, code: int) -> None:
    server.codes = {WELL_KNOWN: code}
    assert await proof(server.url) is Proof.ANSWERED


async def test_another_s_tls_proves_nothing(server: Server) -> None:
    """He shows milan's document, and has a certificate of a CA of his own."""
    his = Server(server.tls)
    runner = await his.start(server_context(make_serving(["127.0.0.1", PINNED_NAME], NOW)))
    his.codes = {"/version": 503}
    assert await proof(his.url) is Proof.OTHER
    await runner.cleanup()


async def test_who_speaks_no_tls_or_is_gone_is_silent(tls: Serving) -> None:
    plain = Server(tls)
    runner = await plain.start(None)
    assert await proof(plain.url) is Proof.SILENT
    await runner.cleanup()
    assert await proof(plain.url) is Proof.SILENT


async def test_a_genuine_document_over_another_s_tls_is_met_by_nobody(server: Server) -> None:
    his = Server(server.tls)
    runner = await his.start(server_context(make_serving(["127.0.0.1", PINNED_NAME], NOW)))
    with pytest.raises(NotTrusted, match="the certificate is not of the CA in it") as refused:
        await meet(his.url)
    assert refused.value.reason == Reason.CA_NOT_SHOWN
    await runner.cleanup()


@pytest.mark.parametrize("honest", [True, False])
async def test_where_the_door_shows_the_document_the_api_server_has_to_hold_the_certificate(
    server: Server, honest: bool
) -> None:
    """The door's own certificate proves nothing, and need not; a man may stand before the API server alone."""
    door = Server(server.tls)
    behind = await door.start(server_context(make_serving(["127.0.0.1"], NOW)))
    own = server.tls if honest else make_serving(["127.0.0.1", PINNED_NAME], NOW)
    api_server = Server(server.tls, codes={WELL_KNOWN: 401, "/version": 401})
    runner = await api_server.start(server_context(own))
    if honest:
        met = await meet(api_server.url, door=door.url)
        assert (met.server, met.entry) == (api_server.url, door.url)
    else:
        with pytest.raises(NotTrusted, match="the certificate is not of the CA in it"):
            await meet(api_server.url, door=door.url)
    await runner.cleanup()
    await behind.cleanup()


async def test_another_cluster_at_one_of_the_addresses_is_told_of(server: Server) -> None:
    other = Server(server.tls, who=new_identity())
    runner = await other.start(server_context(server.tls))
    met = await meet(other.url, server.url)
    assert (met.server, met.others) == (server.url, (other.url,))
    await runner.cleanup()
