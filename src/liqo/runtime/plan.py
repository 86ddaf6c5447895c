"""What a decision wants done, as data, and the one place that does it."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import orjson

from liqo.api.meta import Key, Kind, Wire
from liqo.errors import Conflict
from liqo.runtime.ports import Cluster, Events

OWNED_METADATA = frozenset({"labels", "annotations", "finalizers", "ownerReferences"})
"""The metadata that an apply can own; the API server leaves the rest out of managedFields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """Declare an object, or with `subresource` a part of it, by server-side apply.

    Args:
        kind: of the object.
        obj: all that this manager owns and nothing else; with metadata.uid it never creates.
        seen: the object as a store has it; a request is sent only if something would change.
        subresource: "status", or "" for the rest.
    """

    kind: Kind
    obj: Wire
    seen: Wire | None = None
    subresource: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """POST an object that is written once; one that exists already is left as it is."""

    kind: Kind
    obj: Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """Merge-patch an object that must exist and be as it was seen."""

    kind: Kind
    key: Key
    patch: Wire
    subresource: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Delete that very object (by uid), as it was seen if there is a `version`; absent is done."""

    kind: Kind
    key: Key
    uid: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Tell people."""

    about: Wire
    kind: Kind
    reason: str
    message: str
    warning: bool = False


Action = Apply | Create | Patch | Delete | Event


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps that one decision wants, in this order, and when to look again unasked."""

    actions: Sequence[Action] = ()
    wake: timedelta | None = None


Remember = Callable[[Kind, Wire], None]
"""Takes the answer to a write, so that a store need not wait for the watch (`store.remember`)."""


async def act(
    plan: Plan, cluster: Cluster, *, manager: str, events: Events, remember: Remember | None = None
) -> int:
    """Carry a plan out and return how many requests that took.

    Guarantees: the steps run in order, and one that fails ends it, so that a later one may count on an
    earlier one. Nothing is sent for an Apply that would change nothing. When the process dies half-way,
    the same decision on what was reached yields the rest.
    """
    writes = 0
    for action in plan.actions:
        answer: Wire | None = None
        match action:
            case Event(about=about, kind=kind, reason=reason, message=message, warning=warning):
                events.emit(about, kind, reason=reason, message=message, warning=warning)
                continue
            case Apply(kind=kind, obj=obj, seen=seen, subresource=subresource):
                if seen is not None and is_applied(obj, seen, manager, subresource):
                    continue
                answer = await cluster.apply(kind, obj, manager=manager, subresource=subresource)
            case Create(kind=kind, obj=obj):
                with suppress(Conflict):
                    answer = await cluster.create(kind, obj)
            case Patch(kind=kind, key=key, patch=patch, subresource=subresource):
                answer = await cluster.patch(kind, key, patch, manager=manager, subresource=subresource)
            case Delete(kind=kind, key=key, uid=uid, version=version):
                await cluster.delete(kind, key, uid=uid, version=version)
        if answer is not None and remember is not None:
            remember(action.kind, answer)
        writes += 1
    return writes


async def created_or_there(cluster: Cluster, kind: Kind, obj: Wire) -> Wire:
    """Create an object that is written once; return it, or the one that is there already."""
    try:
        return await cluster.create(kind, obj)
    except Conflict:
        return await cluster.get(kind, Key.of(obj))


async def create_once(cluster: Cluster, kind: Kind, obj: Wire) -> bool:
    """Create an object; return False if it was there already."""
    try:
        await cluster.create(kind, obj)
    except Conflict:
        return False
    return True


def is_applied(wanted: Wire, seen: Wire, manager: str, subresource: str = "") -> bool:
    """Return whether applying `wanted` as `manager` would change nothing in `seen`.

    `seen` tells in metadata.managedFields which fields the manager owns (FieldsV1, as
    structured-merge-diff writes it): it is applied when those are the fields of `wanted`, no more and no
    fewer, with equal values. Errs on the side of False, which costs a request that changes nothing.

    An empty list that is not among the owned fields is taken for an associative one, of which an apply
    leaves no trace; a manager that owns nothing has no entry.
    """
    uid = wanted["metadata"].get("uid")
    if uid and uid != seen["metadata"].get("uid"):
        return False
    version = wanted.get("apiVersion")
    for entry in seen["metadata"].get("managedFields") or ():
        if (
            entry.get("manager") == manager
            and entry.get("operation") == "Apply"
            and entry.get("subresource", "") == subresource
            and version in {None, entry.get("apiVersion")}
        ):
            fields = entry.get("fieldsV1") or {}
            break
    else:
        fields = {}
    if subresource:  # the API server ignores the rest
        part = {k: v for k, v in wanted.items() if k == subresource}
        if not fields and not part.get(subresource):
            return True  # it wants to own nothing, and owns nothing
        return _equal_map(part, seen, fields)
    body = {k: v for k, v in wanted.items() if k not in {"apiVersion", "kind", "metadata"}}
    metadata = {k: v for k, v in wanted["metadata"].items() if k in OWNED_METADATA}
    owned = {k: v for k, v in fields.items() if k != "f:metadata"}
    return _equal_map(body, seen, owned) and _equal_map(
        metadata, seen["metadata"], fields.get("f:metadata") or {}
    )


def _equal(wanted: object, seen: object, owned: Wire) -> bool:
    """Compare along the tree of owned fields, of which an empty one is a leaf: compared as a whole."""
    if isinstance(wanted, dict) and isinstance(seen, dict) and any(k.startswith("f:") for k in owned):
        return _equal_map(wanted, seen, owned)
    if isinstance(wanted, list) and isinstance(seen, list) and owned:
        return _equal_list(wanted, seen, owned)
    # We may own an empty map into which others write.
    return wanted == seen or (wanted == {} and isinstance(seen, dict))


def _equal_map(wanted: Wire, seen: Wire, owned: Wire) -> bool:
    """Compare a map or struct by the fields that are owned."""
    names = {k[2:] for k in owned if k.startswith("f:")}
    if names != {k for k, v in wanted.items() if k in names or not _is_traceless(v)}:
        return False
    # Owned but not there is a zero value that the API server leaves out (Go's omitempty).
    return all(_equal(wanted[k], seen[k], owned[f"f:{k}"]) if k in seen else not wanted[k] for k in names)


def _is_traceless(wanted: object) -> bool:
    """Return whether applying this leaves nothing owned: an empty list, and a struct of nothing else."""
    if isinstance(wanted, dict):
        return bool(wanted) and all(_is_traceless(v) for v in wanted.values())
    return wanted == []


def _equal_list(wanted: list[object], seen: list[object], owned: Wire) -> bool:
    """Compare a set ("v:…") by its values, a list-map ("k:{…}") by the items that are owned."""
    values = [orjson.loads(k[2:]) for k in owned if k.startswith("v:")]
    keyed = {k: v for k, v in owned.items() if k.startswith("k:")}
    if len(values) + len(keyed) != len(wanted) or any(v not in wanted or v not in seen for v in values):
        return False
    for item_key, fields in keyed.items():
        identity = orjson.loads(item_key[2:])
        mine, theirs = _find(wanted, identity), _find(seen, identity)
        if mine is None or theirs is None or not _equal(mine, theirs, fields):
            return False
    return True


def _find(items: list[object], identity: Wire) -> object | None:
    """Return the item of a list-map with that key, of which defaults may have been left out."""
    return next(
        (i for i in items if isinstance(i, dict) and all(i.get(k, v) == v for k, v in identity.items())),
        None,
    )
