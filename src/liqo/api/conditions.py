"""How conditions are made, and carried from one decision to the next; pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from liqo.api.meta import Condition, Wire, find_condition, set_condition
from liqo.api.reasons import ConditionType, sentence_of


def condition(kind: ConditionType, status: bool | None, reason: str, message: str = "") -> Condition:
    """Return a condition; None is Unknown, no message is the sentence of the reason."""
    text = {True: "True", False: "False", None: "Unknown"}[status]
    return Condition.model_validate(
        {
            "type": str(kind),
            "status": text,
            "reason": str(reason),
            "message": (message or sentence_of(reason))[:1024],
        }
    )


def carry(
    old: Sequence[Condition], owned: Iterable[str], changes: Iterable[Condition], now: datetime
) -> list[Wire]:
    """Return the owned conditions, sorted: those that change, and the others as they were."""
    mine = {c.type: c for c in old if c.type in set(owned)}
    for change in changes:
        mine[change.type] = set_condition(old, change, now)
    return [mine[kind].wire() for kind in sorted(mine)]


def status_body(kind_version: str, kind: str, name: str, uid: str, status: dict[str, Any]) -> Wire:
    """Return an object for an apply of its status that never creates it."""
    return {
        "apiVersion": kind_version,
        "kind": kind,
        "metadata": {"name": name, "uid": uid},
        "status": status,
    }


def is_news(old: Sequence[Condition], new: Condition) -> bool:
    """Return whether a condition turns, so that people want to be told."""
    before = find_condition(old, new.type)
    return before is None or (before.status, before.reason) != (new.status, new.reason)
