"""An API server in memory, good enough for our loops; `contract/test_cluster.py` holds it to the real one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from liqo.api.meta import Key, Kind, Wire, format_time
from liqo.errors import Absent, Conflict, Expired, Fault, Invalid
from liqo.runtime.plan import OWNED_METADATA
from liqo.runtime.ports import Page, Selection

LIST_KEYS = {"conditions": ("type",), "sources": ("name",), "ownerReferences": ("uid",)}
SETS = {"finalizers"}
STATUS_IS_PLAIN = {"configmaps", "secrets", "leases", "events", "roles", "rolebindings"}  # no subresource
STATUS_AT_CREATE = {"nodes"}

Path = tuple[str, ...]
Leaves = dict[Path, Any]


def copy(obj: Wire) -> Wire:
    """Return a deep copy, as the wire makes one."""
    copied: Wire = orjson.loads(orjson.dumps(obj))
    return copied


@dataclass(slots=True)
class Owner:
    """What one manager owns of one object."""

    manager: str
    operation: str
    subresource: str
    leaves: set[Path]


@dataclass(slots=True)
class Stored:
    """One object."""

    kind: Kind
    obj: Wire
    owners: Sequence[Owner] = field(default_factory=list)


@dataclass(slots=True)
class MemoryCluster:
    """Implements `runtime.ports.Cluster`.

    Attributes:
        fail: called with the verb and kind before each request; what it returns is raised.
        calls: the verb, kind and key of each request.
        answers: of `post`, by the path's last segment.
    """

    now: Callable[[], datetime] = lambda: datetime(2026, 1, 1, tzinfo=UTC)
    fail: Callable[[str, Kind], Fault | None] = lambda _verb, _kind: None
    calls: list[tuple[str, Kind | None, Key | None]] = field(default_factory=list)
    answers: dict[str, Callable[[str, Wire], Wire]] = field(default_factory=dict)
    revision: int = 100
    oldest: int = 0  # watches from before are Expired
    _objects: dict[tuple[str, Key], Stored] = field(default_factory=dict)
    _log: list[tuple[int, Kind, str, Wire]] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _epoch: int = 0

    # For tests.

    def objects(self, kind: Kind) -> list[Wire]:
        """Return all objects of a kind."""
        return [copy(s.obj) for (resource, _), s in self._objects.items() if resource == kind.resource]

    def seen(self, kind: Kind, name: str, namespace: str = "") -> Wire | None:
        """Return one object."""
        stored = self._objects.get((kind.resource, Key(namespace, name)))
        return copy(stored.obj) if stored else None

    def end_watches(self) -> None:
        """End all watches, as a restart of the API server does."""
        self._epoch += 1
        self._wake()

    def compact(self) -> None:
        """Forget all that was, so that a watch can only go on from now."""
        self.oldest = self.revision

    def writes(self) -> int:
        """Return how many requests that write there were."""
        return sum(verb in {"create", "apply", "patch", "delete"} for verb, _, _ in self.calls)

    # The port.

    async def get(self, kind: Kind, key: Key) -> Wire:
        self._called("get", kind, key)
        return copy(self._find(kind, key).obj)

    async def list(self, selection: Selection, *, limit: int = 500, continue_token: str = "") -> Page:
        self._called("list", selection.kind, None)
        version, after = continue_token.split("/", 1) if continue_token else (str(self.revision), "")
        if int(version) < self.oldest:
            raise Expired("the continue token is too old")
        found = sorted((str(Key.of(o)), o) for o in self.objects(selection.kind) if selects(selection, o))
        rest = [(name, o) for name, o in found if name > after]
        token = f"{version}/{rest[limit - 1][0]}" if len(rest) > limit else ""
        return Page([o for _, o in rest[:limit]], version, token)

    async def watch(self, selection: Selection, resource_version: str) -> AsyncIterator[Wire]:
        self._called("watch", selection.kind, None)
        version, epoch = int(resource_version), self._epoch
        if version < self.oldest:
            raise Expired("too old resource version")
        while epoch == self._epoch:
            news = self._news
            for revision, kind, event, obj in tuple(self._log):
                if revision > version and kind == selection.kind and selects(selection, obj):
                    version = revision
                    yield {"type": event, "object": copy(obj)}
            if news is self._news:
                await news.wait()

    async def create(self, kind: Kind, obj: Wire) -> Wire:
        key = Key.of(obj)
        self._called("create", kind, key)
        if (kind.resource, key) in self._objects:
            raise Conflict(f"{kind.plural} {key} already exists")
        if kind.namespaced != bool(key.namespace) or key.name != key.name.lower():
            raise Invalid(f"{kind.plural} {key}: name or namespace")
        made = self._new(kind, obj)
        if kind.plural not in STATUS_IS_PLAIN | STATUS_AT_CREATE:
            made.pop("status", None)
        if kind.plural == "pods":
            made["status"] = {"phase": "Pending"}
        owner = Owner("liqo", "Update", "", set(flatten(owned_part(kind, made, ""))))
        return self._store(kind, Stored(kind, made, [owner]), "ADDED")

    async def apply(self, kind: Kind, obj: Wire, *, manager: str, subresource: str = "") -> Wire:
        key, uid = Key.of(obj), obj["metadata"].get("uid")
        self._called("apply", kind, key)
        stored = self._objects.get((kind.resource, key))
        if stored is None:
            if subresource:
                raise Absent(f"{kind.plural} {key} not found")
            if uid:
                raise Conflict("uid mismatch, and no existing object was found")
            stored, event = Stored(kind, self._new(kind, {"metadata": obj["metadata"]}, bare=True)), "ADDED"
        else:
            self._check(stored, obj["metadata"])
            event = "MODIFIED"
        wanted = flatten(owned_part(kind, obj, subresource))
        after = flatten(own_fields(stored.obj))
        identity = (manager, "Apply", subresource)
        mine = next((o for o in stored.owners if (o.manager, o.operation, o.subresource) == identity), None)
        owners = [o for o in stored.owners if o is not mine]
        if mine is not None and kind.group.endswith("liqo.io"):
            _check_emptied(mine.leaves, wanted, set().union(*(o.leaves for o in owners)))
        for path in (mine.leaves if mine else set()) - set(wanted) - set().union(*(o.leaves for o in owners)):
            after.pop(path, None)
        parts = unflatten(after | wanted)
        meta = {k: v for k, v in stored.obj["metadata"].items() if k not in OWNED_METADATA}
        fresh = {"apiVersion": kind.api_version, "kind": kind.kind, **parts}
        fresh["metadata"] = meta | parts.get("metadata", {})
        return self._replace(stored, fresh, [*owners, Owner(*identity, set(wanted))], event)

    async def patch(
        self, kind: Kind, key: Key, patch: Wire, *, manager: str = "", subresource: str = ""
    ) -> Wire:
        self._called("patch", kind, key)
        stored = self._find(kind, key)
        self._check(stored, patch.get("metadata", {}))
        part = {
            k: v
            for k, v in patch.items()
            if (k == subresource if subresource else k != "status" or kind.plural in STATUS_IS_PLAIN)
        }
        fresh = merge(copy(stored.obj), copy(part))
        fresh["metadata"]["resourceVersion"] = stored.obj["metadata"]["resourceVersion"]
        before, after = flatten(own_fields(stored.obj)), flatten(own_fields(fresh))
        changed = {p for p in after if before.get(p, ...) != after[p]}
        owners = (
            [*stored.owners, Owner(manager or "liqo", "Update", subresource, changed)]
            if changed
            else stored.owners
        )
        return self._replace(stored, fresh, owners, "MODIFIED")

    async def delete(
        self, kind: Kind, key: Key, *, uid: str = "", version: str = "", grace: int | None = None
    ) -> None:
        self._called("delete", kind, key)
        stored = self._objects.get((kind.resource, key))
        if stored is None:
            return
        wanted = {"uid": uid, "resourceVersion": version}
        self._check(stored, {k: v for k, v in wanted.items() if v})
        running = kind.plural == "pods" and grace != 0 and stored.obj.get("spec", {}).get("nodeName")
        if stored.obj["metadata"].get("finalizers") or running:
            fresh = copy(stored.obj)
            fresh["metadata"].setdefault("deletionTimestamp", format_time(self.now()))
            self._replace(stored, fresh, stored.owners, "MODIFIED")
        else:
            self._remove(stored)

    async def post(self, path: str, body: Wire) -> Wire:
        self.calls.append(("post", None, None))
        answer = self.answers.get(path.rsplit("/", 1)[-1])
        if answer is None:
            raise Absent(f"{path} not found")
        return answer(path, body)

    # Inside.

    def _called(self, verb: str, kind: Kind, key: Key | None) -> None:
        self.calls.append((verb, kind, key))
        fault = self.fail(verb, kind)
        if fault is not None:
            raise fault

    def _find(self, kind: Kind, key: Key) -> Stored:
        try:
            return self._objects[kind.resource, key]
        except KeyError:
            raise Absent(f"{kind.plural} {key} not found") from None

    def _check(self, stored: Stored, metadata: Wire) -> None:
        for name in ("uid", "resourceVersion"):
            if metadata.get(name) and metadata[name] != stored.obj["metadata"][name]:
                raise Conflict(f"{stored.kind.plural} {Key.of(stored.obj)}: {name} is another")

    def _new(self, kind: Kind, obj: Wire, *, bare: bool = False) -> Wire:
        made = copy({"apiVersion": kind.api_version, "kind": kind.kind, **obj})
        keep = {"name", "namespace"} | (set() if bare else OWNED_METADATA)
        made["metadata"] = {k: v for k, v in made["metadata"].items() if k in keep}
        uid = f"uid-{self.revision + 1}"
        made["metadata"] |= {"uid": uid, "generation": 1, "creationTimestamp": format_time(self.now())}
        return made

    def _replace(self, stored: Stored, fresh: Wire, owners: Sequence[Owner], event: str) -> Wire:
        """Store an object if it changed, and take from owners what was changed under them."""
        before, after = flatten(own_fields(stored.obj)), flatten(own_fields(fresh))
        for owner in owners:
            last = owner is owners[-1]
            owner.leaves = {p for p in owner.leaves if p in after and (last or before.get(p) == after[p])}
        if fresh.get("spec") != stored.obj.get("spec") and event == "MODIFIED":
            fresh["metadata"]["generation"] = stored.obj["metadata"]["generation"] + 1
        changed = Stored(stored.kind, fresh, [o for o in owners if o.leaves])
        done = fresh["metadata"].get("deletionTimestamp") and not fresh["metadata"].get("finalizers")
        if done and stored.kind.plural != "pods":
            self._objects[stored.kind.resource, Key.of(fresh)] = changed
            self._remove(changed)
            return copy(fresh)
        fresh["metadata"]["managedFields"] = self._managed(changed)
        return copy(fresh) if fresh == stored.obj else self._store(stored.kind, changed, event)

    def _managed(self, stored: Stored) -> Sequence[Wire]:
        return [
            {
                "manager": o.manager,
                "operation": o.operation,
                "apiVersion": stored.kind.api_version,
                "fieldsType": "FieldsV1",
                "fieldsV1": fields_v1(o.leaves),
                **({"subresource": o.subresource} if o.subresource else {}),
            }
            for o in sorted(stored.owners, key=lambda o: (o.manager, o.operation, o.subresource))
        ]

    def _store(self, kind: Kind, stored: Stored, event: str) -> Wire:
        self.revision += 1
        stored.obj["metadata"]["managedFields"] = self._managed(stored)
        stored.obj["metadata"]["resourceVersion"] = str(self.revision)
        self._objects[kind.resource, Key.of(stored.obj)] = stored
        self._log.append((self.revision, kind, event, copy(stored.obj)))
        self._wake()
        return copy(stored.obj)

    def _remove(self, stored: Stored) -> None:
        self.revision += 1
        last = copy(stored.obj)
        last["metadata"]["resourceVersion"] = str(self.revision)
        del self._objects[stored.kind.resource, Key.of(last)]
        self._log.append((self.revision, stored.kind, "DELETED", last))
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def selects(selection: Selection, obj: Wire) -> bool:
    """Return whether an object is selected; label selectors are lists of key or key=value."""
    key, labels = Key.of(obj), obj["metadata"].get("labels") or {}
    return (
        selection.namespace in {"", key.namespace}
        and selection.name in {"", key.name}
        and all(
            labels.get(k) == v if eq else k in labels
            for k, eq, v in (part.partition("=") for part in selection.labels.split(",") if part)
        )
    )


def merge(target: Any, patch: Any) -> Any:
    """Apply a merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    found = target if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merge(found.get(name), value)
    return found


