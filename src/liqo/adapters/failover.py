"""One cluster behind several addresses: in order, over to the next when one dies, and back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from liqo.adapters.tracked import Peer
from liqo.api.meta import Key, Kind, Wire
from liqo.errors import Fault, NotTrusted, Unreachable
from liqo.runtime.ports import Clock, Page, Selection

BACK_AFTER = timedelta(seconds=30)  # how often an address before the one in use is tried again
DEAD = (Unreachable, NotTrusted)  # nobody there, or somebody else
ALIVE = "/version"  # what any API server answers, if only by saying no

T = TypeVar("T")
Open = Callable[[str], Peer]
"""URL → a session with the credentials of this peering; raises Fault for an address that we may not use."""


class FailoverCluster:
    """Implements `adapters.tracked.Peer` over the addresses of one cluster.

    A call that an address does not answer is made again at the next one; every write of ours is idempotent.
    The first that answers is used from then on, and the session with the dead one is closed, so that a watch
    over it ends too. Those before it are tried again every BACK_AFTER.

    Args:
        addresses: all of them, the best first; asked for each time, since finders add some and take some away.
        connect: opens a session with one.
        clock: when to go back.
        moved: told of the address in use when that changes.
    """

    def __init__(
        self,
        addresses: Callable[[], Sequence[str]],
        connect: Open,
        clock: Clock,
        moved: Callable[[str], None] = lambda _server: None,
    ) -> None:
        self._addresses, self._connect, self._clock, self._moved = addresses, connect, clock, moved
        self.server = addresses()[0]
        self._peer = connect(self.server)
        self._looked_back = clock.now()
        self._moving = asyncio.Lock()
        self._looking: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Close all connections."""
        for task in self._looking:
            task.cancel()
        await asyncio.gather(*self._looking, *self._closing, return_exceptions=True)
        await self._peer.close()

    async def give_up(self) -> None:
        """End all requests that are under way."""
        await self._peer.give_up()

    async def _call(self, call: Callable[[Peer], Awaitable[T]]) -> T:
        """Make a call where an answer comes from."""
        self._look_back()
        used = self._peer
        try:
            return await call(used)
        except DEAD as fault:
            first = fault
        async with self._moving:
            if used is self._peer:
                return await self._call_elsewhere(call, first)
        return await call(self._peer)  # another call has moved meanwhile

    async def _call_elsewhere(self, call: Callable[[Peer], Awaitable[T]], first: Fault) -> T:
        """Make a call at the other addresses in turn, and stay where it is answered."""
        for server in self._addresses():
            if server == self.server:
                continue
            try:
                peer = self._connect(server)
            except Fault:
                continue
            try:
                answer = await call(peer)
            except DEAD:
                await peer.close()
                continue
            except Fault:
                self._use(server, peer)  # it answered, if only to say no
                raise
            except BaseException:
                await peer.close()
                raise
            self._use(server, peer)
            return answer
        raise first

    def _use(self, server: str, peer: Peer) -> None:
        """Use another address from now on."""
        old, self._peer, self.server = self._peer, peer, server
        self._looked_back = self._clock.now()
        _begin(old.close(), self._closing)
        self._moved(server)

    def _look_back(self) -> None:
        """Try the addresses before the one in use, beside the calls and now and then."""
        now: datetime = self._clock.now()
        if now < self._looked_back + BACK_AFTER:
            return
        self._looked_back = now
        addresses = list(self._addresses())
        before = addresses[: addresses.index(self.server)] if self.server in addresses else addresses
        if before:
            _begin(self._go_back(before), self._looking)

    async def _go_back(self, before: Sequence[str]) -> None:
        for server in before:
            if self._moving.locked():
                return
            try:
                peer = self._connect(server)
            except Fault:
                continue
            try:
                await peer.fetch(ALIVE)
            except DEAD:
                await peer.close()
                continue
            except Fault:
                pass  # it answered
            except BaseException:
                await peer.close()
                raise
            self._use(server, peer)
            return

    # The verbs of the port.

    async def get(self, kind: Kind, key: Key) -> Wire:
        """Return one object."""
        return await self._call(lambda peer: peer.get(kind, key))

    async def fetch(self, path: str, *, within: timedelta | None = None) -> Wire:
        """Return what is at a path, if it comes within that time from one address."""
        return await self._call(lambda peer: peer.fetch(path, within=within))

    async def list(self, selection: Selection, *, limit: int = 500, continue_token: str = "") -> Page:
        """Return one page of the selected objects."""
        return await self._call(lambda peer: peer.list(selection, limit=limit, continue_token=continue_token))

    async def watch(self, selection: Selection, resource_version: str) -> AsyncIterator[Wire]:
        """Yield watch events from the address in use; its end is the stream's end."""
        async for event in self._peer.watch(selection, resource_version):
            yield event

    async def create(self, kind: Kind, obj: Wire) -> Wire:
        """POST; one that had arrived before its address died is a Conflict the second time."""
        return await self._call(lambda peer: peer.create(kind, obj))

    async def apply(self, kind: Kind, obj: Wire, *, manager: str, subresource: str = "") -> Wire:
        """Server-side apply."""
        return await self._call(lambda peer: peer.apply(kind, obj, manager=manager, subresource=subresource))

    async def patch(
        self, kind: Kind, key: Key, patch: Wire, *, manager: str = "", subresource: str = ""
    ) -> Wire:
        """Merge patch."""
        return await self._call(
            lambda peer: peer.patch(kind, key, patch, manager=manager, subresource=subresource)
        )

    async def delete(
        self, kind: Kind, key: Key, *, uid: str = "", version: str = "", grace: int | None = None
    ) -> None:
        """Delete."""
        return await self._call(lambda peer: peer.delete(kind, key, uid=uid, version=version, grace=grace))

    async def post(self, path: str, body: Wire) -> Wire:
        """POST to a path that is no object."""
        return await self._call(lambda peer: peer.post(path, body))


def _begin(work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
    task = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
