"""What stands behind the door: the API server, reached as the account that has a stranger's rights."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import timedelta

import aiohttp
from aiohttp import web

from liqo.adapters.kubeconfig import Access, make_context
from liqo.api.kinds import CONFIG_MAP
from liqo.api.names import DOOR, WELL_KNOWN_CONFIG_MAP
from liqo.errors import Unreachable
from liqo.peering.loop_rights import issue_token
from liqo.peering.tokens import Token
from liqo.runtime.ports import Clock, Cluster
from liqo.serve.door import Passed

TIMEOUT = timedelta(seconds=5)
UNAUTHORIZED = 401


async def lets_strangers_in(access: Access, namespace: str) -> bool:
    """Return whether our API server takes anonymous requests where strangers ask; it says 401 where it does not.

    Raises:
        Unreachable: it does not answer.
    """
    path = CONFIG_MAP.path(namespace, WELL_KNOWN_CONFIG_MAP)
    async with _session() as session:
        try:
            url = f"{access.server}{path}"
            async with session.get(url, ssl=_bare(access), server_hostname=access.server_hostname) as answer:
                return answer.status != UNAUTHORIZED
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            raise Unreachable(f"{access.server} does not answer") from exc


class Door:
    """Passes requests on as the account `liqo-door`, whose rights are exactly a stranger's.

    Args:
        access: how our own API server is reached now.
        cluster: the same, as ourselves: it issues the account's tokens.
        namespace: Liqo's own.
        clock: when a token is due.
    """

    def __init__(self, access: Callable[[], Access], cluster: Cluster, namespace: str, clock: Clock) -> None:
        self._access, self._cluster, self._namespace, self._clock = access, cluster, namespace, clock
        self._known = access()
        self._ssl = _bare(self._known)
        self._token: Token | None = None
        self._renewing = asyncio.Lock()
        self._http: aiohttp.ClientSession | None = None

    async def forward(self, method: str, path: str, body: bytes | None) -> Passed:
        """Pass a request on and return whatever is answered.

        Raises:
            Fault: no token is to be had, or nothing is answered.
        """
        token, access = await self._current(), self._access()
        if access is not self._known:
            self._known, self._ssl = access, _bare(access)
        if self._http is None:
            self._http = _session()
        headers = {"Authorization": f"Bearer {token.text.reveal()}", "Content-Type": "application/json"}
        try:
            async with self._http.request(
                method,
                f"{access.server}{path}",
                data=body,
                headers=headers,
                ssl=self._ssl,
                server_hostname=access.server_hostname,
                allow_redirects=False,
            ) as answer:
                return Passed(answer.status, list(answer.headers.items()), await answer.read())
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            raise Unreachable("our own API server does not answer") from exc

    async def _current(self) -> Token:
        async with self._renewing:
            if self._token is None or self._clock.now() >= self._token.renews:
                self._token = await issue_token(self._cluster, self._namespace, DOOR, self._clock)
            return self._token

    async def close(self, _app: web.Application) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.close()


def _bare(access: Access) -> ssl.SSLContext | bool:
    """Return how our API server is verified, without any certificate of our own to show."""
    if access.ssl_context is None:
        return True  # http://, as behind `kubectl proxy`
    if access.ssl_context.verify_mode is ssl.CERT_NONE:
        return False  # the kubeconfig says insecure-skip-tls-verify
    return make_context(access.ca_pem)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=TIMEOUT.total_seconds()),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )
