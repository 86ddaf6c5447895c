"""A Cluster that reports how each call ended."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from liqo.api.kinds import CONFIG_MAP, ENDPOINT_SLICE, EVENT, POD, POD_METRICS, SECRET, SERVICE
from liqo.api.meta import Key, Kind, Wire
from liqo.errors import Fault, Forbidden, Unreachable
from liqo.runtime.ports import Cluster, Page, Selection
from liqo.runtime.watch import SILENT

Note = Callable[[Fault | None], None]
"""Called with what a call raised, None if it was answered."""

WORKLOADS = frozenset({POD, CONFIG_MAP, SECRET, SERVICE, ENDPOINT_SLICE, EVENT})
"""What a home cluster writes and watches in its namespaces on foreign. Bounds there refuse single objects
with 403 too, so that one says nothing about our token; the probe does."""

T = TypeVar("T")


class Peer(Cluster, Protocol):
    """A Cluster that can be probed at any path, and closed."""

    server: str  # the URL in use

    async def fetch(self, path: str, *, within: timedelta | None = None) -> Wire:
        """Return what is at a path, if it comes within that time."""
        ...

    async def give_up(self) -> None:
        """End all requests that are under way: what of them has not arrived by now never does."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class TrackedCluster:
    """Implements `runtime.ports.Cluster` over another one."""

    def __init__(self, inner: Peer, note: Note, alive: Callable[[], None]) -> None:
        self._inner = inner
        self._note = note
        self._alive = alive  # called for each line of a watch
        self._under_way: set[asyncio.Timeout] = set()

    async def give_up(self) -> None:
        """End all calls that are under way; each raises Unreachable, which is not reported."""
        given_up, self._under_way = self._under_way, set()
        await self._inner.give_up()
        for limit in given_up:
            limit.reschedule(asyncio.get_running_loop().time())

    async def _tracked(self, call: Coroutine[Any, Any, T], kind: Kind | None = None) -> T:
        under_way = self._under_way
        try:
            async with asyncio.timeout(None) as limit:
                under_way.add(limit)
                try:
                    answer = await call
                finally:
                    under_way.discard(limit)
        except TimeoutError as exc:
            raise Unreachable("the other cluster fell silent, so that its answer is not waited for") from exc
        except Fault as fault:
            if under_way is self._under_way:
                self._tell(fault, kind)
            raise
        self._note(None)
        return answer

    def _tell(self, fault: Fault, kind: Kind | None) -> None:
        """Report a fault, unless it may be a refusal of one object, or in a namespace that is being deleted.

        What serves usage is another server behind the API server, which may be away alone.
        """
        if kind != POD_METRICS and not (isinstance(fault, Forbidden) and kind in WORKLOADS):
            self._note(fault)

    async def get(self, kind: Kind, key: Key) -> Wire:
        """Return one object."""
        return await self._tracked(self._inner.get(kind, key), kind)

    async def fetch(self, path: str, *, within: timedelta | None = None) -> Wire:
        """Return what is at a path, if it comes within that time."""
        return await self._tracked(self._inner.fetch(path, within=within))

    async def list(self, selection: Selection, *, limit: int = 500, continue_token: str = "") -> Page:
        """Return one page of the selected objects."""
        return await self._tracked(
            self._inner.list(selection, limit=limit, continue_token=continue_token), selection.kind
        )

    async def watch(self, selection: Selection, resource_version: str) -> AsyncIterator[Wire]:
        """Yield watch events; each one is a sign of life."""
        try:
            async for event in self._inner.watch(selection, resource_version):
                self._alive()
                yield event
        except Fault as fault:
            if fault.reason != SILENT:  # a watch without news is no sign that the cluster is away
                self._tell(fault, selection.kind)
            raise

    async def create(self, kind: Kind, obj: Wire) -> Wire:
        """POST."""
        return await self._tracked(self._inner.create(kind, obj), kind)

    async def apply(self, kind: Kind, obj: Wire, *, manager: str, subresource: str = "") -> Wire:
        """Server-side apply."""
        return await self._tracked(
            self._inner.apply(kind, obj, manager=manager, subresource=subresource), kind
        )

    async def patch(
        self, kind: Kind, key: Key, patch: Wire, *, manager: str = "", subresource: str = ""
    ) -> Wire:
        """Merge patch."""
        return await self._tracked(
            self._inner.patch(kind, key, patch, manager=manager, subresource=subresource), kind
        )

    async def delete(
        self, kind: Kind, key: Key, *, uid: str = "", version: str = "", grace: int | None = None
    ) -> None:
        """Delete."""
        return await self._tracked(self._inner.delete(kind, key, uid=uid, version=version, grace=grace), kind)

    async def post(self, path: str, body: Wire) -> Wire:
        """POST to a path that is no object."""
        return await self._tracked(self._inner.post(path, body))
