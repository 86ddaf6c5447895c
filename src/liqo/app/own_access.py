"""Follows how our own API server is reached and verified, while everything else goes on.

A cluster's CA is replaced in steps: first both are believed, then the API server shows a certificate of the new one,
then the old one is gone. Each step reaches us as a file that is another; whoever we gave our address to has to be told.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from liqo.adapters.kube import HttpCluster
from liqo.api.meta import Key, Wire
from liqo.app.home import Home
from liqo.errors import Fault, Invalid, Malformed
from liqo.identity.cluster_id import parse_identity
from liqo.runtime.ports import Clock

log = structlog.get_logger()

LOOK_EVERY = timedelta(seconds=10)  # a file, and no request
ASK_EVERY = timedelta(minutes=1)  # cluster-info, one request


class OwnAccess:
    """Keeps `Home` and our own connection up to date.

    Args:
        home: who we are.
        cluster: our own connection.
        cluster_info: reads the server in ConfigMap kube-public/cluster-info.
        changed: called when others have to be told anew how we are reached.
        clock: when to look.
    """

    def __init__(
        self,
        home: Home,
        cluster: HttpCluster,
        cluster_info: Callable[[], Awaitable[str]],
        changed: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._home, self._cluster, self._cluster_info = home, cluster, cluster_info
        self._changed, self._clock = changed, clock

    async def run(self) -> None:
        """Look again and again."""
        asked = self._clock.now()
        while True:
            await self._clock.sleep(LOOK_EVERY)
            changed = await self._read_again()
            if self._clock.now() >= asked + ASK_EVERY:
                asked = self._clock.now()
                changed |= await self._ask_again()
            if changed:
                self._changed()

    def take_keys(self, _key: Key, _old: Wire | None, new: Wire | None) -> None:
        """Take up another key to seal to; one that makes another cluster is for the next start."""
        if new is None:
            return
        try:
            identity = parse_identity(new.get("data") or {})
        except Malformed as fault:
            log.warning("the Secret with our keys cannot be read", fault=fault.message)
            return
        known = self._home.identity
        if identity.keys.signing == known.keys.signing and identity.keys != known.keys:
            self._home.identity = identity
            log.info("our sealing key is another now")
            self._changed()

    async def _read_again(self) -> bool:
        """Take up another CA; half a file is read again next time."""
        access = self._home.access
        if access.reread is None:
            return False
        try:
            fresh = access.reread()
        except Invalid:
            return False
        if fresh.ca_pem == access.ca_pem:
            return False
        self._home.access = fresh
        await self._cluster.trust(fresh.ssl_context)
        log.info("our own CA is another now", server=fresh.server)
        return True

    async def _ask_again(self) -> bool:
        try:
            said = await self._cluster_info()
        except Fault:
            return False
        if said == self._home.cluster_info:
            return False
        self._home.cluster_info = said
        return True
