"""Sits before an API server, ends its TLS with a certificate of his own CA, and remembers what he gets.

    python man_in_the_middle.py FOLDER HOST URL

It listens on port 7443 of HOST; URL is the API server, and FOLDER holds `HOST.crt`, `HOST.key` and `ca.crt`, his CA.
Each line on standard input is an order, and is answered by one line:

    {"mode": "copy"}             he passes everything on, the genuine document too
    {"mode": "forge", "id": ID}  he shows a document of his own under that id, or his own; and takes requests
    {"mode": "away"}             he is not there: bytes go straight to the API server
    {}                           as before; the answer is {"got": [{"method": "POST", "path": "/…", "token": true,
                                 "opened": true}, …]}: what he got since he was told a mode, and could read
"""

import asyncio
import json
import ssl
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from liqo.adapters.clock import SystemClock
from liqo.api.names import WELL_KNOWN_CONFIG_MAP, WELL_KNOWN_KEY
from liqo.errors import Fault
from liqo.identity.cluster_id import new_identity
from liqo.identity.document import LIFETIME, PROTOCOLS, TYP
from liqo.identity.jws import sign
from liqo.identity.kubeconfig import unseal

PORT = 7443
OWN = ("Connection", "Host", "Transfer-Encoding", "Content-Length")  # of one hop (RFC 9110 §7.6.1)


class Middle:
    """The man; his identity lasts as long as he does."""

    def __init__(self, folder: Path, url: str, session: aiohttp.ClientSession) -> None:
        self.mode, self.claimed = "away", ""
        self.got: list[dict[str, Any]] = []
        self._identity = new_identity()
        self._ca = (folder / "ca.crt").read_text()
        self._url, self._session = url, session

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Answer one request that somebody meant for the API server."""
        body = await request.read()
        heard = {
            "method": request.method,
            "path": request.path,
            "token": "Authorization" in request.headers,
            "opened": self._opens(body),
        }
        self.got.append(heard)
        if self.mode == "forge":
            return self._forge(request)
        headers = [(name, value) for name, value in request.headers.items() if name not in OWN]
        target = f"{self._url}{request.raw_path}"
        async with self._session.request(request.method, target, data=body or None, headers=headers) as real:
            return web.Response(
                status=real.status, body=await real.read(), headers={"Content-Type": "application/json"}
            )

    def _opens(self, body: bytes) -> bool:
        """Return whether a request carries credentials that he can open."""
        with suppress(ValueError, KeyError, TypeError, Fault):
            spec = json.loads(body)["spec"]
            unseal(spec["kubeConfig"], self._identity, issuer=spec["clusterID"], audience=self.claimed)
            return True
        return False

    def _forge(self, request: web.BaseRequest) -> web.Response:
        """Be the cluster with that id, as far as a stranger can see."""
        if request.method == "POST":
            return web.json_response({"kind": "FederationRequest"}, status=201)
        if not request.path.endswith(f"/{WELL_KNOWN_CONFIG_MAP}"):
            return web.json_response({"kind": "Status", "message": "no"}, status=404)
        now = int(SystemClock().now().timestamp())
        claims = {
            "clusterID": self.claimed or self._identity.cluster_id,
            "clusterName": "milan",
            "namespace": "liqo",
            "jwks": self._identity.keys.wire(),
            "protocols": list(PROTOCOLS),
            "caBundle": self._ca,
            "iat": now,
            "exp": now + int(LIFETIME.total_seconds()),
        }
        return web.json_response({"data": {WELL_KNOWN_KEY: sign(claims, self._identity, typ=TYP)}})

    async def obey(self) -> None:
        """Take orders until there are no more."""
        lines = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(partial(asyncio.StreamReaderProtocol, lines), sys.stdin)
        while line := await lines.readline():
            order = json.loads(line)
            if order:
                self.mode, self.claimed, self.got = order["mode"], order.get("id", ""), []
            print(json.dumps({"got": self.got}), flush=True)  # noqa: T201


async def splice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until there are no more."""
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def main(folder: Path, host: str, url: str) -> None:
    """Listen, say "ready", and take orders until standard input ends."""
    real = (urlsplit(url).hostname, urlsplit(url).port)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / f"{host}.crt", folder / f"{host}.key")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
        middle = Middle(folder, url, session)
        runner = web.ServerRunner(web.Server(middle.answer))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        own = runner.addresses[0][:2]

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection(*(real if middle.mode == "away" else own))
            await asyncio.gather(splice(reader, back), splice(there, writer))

        async with await asyncio.start_server(accept, host, PORT):
            print("ready", flush=True)  # noqa: T201
            await middle.obey()
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
