"""Watches of one cluster that come and go while the process runs."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from liqo.adapters.prune import PRUNES
from liqo.api.meta import Key, Kind, Wire
from liqo.errors import Fault, Malformed
from liqo.runtime.ports import Clock, Cluster, Random, Selection
from liqo.runtime.store import Store
from liqo.runtime.watch import MAX_OBJECTS, reflect

LOOK_AGAIN_WITHIN = timedelta(seconds=10)  # after a partition, or a restart over there

log = structlog.get_logger()

Told = Callable[[Kind, Wire | None, Wire | None], None]
"""Called with the kind, the object before and after; with neither when a first list is complete."""


@dataclass(slots=True)
class _Watch:
    store: Store
    tasks: Sequence[asyncio.Task[None]]


class Watches:
    """Implements `runtime.ports.Views`.

    Args:
        cluster: which is watched.
        told: hears of every change.
        clock: waits after failures.
        random: for jitter.
        most: how many objects all watches together may hold.
        name: of the cluster, for logs.
    """

    def __init__(
        self,
        cluster: Cluster,
        told: Told,
        *,
        clock: Clock,
        random: Random,
        most: int = MAX_OBJECTS,
        name: str = "",
    ) -> None:
        self._cluster = cluster
        self._told = told
        self._clock = clock
        self._random = random
        self._most = most
        self._name = name
        self._watches: dict[Selection, _Watch] = {}
        self._ending: set[asyncio.Future[object]] = set()

    def view(self, selection: Selection) -> Mapping[Key, Wire] | None:
        """Return what a watch has seen, begun by the first call; None until its first list is complete."""
        watch = self._watches.get(selection)
        if watch is None:
            watch = self._watches[selection] = self._begin(selection)
        return watch.store.mapping if watch.store.synced else None

    def note(self, selection: Selection, obj: Wire) -> None:
        """Take the answer to a write of ours into what a watch has seen; without one nothing happens."""
        watch = self._watches.get(selection)
        if watch is not None:
            watch.store.note(obj)

    def end(self, selection: Selection) -> None:
        """End a watch; without one nothing happens."""
        watch = self._watches.pop(selection, None)
        if watch is not None:
            ending = asyncio.ensure_future(_cancel(watch.tasks))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    def retell(self) -> None:
        """Tell of all that is watched, as if it had changed."""
        for selection, watch in self._watches.items():
            for obj in watch.store.values():
                self._told(selection.kind, obj, obj)

    async def close(self) -> None:
        """End all watches."""
        watches, self._watches = self._watches, {}
        await asyncio.gather(
            _cancel([task for watch in watches.values() for task in watch.tasks]), *self._ending
        )

    def _begin(self, selection: Selection) -> _Watch:
        kind = selection.kind
        store = Store(prune=PRUNES.get(kind))
        store.subscribe(lambda _key, old, new: self._told(kind, old, new))
        watching = reflect(
            self._cluster,
            selection,
            store,
            clock=self._clock,
            random=self._random,
            cap=LOOK_AGAIN_WITHIN,
            on_fault=partial(self._warn, selection),
            room=partial(self._room, store),
        )
        return _Watch(
            store, [asyncio.create_task(watching), asyncio.create_task(self._announce(store, kind))]
        )

    def _room(self, store: Store) -> int:
        """Return how many objects a store may hold beside all the others."""
        return self._most - sum(len(w.store) for w in self._watches.values() if w.store is not store)

    def _warn(self, selection: Selection, fault: Fault) -> None:
        """Say of a cluster that it tells what makes no sense; that it does not answer, its health says."""
        if isinstance(fault, Malformed):
            log.warning(
                "cannot watch",
                cluster=self._name,
                resource=selection.kind.plural,
                namespace=selection.namespace,
                reason=fault.reason,
                fault=fault.message,
            )

    async def _announce(self, store: Store, kind: Kind) -> None:
        """Say once that a first list is complete, which an empty one would not do by itself."""
        await store.wait_synced()
        self._told(kind, None, None)


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> object:
    for task in tasks:
        task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)
