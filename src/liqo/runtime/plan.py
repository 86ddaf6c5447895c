"""What a decision wants done, as data, and the one place that does it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import orjson

from liqo.api.meta import Key, Kind, Wire
from liqo.errors import Conflict
from liqo.runtime.ports import Cluster, Events


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
    """Delete that very object (by uid); absent is done."""

    kind: Kind
    key: Key
    uid: str = ""


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


async def act(
    plan: Plan,
    cluster: Cluster,
    *,
    manager: str,
    events: Events,
    remember: Callable[[Kind, Wire], None] | None = None,
) -> int:
    """Carry a plan out and return how many requests that took.

    Guarantees: the steps run in order, and one that fails ends it, so that a later one may count on an
    earlier one. Nothing is sent for an Apply that would change nothing. When the process dies half-way,
    the same decision on what was reached yields the rest.
    """
    writes = 0
    for action in plan.actions:
        match action:
            case Event():
                events.emit(
                    action.about,
                    action.kind,
                    reason=action.reason,
                    message=action.message,
                    warning=action.warning,
                )
                continue
            case Apply():
                if action.seen is not None and is_applied(
                    action.obj, action.seen, manager, action.subresource
                ):
                    continue
                answer = await cluster.apply(
                    action.kind, action.obj, manager=manager, subresource=action.subresource
                )
                if remember is not None:
                    remember(action.kind, answer)
            case Create():
                await create_once(cluster, action.kind, action.obj)
            case Patch():
                await cluster.patch(
                    action.kind, action.key, action.patch, manager=manager, subresource=action.subresource
                )
            case Delete():
                await cluster.delete(action.kind, action.key, uid=action.uid)
        writes += 1
    return writes


async def create_once(cluster: Cluster, kind: Kind, obj: Wire) -> bool:
    """Create an object; return False if it was there already."""
    try:
        await cluster.create(kind, obj)
    except Conflict:
        return False
    return True


def is_applied(wanted: Wire, seen: Wire, manager: str, subresource: str = "") -> bool:
    """Return whether applying `wanted` as `manager` would change nothing in `seen`.

    `seen` tells in metadata.managedFields which fields the manager owns (FieldsV1): it is applied when
    those are the fields of `wanted`, no more and no fewer, with equal values.
    """
    body = {k: v for k, v in wanted.items() if k not in {"apiVersion", "kind", "metadata"}}
    for entry in seen["metadata"].get("managedFields") or ():
        if (
            entry.get("manager") == manager
            and entry.get("operation") == "Apply"
            and entry.get("subresource", "") == subresource
        ):
            fields = entry.get("fieldsV1") or {}
            break
    else:
        return False
    metadata = {
        k: v
        for k, v in wanted["metadata"].items()
        if k in {"labels", "annotations", "finalizers", "ownerReferences"}
    }
    owned = {k: v for k, v in fields.items() if k != "f:metadata"}
    return _equal(body, seen, owned) and _equal(metadata, seen["metadata"], fields.get("f:metadata") or {})


def _equal(wanted: object, seen: object, owned: Wire) -> bool:
    """Compare along the tree of owned fields; an empty tree is a leaf, compared as a whole."""
    if isinstance(wanted, dict) and isinstance(seen, dict):
        names = {k[2:] for k in owned if k.startswith("f:")}
        if not names:
            return wanted == seen or (not wanted and not owned)
        return names == set(wanted) and all(
            k in seen and _equal(v, seen[k], owned[f"f:{k}"]) for k, v in wanted.items()
        )
    if isinstance(wanted, list) and isinstance(seen, list) and owned:
        return _equal_list(wanted, seen, owned)
    return wanted == seen


def _equal_list(wanted: list[object], seen: list[object], owned: Wire) -> bool:
    """Compare list-maps ("k:{…}") and sets ("v:…") by the items that are owned."""
    keyed = {k: v for k, v in owned.items() if k.startswith("k:")}
    if len(keyed or owned) - ("." in owned and not keyed) != len(wanted):
        return False
    if not keyed:
        return {k[2:] for k in owned if k.startswith("v:")} == {orjson.dumps(w).decode() for w in wanted}
    for item_key, fields in keyed.items():
        identity = orjson.loads(item_key[2:])
        mine, theirs = _find(wanted, identity), _find(seen, identity)
        if mine is None or theirs is None or not _equal(mine, theirs, fields):
            return False
    return True


def _find(items: list[object], identity: Wire) -> object | None:
    """Return the item of a list-map with that key."""
    return next(
        (i for i in items if isinstance(i, dict) and all(i.get(k) == v for k, v in identity.items())), None
    )