def own_fields(obj: Wire) -> Wire:
    """Return all that can be owned."""
    found = {k: v for k, v in obj.items() if k not in {"apiVersion", "kind", "metadata"}}
    metadata = {k: v for k, v in obj["metadata"].items() if k in OWNED_METADATA}
    return found | ({"metadata": metadata} if metadata else {})


def owned_part(kind: Kind, obj: Wire, subresource: str) -> Wire:
    """Return what a write of a subresource, or of the rest, can own."""
    fields = own_fields(obj)
    if subresource:
        return {k: v for k, v in fields.items() if k == subresource}
    return {k: v for k, v in fields.items() if k != "status" or kind.plural in STATUS_IS_PLAIN}


def _check_emptied(before: set[Path], wanted: Leaves, others: set[Path]) -> None:
    """Refuse an apply of a custom kind that empties a map: what an API server makes of it is null, and no map."""
    for path in (path for path, value in wanted.items() if value == {}):
        below = {leaf for leaf in before | others if leaf[: len(path)] == path != leaf}
        if below and not below & others:
            where = ".".join(part[2:] for part in path)
            raise Invalid(f'{where}: Invalid value: "null": must be of type object')


def flatten(value: Any, name: str = "", path: Path = ()) -> Leaves:
    """Return the leaves of a value by their path, as managedFields spells it."""
    found: Leaves = {}
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= flatten(inner, key, (*path, f"f:{key}"))
        return found if value or not path else {path: {}}
    if isinstance(value, list) and name in SETS:
        return {(*path, f"v:{orjson.dumps(v).decode()}"): v for v in value}
    if isinstance(value, list) and name in LIST_KEYS:
        for item in value:
            key = orjson.dumps({k: item[k] for k in LIST_KEYS[name]}).decode()
            found |= {(*path, f"k:{key}", "."): None} | flatten(item, "", (*path, f"k:{key}"))
        return found
    return {path: value}


def unflatten(leaves: Leaves) -> Wire:
    """Return the value that has these leaves."""
    tree: dict[str, Any] = {}
    for path, value in leaves.items():
        if path[-1] == ".":
            continue
        at = tree
        for part in path[:-1]:
            at = at.setdefault(part, {})
        if value == {}:
            at.setdefault(path[-1], {})
        else:
            at[path[-1]] = Leaf(value)
    return _build(tree) if tree else {}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value that is not looked into."""

    value: Any


def _build(tree: Any) -> Any:
    if isinstance(tree, Leaf):
        return orjson.loads(orjson.dumps(tree.value))
    if any(k[:2] in {"k:", "v:"} for k in tree):
        return [_build(v) for v in tree.values()]
    return {k[2:]: _build(v) for k, v in tree.items()}


def fields_v1(leaves: set[Path]) -> Wire:
    """Return FieldsV1 of paths."""
    tree: Wire = {}
    for path in sorted(leaves):
        at = tree
        for part in path:
            at = at.setdefault(part, {})
    return tree
