"""Connections to other clusters: one session per cluster and way, shared by all rooms, and its health."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from liqo.adapters.failover import FailoverCluster
from liqo.adapters.health import Tally
from liqo.adapters.kube import HttpCluster
from liqo.adapters.streams import open_stream
from liqo.adapters.tls import (
    AddressCheck,
    CheckedResolver,
    PeerTrust,
    check_literal,
)
from liqo.adapters.tracked import Peer, TrackedCluster
from liqo.adapters.watches import Watches
from liqo.api.meta import Key, Kind, Wire
from liqo.errors import Fault, NotTrusted, Unreachable
from liqo.identity.kubeconfig import Credentials, digest, token_expiry, unseal
from liqo.peering.ports import Ourselves
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Clock, Health, Random, Selection, Session, Stream, Way

ANSWER_MAX = 4 * 2**20  # bytes of one answer of another cluster
OBJECTS_MAX = (
    100_000  # of one cluster: 50 full namespaces hold 80,000, beside pods (sharing.place.STORED_MAX)
)
PROBE_WITHIN = timedelta(seconds=2)  # three in a row without an answer make a cluster away
CLOSE_WITHIN = timedelta(seconds=2)


def open_peer(
    credentials: Credentials,
    way: Way,
    addresses: Callable[[], Sequence[str]],
    trust: PeerTrust,
    *,
    check: AddressCheck,
    clock: Clock,
    random: Random,
    metrics: Metrics,
) -> FailoverCluster:
    """Return a session with the credentials that another cluster sent us, at the first address that answers.

    Where no name is pinned, the certificate has to be for the host in the credentials' own URL, whatever address is
    tried: a finder's word sends our token nowhere else.
    """
    name = trust.name or urlsplit(credentials.server).hostname

    def connect(server: str) -> HttpCluster:
        check_literal(server, check)
        return HttpCluster(
            server,
            ssl_context=trust.context,
            server_hostname=name,
            token=credentials.token.reveal,
            resolver=CheckedResolver(check),
            clock=clock,
            random=random,
            metrics=metrics,
            role="foreign" if way is Way.OUTGOING else "home",
            max_response=ANSWER_MAX,
        )

    return FailoverCluster(addresses, connect, clock)


@dataclass(slots=True, kw_only=True)
class _Connection:
    """One session and what hangs on it."""

    sealed_digest: str
    trust_mark: str
    credentials: Credentials
    http: Peer
    tracked: TrackedCluster
    tally: Tally
    watches: Watches


class PeerClusters:
    """Implements `runtime.ports.Clusters`.

    Args:
        us: who we are; its identity opens what was sealed to us.
        check: may we connect to that address.
        changed: called with (cluster id, way) when a connection is new, or its health has changed.
        seen: called with (cluster id, way, kind, before, after) when something watched has changed; with neither
            when a first list is complete.
        clock: of this process.
        random: for jitter.
        connect: opens a session with credentials, in a role, at one of several addresses.
        trust: how a cluster's certificate is verified, by its id and the CA in its credentials.
        endpoints: where else a cluster's API server is said to be, by its id.
    """

    def __init__(
        self,
        *,
        us: Callable[[], Ourselves],
        check: AddressCheck,
        changed: Callable[[str, Way], None],
        seen: Callable[[str, Way, Kind, Wire | None, Wire | None], None],
        clock: Clock,
        random: Random,
        connect: Callable[[Credentials, Way, Callable[[], Sequence[str]], PeerTrust], Peer],
        trust: Callable[[str, str], PeerTrust],
        endpoints: Callable[[str], Sequence[str]],
    ) -> None:
        self._us = us
        self._check = check
        self._changed = changed
        self._seen = seen
        self._clock = clock
        self._random = random
        self._open = connect
        self._trust = trust
        self._endpoints = endpoints
        self._connections: dict[tuple[str, Way], _Connection] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def use(self, cluster_id: str, way: Way, sealed: str) -> str:
        """Make these credentials the current ones; return their digest. One that is not trusted has no connection."""
        mark = digest(sealed)
        current = self._connections.get((cluster_id, way))
        if current is not None and current.sealed_digest == mark:
            try:
                trust = self._trust(cluster_id, current.credentials.ca_pem)
            except NotTrusted:
                self.drop(cluster_id, way)
                raise
            if current.trust_mark == trust.mark:
                return mark
        us = self._us()
        credentials = unseal(sealed, us.identity, issuer=cluster_id, audience=us.cluster_id)
        check_literal(credentials.server, self._check)
        self.drop(cluster_id, way)
        self._connections[cluster_id, way] = self._connect(cluster_id, way, mark, credentials)
        self._changed(cluster_id, way)
        return mark

    def _connect(self, cluster_id: str, way: Way, mark: str, credentials: Credentials) -> _Connection:
        tally = Tally(expires=token_expiry(credentials.token), made=self._clock.now())
        own = credentials.server

        def addresses() -> list[str]:
            return list(dict.fromkeys([own, *self._endpoints(cluster_id)]))

        trust = self._trust(cluster_id, credentials.ca_pem)
        http = self._open(credentials, way, addresses, trust)

        def take(sign: Callable[[datetime], bool]) -> None:
            before = tally.state
            if sign(self._clock.now()):
                self._changed(cluster_id, way)
            if tally.state is before:
                return
            if tally.state is Health.READY:
                watches.retell()  # while it was away nobody could act on that
            elif tally.state is Health.AWAY:
                # Or who waits for an answer holds up what has to be said at home.
                self._begin(tracked.give_up())

        tracked = TrackedCluster(
            http, lambda fault: take(partial(tally.note, fault)), lambda: take(tally.alive)
        )
        watches = Watches(
            tracked,
            lambda kind, old, new: self._seen(cluster_id, way, kind, old, new),
            clock=self._clock,
            random=self._random,
            most=OBJECTS_MAX,
            name=cluster_id,
        )
        return _Connection(
            sealed_digest=mark,
            trust_mark=trust.mark,
            credentials=credentials,
            http=http,
            tracked=tracked,
            tally=tally,
            watches=watches,
        )

    def get(self, cluster_id: str, way: Way) -> Session | None:
        """Return the connection as it stands."""
        found = self._connections.get((cluster_id, way))
        if found is None:
            return None
        tally = found.tally
        return Session(
            cluster=found.tracked,
            namespace=found.credentials.namespace,
            server=found.http.server,
            health=tally.health(self._clock.now()),
            since=tally.since,
            heard=tally.heard,
            failures=tally.failures,
            message=tally.message,
            reason=tally.reason,
            expires=tally.expires,
        )

    def drop(self, cluster_id: str, way: Way) -> None:
        """Close the connection and everything watched over it."""
        found = self._connections.pop((cluster_id, way), None)
        if found is not None:
            self._begin(self._close(found))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    @staticmethod
    async def _close(connection: _Connection) -> None:
        await connection.watches.close()
        await connection.http.close()

    def watched(self, cluster_id: str, way: Way, selection: Selection) -> Mapping[Key, Wire] | None:
        """Return what a watch over that connection has seen; None until its first list is complete."""
        found = self._connections.get((cluster_id, way))
        if found is None:
            return None
        return found.watches.view(selection)

    def note(self, cluster_id: str, way: Way, selection: Selection, obj: Wire) -> None:
        """Take the answer to a write of ours into what a watch has seen."""
        found = self._connections.get((cluster_id, way))
        if found is not None:
            found.watches.note(selection, obj)

    def unwatch(self, cluster_id: str, way: Way, selection: Selection) -> None:
        """End a watch; without one nothing happens."""
        found = self._connections.get((cluster_id, way))
        if found is not None:
            found.watches.end(selection)

    async def probe(self, cluster_id: str, way: Way, path: str) -> Session | None:
        """Ask for `path` once; what the answer means is in the connection's health."""
        found = self._connections.get((cluster_id, way))
        if found is not None:
            with suppress(Fault):
                await found.tracked.fetch(path, within=PROBE_WITHIN)
        return self.get(cluster_id, way)

    async def stream(self, cluster_id: str, way: Way) -> Stream:
        """Return a connection of its own to that cluster, at the address in use before any other.

        Raises:
            NotTrusted: it does not prove what it should.
            Unreachable: it does not answer, or there is no way to it.
        """
        found = self._connections.get((cluster_id, way))
        if found is None:
            raise Unreachable("there is no connection to that cluster")
        credentials = found.credentials
        trust = self._trust(cluster_id, credentials.ca_pem)
        servers = dict.fromkeys([found.http.server, credentials.server, *self._endpoints(cluster_id)])
        name = trust.name or urlsplit(credentials.server).hostname
        return await open_stream(list(servers), name, trust, credentials.token, self._check)

    async def close(self) -> None:
        """Close all connections."""
        for cluster_id, way in list(self._connections):
            self.drop(cluster_id, way)
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSE_WITHIN.total_seconds())
