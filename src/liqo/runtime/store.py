"""What a watch has seen, by key and by index.

A reflector (watch.py) writes a store; everybody else reads it. Objects in it are shared and must not be
changed.

How our own writes are read back: the answer to a write is handed to `note`, so that the next decision does
not look at the state before it. An API server tells the changes of one resource in the order of their
resourceVersions, which are integers that grow (KEP-5504; true of etcd since ever). So what `note` is given
counts only if it is newer than all that the watch has told, and later news counts only if it is newer than
what was noted. An answer that comes late, after the watch has told of the object's deletion, is
thereby dropped and cannot bring it back.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from liqo.api.meta import Key, Kind, Wire
from liqo.runtime.ports import Selection

Listener = Callable[[Key, Wire | None, Wire | None], None]
"""Called with the object before and after; None where there was or is none."""

Index = Callable[[Wire], Iterable[str]]
"""Returns the values under which an object is found."""


def parse_version(text: object) -> int | None:
    """Return a resourceVersion as a number, None if it is none."""
    return int(text) if isinstance(text, str) and text.isascii() and text.isdecimal() else None


class Store:
    """The objects of one selection as last heard of.

    Args:
        selection: what the watch is about, so that a noted object which is not part of it stays out; the
            reflector sets it.
        indexes: by name, the function that returns an object's values.
        prune: cuts an object down before it is kept; must keep metadata.name, namespace, uid and
            resourceVersion.
    """

    def __init__(
        self,
        selection: Selection | None = None,
        *,
        indexes: Mapping[str, Index] | None = None,
        prune: Callable[[Wire], Wire] | None = None,
    ) -> None:
        self.selection = selection
        self._objects: dict[Key, Wire] = {}
        self._indexes = dict(indexes or {})
        self._found: dict[str, dict[str, dict[Key, Wire]]] = {name: {} for name in self._indexes}
        self._prune = prune
        self._listeners: list[Listener] = []
        self._synced = asyncio.Event()
        self._heard: int | None = None  # the newest version that the watch has told of

    # What everybody may do.

    def get(self, key: Key) -> Wire | None:
        """Return the object, None if there is none."""
        return self._objects.get(key)

    def values(self) -> Sequence[Wire]:
        """Return all objects, in no order."""
        return list(self._objects.values())

    def by(self, index: str, value: str) -> list[Wire]:
        """Return the objects that an index finds under a value."""
        return list(self._found[index].get(value, {}).values())

    @property
    def mapping(self) -> Mapping[Key, Wire]:
        """A live view of all objects."""
        return MappingProxyType(self._objects)

    def __len__(self) -> int:
        return len(self._objects)

    def __contains__(self, key: Key) -> bool:
        return key in self._objects

    @property
    def synced(self) -> bool:
        """Whether a first list is complete."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Return when a first list is complete."""
        await self._synced.wait()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have every real change told, at once and in order; return what ends that.

        A listener must not raise and must not change the store.
        """
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def note(self, obj: Wire) -> bool:
        """Take the answer to a write of ours, if it is news; return whether it was."""
        version = parse_version(obj["metadata"].get("resourceVersion"))
        if version is None or self._heard is None or version <= self._heard or not self._selects(obj):
            return False
        return self._put(obj, version)

    # What the reflector does.

    def replace(self, objects: Iterable[Wire], version: str) -> None:
        """Take a complete list: what is not in it is gone, but for what was noted since."""
        listed = parse_version(version)
        if listed is not None and self._heard is not None and listed < self._heard:
            listed = None  # time went back: restored from a backup, so nothing that we know is newer
            self._heard = None
        present = {Key.of(obj): obj for obj in objects}
        for key in [k for k in self._objects if k not in present]:
            if listed is None or not self._is_newer(key, listed):
                self._remove(key)
        for key, obj in present.items():
            known = parse_version(obj["metadata"].get("resourceVersion"))
            if listed is None or not self._is_newer(key, known):
                self._put(obj, None)
        self._hear(version)
        self._synced.set()

    def put(self, obj: Wire) -> None:
        """Take an object that was added or changed."""
        version = obj["metadata"].get("resourceVersion")
        self._put(obj, parse_version(version))
        self._hear(version)

    def remove(self, obj: Wire) -> None:
        """Forget an object that was deleted; `obj` is its last state, with the deletion's version."""
        key, version = Key.of(obj), obj["metadata"].get("resourceVersion")
        if not self._is_newer(key, parse_version(version)):
            self._remove(key)
        self._hear(version)

    def progress(self, version: str) -> None:
        """Take a bookmark: all up to that version has been told."""
        self._hear(version)

    # Inside.

    def _hear(self, version: object) -> None:
        number = parse_version(version)
        if number is not None and (self._heard is None or number > self._heard):
            self._heard = number

    def _selects(self, obj: Wire) -> bool:
        """Return whether a noted object is ours to keep; by labels and fields we cannot tell unless it is known."""
        chosen, key = self.selection, Key.of(obj)
        if chosen is None:
            return True
        return (
            (not chosen.namespace or chosen.namespace == key.namespace)
            and (not chosen.name or chosen.name == key.name)
            and (not (chosen.labels or chosen.fields) or key in self._objects)
        )

    def _is_newer(self, key: Key, version: int | None) -> bool:
        """Return whether what we have is newer than that version."""
        known = self._objects.get(key)
        if known is None or version is None:
            return False
        have = parse_version(known["metadata"].get("resourceVersion"))
        return have is not None and have > version

    def _put(self, obj: Wire, version: int | None) -> bool:
        """Keep an object unless we have a newer one; return whether that changed anything."""
        key = Key.of(obj)
        old = self._objects.get(key)
        if old is not None:
            if old["metadata"].get("resourceVersion") == obj["metadata"].get("resourceVersion"):
                return False
            if self._is_newer(key, version):
                return False
        new = self._prune(obj) if self._prune is not None else obj
        self._objects[key] = new
        self._reindex(key, old, new)
        self._tell(key, old, new)
        return True

    def _remove(self, key: Key) -> None:
        old = self._objects.pop(key, None)
        if old is not None:
            self._reindex(key, old, None)
            self._tell(key, old, None)

    def _reindex(self, key: Key, old: Wire | None, new: Wire | None) -> None:
        for name, index in self._indexes.items():
            found = self._found[name]
            for value in index(old) if old is not None else ():
                entries = found.get(value, {})
                entries.pop(key, None)
                if not entries:
                    found.pop(value, None)
            for value in index(new) if new is not None else ():
                found.setdefault(value, {})[key] = new  # type: ignore[assignment]

    def _tell(self, key: Key, old: Wire | None, new: Wire | None) -> None:
        for listener in tuple(self._listeners):
            listener(key, old, new)


def remember(stores: Mapping[Kind, Sequence[Store]]) -> Callable[[Kind, Wire], None]:
    """Return what hands the answer to a write to the stores of its kind (`plan.act`)."""

    def note(kind: Kind, obj: Wire) -> None:
        for store in stores.get(kind, ()):
            store.note(obj)

    return note


def prune_managed_fields(obj: Wire) -> Wire:
    """Drop metadata.managedFields, half of many an object; not for what `is_applied` has to judge."""
    metadata = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
    return {**obj, "metadata": metadata}
