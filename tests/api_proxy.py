"""Stands in front of API servers: counts what one client writes there, kills a process at one write, shortens tokens.

    python api_proxy.py FOLDER HOST=URL …

It listens on port 7443 of each HOST, and FOLDER holds `<HOST>.crt` and `<HOST>.key`, and `<HOST>.accounts.key` with
which the tokens there are signed. Each line on standard input is an order and is answered by one line:

    {"clients": [ADDRESS], "pid": 4711, "write": "create nodes", "at": 1, "after": true}
                      begin a new count; kill at the first such write, after its answer
    {"seconds": 60}   tokens that are issued from now on last so long; 0: as they are
    {"asked": 600}    so long a token is asked for from now on, whatever the client asks; 0: as it asks
    {"certificates": true}
                      show what is in the files now, and end all connections
    {}                nothing new; the answer is {"writes": ["create nodes", …], "killed": true} at any time

Leases and Events are no writes here: both go on for ever, and neither decides anything.
"""

import asyncio
import base64
import json
import os
import signal
import ssl
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
PASSED_OVER = ("leases", "events", "selfsubjectaccessreviews", "subjectaccessreviews", "tokenreviews")
OWN = ("Connection", "Host", "Transfer-Encoding", "Content-Length")  # of one hop (RFC 9110 §7.6.1)
PORT = 7443  # an API server has 6443 of every address of its host


@dataclass
class Plan:
    """What was ordered, and what came of it."""

    clients: list[str] = field(default_factory=list)  # addresses of the one
    pid: int = 0
    write: str = ""  # verb and resource; "" for none
    at: int = 0  # which of them, from 1
    after: bool = False
    writes: list[str] = field(default_factory=list)
    killed: bool = False


def name_write(method: str, path: str) -> str:
    """Return verb and resource of a write, "" for what is none or is passed over."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if parts[:1] == ["namespaces"] and len(parts) > 2:  # …/namespaces/NAME/RESOURCE
        parts = parts[2:]
    resource = "/".join((parts[0], *parts[2:])) if parts else ""
    return "" if method not in VERBS or resource in PASSED_OVER else f"{VERBS[method]} {resource}"


def shorten(answer: bytes, seconds: int, key_file: Path) -> bytes:
    """Return the answer to a TokenRequest with a token that ends so soon, signed as there (ES256, RFC 7518 §3.4)."""
    key = load_pem_private_key(key_file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    issued = json.loads(answer)
    head, payload, _ = issued["status"]["token"].split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["exp"] = claims["iat"] + seconds
    signed = f"{head}.{encode(json.dumps(claims).encode())}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(SHA256())))
    issued["status"] |= {
        "token": f"{signed}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}",
        "expirationTimestamp": datetime.fromtimestamp(claims["exp"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return json.dumps(issued).encode()


def encode(data: bytes) -> str:
    """Return base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Proxy:
    """Passes requests on."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.plan = Plan()
        self.seconds = 0  # of the tokens that are issued; 0: as they are
        self.asked = 0  # of the tokens that are asked for; 0: as they are
        self._session = session
        self._fronts: list[tuple[web.Server, ssl.SSLContext, Path]] = []

    async def listen(self, folder: Path, host: str, url: str) -> web.ServerRunner:
        """Stand before one API server."""
        context, files = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), folder / host
        _load(context, files)
        server = web.Server(partial(self.pass_on, url, folder / f"{host}.accounts.key"))
        self._fronts.append((server, context, files))
        runner = web.ServerRunner(server)
        await runner.setup()
        await web.TCPSite(runner, host, PORT, ssl_context=context, shutdown_timeout=0).start()
        return runner

    async def show_anew(self) -> None:
        """Show the certificates that are in the files now."""
        for server, context, files in self._fronts:
            _load(context, files)
            await server.shutdown(0.01)  # 0 would be for ever

    async def pass_on(self, url: str, accounts: Path, request: web.BaseRequest) -> web.StreamResponse:
        """Pass one request on, with its client dead before or after it if it is the one."""
        plan, meant = self.plan, False
        if request.remote in plan.clients and (write := name_write(request.method, request.path)):
            plan.writes.append(write)
            meant = write == plan.write and plan.writes.count(write) == plan.at
        body = await request.read()
        if meant and not plan.after:
            return self._kill(plan, request)
        if self.asked and request.method == "POST" and request.path.endswith("/token"):
            wanted = json.loads(body)
            wanted["spec"]["expirationSeconds"] = self.asked
            body = json.dumps(wanted).encode()
        headers = [(name, value) for name, value in request.headers.items() if name not in OWN]
        target = f"{url}{request.raw_path}"
        async with self._session.request(
            request.method, target, data=body or None, headers=headers, allow_redirects=False
        ) as answer:
            if meant:
                await answer.read()
                return self._kill(plan, request)
            if self.seconds and answer.status == 201 and request.path.endswith("/token"):
                body = shorten(await answer.read(), self.seconds, accounts)
                return web.Response(status=answer.status, body=body, content_type=answer.content_type)
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for name, value in answer.headers.items():
                if name not in OWN:
                    response.headers.add(name, value)
            with suppress(ConnectionError, aiohttp.ClientError):  # whoever asked is gone, or whoever answers
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
            return response

    def _kill(self, plan: Plan, request: web.BaseRequest) -> web.StreamResponse:
        os.kill(plan.pid, signal.SIGKILL)
        plan.killed = True
        if request.transport:
            request.transport.abort()
        return web.Response(status=503)  # nobody hears it

    async def obey(self) -> None:
        """Take orders until there are no more."""
        lines = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(partial(asyncio.StreamReaderProtocol, lines), sys.stdin)
        while line := await lines.readline():
            order = json.loads(line)
            self.seconds = order.pop("seconds", self.seconds)
            self.asked = order.pop("asked", self.asked)
            if order.pop("certificates", False):
                await self.show_anew()
            if order:
                self.plan = Plan(**order)
            print(json.dumps({"writes": self.plan.writes, "killed": self.plan.killed}), flush=True)  # noqa: T201


def _load(context: ssl.SSLContext, files: Path) -> None:
    context.load_cert_chain(files.with_name(f"{files.name}.crt"), files.with_name(f"{files.name}.key"))


async def main(folder: Path, routes: list[str]) -> None:
    """Listen, say "ready", and take orders until standard input ends."""
    connector = aiohttp.TCPConnector(ssl=False, limit=0)
    session = aiohttp.ClientSession(
        connector=connector, auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None)
    )
    async with session:
        proxy = Proxy(session)
        runners = []
        for route in routes:
            host, _, url = route.partition("=")
            runners.append(await proxy.listen(folder, host, url))
        print("ready", flush=True)  # noqa: T201
        await proxy.obey()
        for runner in runners:
            await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
