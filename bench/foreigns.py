"""Foreign clusters that are played: of each as much as a home cluster asks of an idle one, with keys of its own.

    python bench/foreigns.py HOST COUNT FOLDER

Each listens on a port of its own with a certificate of its own CA, shows a well-known document that it signed, takes
home's FederationRequest, applies an Advertisement at home with the credentials sealed in it, answers probes, and keeps
a watch of NamespaceMaps open. Prints a line of JSON, [{"clusterID": …, "apiUrl": …}, …]; then, for each line on
standard input, {"answered": [requests to each], "other": [requests that no idle peering makes]}.
"""

import asyncio
import base64
import json
import ssl
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from aiohttp import web

from liqo.adapters.clock import SystemClock, SystemRandom
from liqo.adapters.kube import HttpCluster
from liqo.adapters.tls import PINNED_NAME, pinned_context
from liqo.api.kinds import ADVERTISEMENT, CONFIG_MAP, FEDERATION_REQUEST, NAMESPACE_MAP
from liqo.api.meta import Wire
from liqo.api.names import NAMESPACE, WELL_KNOWN_CONFIG_MAP, WELL_KNOWN_KEY, tenant_namespace
from liqo.identity.cluster_id import Identity, new_identity
from liqo.identity.document import forge_document
from liqo.identity.keys import Keys
from liqo.identity.kubeconfig import Credentials, seal, unseal
from liqo.lab.pki import make_ca, make_server
from liqo.runtime.secret import Secret

BOOKMARK = timedelta(seconds=60)  # as an API server's
TOKEN_LIFE = timedelta(days=1)
OFFER = {"cpu": "4", "memory": "8Gi", "pods": "110"}
CLOCK = SystemClock()


@dataclass
class Foreign:
    """One cluster that is played."""

    identity: Identity
    ca_pem: str
    context: ssl.SSLContext
    url: str = ""
    answered: int = 0
    requested: Wire | None = None

    @property
    def name(self) -> str:
        return f"played-{self.identity.cluster_id[:6]}"


class Stage:
    """All of them, told apart by the port that is asked."""

    def __init__(self) -> None:
        self.by_port: dict[int, Foreign] = {}
        self.other: list[str] = []
        self._offering: set[asyncio.Task[None]] = set()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        foreign = self.by_port[request.transport.get_extra_info("sockname")[1]]
        foreign.answered += 1
        match request.method, request.path.rsplit("/", 1)[-1]:
            case "GET", "version":
                return web.json_response({"major": "1"})
            case "GET", name if name == WELL_KNOWN_CONFIG_MAP:
                return web.json_response(document(foreign))
            case "POST", name if name == FEDERATION_REQUEST.plural:
                foreign.requested = await request.json()
                offering = asyncio.ensure_future(offer(foreign, foreign.requested))
                self._offering.add(offering)
                offering.add_done_callback(self._offering.discard)
                return web.json_response(foreign.requested, status=201)
            case "GET", name if foreign.requested and name == foreign.requested["metadata"]["name"]:
                return web.json_response(foreign.requested)
            case "GET", name if name == NAMESPACE_MAP.plural:
                return await maps(request)
        self.other.append(f"{request.method} {request.path}")
        return web.json_response({"kind": "Status", "code": 404, "message": "not played"}, status=404)


def document(foreign: Foreign) -> Wire:
    text = forge_document(
        foreign.identity,
        CLOCK.now(),
        cluster_id=foreign.identity.cluster_id,
        cluster_name=foreign.name,
        namespace=NAMESPACE,
        ca_bundle=foreign.ca_pem,
    )
    name = {"name": WELL_KNOWN_CONFIG_MAP, "namespace": NAMESPACE, "resourceVersion": "1"}
    return {"kind": CONFIG_MAP.kind, "metadata": name, "data": {WELL_KNOWN_KEY: text}}


async def maps(request: web.BaseRequest) -> web.StreamResponse:
    """Tell of no NamespaceMap, once or as a watch."""
    query = request.rel_url.query
    if "watch" not in query:
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": []})
    response = web.StreamResponse()
    await response.prepare(request)
    end = CLOCK.now() + timedelta(seconds=int(query["timeoutSeconds"]))
    line: Wire = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "1"}}}
    with suppress(ConnectionError):  # home may end it first
        while (left := end - CLOCK.now()) > timedelta():
            await CLOCK.sleep(min(left, BOOKMARK))
            await response.write(json.dumps(line).encode() + b"\n")
    return response


async def offer(foreign: Foreign, request: Wire) -> None:
    """Accept a request: apply an Advertisement at home that answers it."""
    spec, own_id = request["spec"], foreign.identity.cluster_id
    home_id = spec["clusterID"]
    home = unseal(spec["kubeConfig"], foreign.identity, issuer=home_id, audience=own_id)
    place = tenant_namespace(home_id)
    credentials = Credentials(server=foreign.url, ca_pem=foreign.ca_pem, token=token(), namespace=place)
    sealed = seal(credentials, Keys.parse(spec["keys"]).sealing, issuer=own_id, audience=home_id)
    body: Wire = {
        "metadata": {"name": own_id, "namespace": home.namespace},
        "spec": {
            "protocol": 1,
            "clusterID": own_id,
            "clusterName": foreign.name,
            "namespace": place,
            "phase": "Offered",
            "answers": request["metadata"]["name"].rsplit("-", 1)[1],
            "resources": OFFER,
            "kubeConfig": sealed,
        },
    }
    cluster = HttpCluster(
        home.server,
        ssl_context=pinned_context(home.ca_pem),
        server_hostname=PINNED_NAME,
        token=home.token.reveal,
        clock=CLOCK,
        random=SystemRandom(),
    )
    try:
        await cluster.apply(ADVERTISEMENT, body, manager="liqo-incoming")
    finally:
        await cluster.close()


def token() -> Secret:
    """Return what has a token's form and says when it ends; nobody here checks more."""
    claims = {"exp": int((CLOCK.now() + TOKEN_LIFE).timestamp())}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return Secret(f"played.{payload}.played")


def make(host: str, folder: Path) -> Foreign:
    """Return a foreign cluster with keys and a CA of its own."""
    identity = new_identity()
    ca = make_ca(f"{identity.cluster_id} CA")
    pair = make_server(ca, "kube-apiserver", (PINNED_NAME, host))
    both = folder / f"{identity.cluster_id}.pem"
    both.write_text(pair.key_pem + pair.certificate_pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(both)
    return Foreign(identity, ca.certificate_pem, context)


async def main(host: str, count: int, folder: Path) -> None:
    stage, loop, lines = Stage(), asyncio.get_running_loop(), asyncio.StreamReader()
    runner = web.ServerRunner(web.Server(stage.answer), shutdown_timeout=0)
    await runner.setup()
    for _ in range(count):
        foreign = make(host, folder)
        await web.TCPSite(runner, host, 0, ssl_context=foreign.context).start()
        port = runner.addresses[-1][1]
        foreign.url, stage.by_port[port] = f"https://{host}:{port}", foreign
    foreigns = list(stage.by_port.values())
    print(json.dumps([{"clusterID": f.identity.cluster_id, "apiUrl": f.url} for f in foreigns]), flush=True)
    await loop.connect_read_pipe(partial(asyncio.StreamReaderProtocol, lines), sys.stdin)
    while await lines.readline():
        print(json.dumps({"answered": [f.answered for f in foreigns], "other": stage.other}), flush=True)
    await runner.cleanup()


asyncio.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
