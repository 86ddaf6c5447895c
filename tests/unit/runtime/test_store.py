"""What a watch has seen: indexes, listeners, and reading back our own writes."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from liqo.api.kinds import CONFIG_MAP, SECRET
from liqo.api.meta import Key, Wire
from liqo.runtime.ports import Selection
from liqo.runtime.store import Store, parse_version, prune_managed_fields, remember

KEY = Key("x", "a")


def obj(version: int | str, name: str = "a", node: str = "") -> Wire:
    return {"metadata": {"name": name, "namespace": "x", "resourceVersion": str(version)}, "node": node}


def filled(*objects: Wire, version: str = "10") -> Store:
    store = Store()
    store.replace(objects, version)
    return store


def at(store: Store) -> str | None:
    found = store.get(KEY)
    return found["metadata"]["resourceVersion"] if found else None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("0", 0),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("a", None),
        (None, None),
        (12, None),
        ("²", None),
    ],
)
def test_a_version_is_a_number_or_none(text: object, number: int | None) -> None:
    assert parse_version(text) == number


NEWS: dict[str, tuple[Sequence[tuple[Any, ...]], str | None]] = {
    # what the store is told, and the version it then has
    "the answer to a write is read back": ([(Store.note, obj(12))], "12"),
    "an answer of before the list is not news": ([(Store.note, obj(9))], "5"),
    "an answer of before a bookmark is not news": ([(Store.progress, "20"), (Store.note, obj(15))], "5"),
    "an answer after the deletion was told brings nothing back": (
        [(Store.remove, obj(13)), (Store.note, obj(12))],
        None,
    ),
    "older news does not overwrite an answer": ([(Store.note, obj(14)), (Store.put, obj(12))], "14"),
    "newer news does": ([(Store.note, obj(14)), (Store.put, obj(15))], "15"),
    "an older deletion does not remove what was made anew": (
        [(Store.note, obj(14)), (Store.remove, obj(13))],
        "14",
    ),
    "an older list does not remove what was made anew": (
        [(Store.note, obj(14)), (Store.replace, [], "13")],
        "14",
    ),
    "a newer list does": ([(Store.note, obj(14)), (Store.replace, [], "15")], None),
    "a list of a restored backup counts as it is": ([(Store.replace, [obj(3)], "4")], "3"),
    "versions that are no numbers: what comes last counts": (
        [(Store.put, obj("b")), (Store.put, obj("a"))],
        "a",
    ),
    "an answer with a version that is no number is left out": ([(Store.note, obj("b"))], "5"),
}


@pytest.mark.parametrize("name", NEWS, ids=NEWS)
def test_what_is_newest_counts(name: str) -> None:
    told, expected = NEWS[name]
    store = filled(obj(5))
    for tell, *what in told:
        tell(store, *what)
    assert at(store) == expected


def test_nothing_is_noted_before_the_first_list() -> None:
    store = Store()
    assert not store.note(obj(12))


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(CONFIG_MAP), True),
        (Selection(CONFIG_MAP, "x"), True),
        (Selection(CONFIG_MAP, "y"), False),
        (Selection(CONFIG_MAP, "x", name="a"), True),
        (Selection(CONFIG_MAP, "x", name="b"), False),
        (Selection(CONFIG_MAP, labels="l"), False),
    ],
    ids=["all", "its namespace", "another namespace", "its name", "another name", "by labels, and unknown"],
)
def test_what_is_not_selected_is_not_noted(selection: Selection, taken: bool) -> None:
    store = Store(selection)
    store.replace([], "10")
    assert store.note(obj(12)) == taken


def test_the_answers_of_a_kind_go_to_its_stores() -> None:
    store, other = filled(), filled()
    note = remember({CONFIG_MAP: [store], SECRET: [other]})
    note(CONFIG_MAP, obj(12))
    assert (len(store), len(other)) == (1, 0)


def test_an_index_follows_its_objects() -> None:
    store = Store(indexes={"node": lambda o: [o["node"]] if o["node"] else []})
    store.replace([obj(1, "a", "n"), obj(2, "b", "n"), obj(3, "c")], "10")
    assert {o["metadata"]["name"] for o in store.by("node", "n")} == {"a", "b"}
    store.put(obj(11, "a", "m"))
    store.remove(obj(12, "b"))
    assert store.by("node", "n") == []
    assert store.by("node", "m") == [obj(11, "a", "m")]
    assert store._found["node"].keys() == {"m"}, "nothing is left over"


def test_only_real_changes_are_told_and_only_while_subscribed() -> None:
    store, told = Store(), list[tuple[str, str | None, str | None]]()

    def listen(key: Key, old: Wire | None, new: Wire | None) -> None:
        before, after = (o["metadata"]["resourceVersion"] if o else None for o in (old, new))
        told.append((key.name, before, after))

    end = store.subscribe(listen)
    store.replace([obj(1)], "10")
    store.replace([obj(1)], "11")
    store.put(obj(12))
    store.put(obj(12))
    store.remove(obj(13))
    store.remove(obj(14))
    end()
    end()
    store.put(obj(15))
    assert told == [("a", None, "1"), ("a", "1", "12"), ("a", "12", None)]


def test_what_is_pruned_is_never_kept() -> None:
    store = Store(prune=prune_managed_fields)
    full = obj(1)
    full["metadata"]["managedFields"] = [{}]
    store.replace([full], "10")
    assert "managedFields" not in store.values()[0]["metadata"]
    assert "managedFields" in full["metadata"], "what came over the wire is not changed"


async def test_synced_means_that_a_first_list_is_complete() -> None:
    store = Store()
    waiting = asyncio.create_task(store.wait_synced())
    assert not store.synced
    store.replace([], "10")
    await waiting
    assert store.synced
    assert KEY not in store
