"""Whether an apply would change anything, by managedFields as API servers wrote them.

`contract/test_cluster.py` asks a real API server the same; these are the odd ones.
"""

from typing import Any

import pytest

from liqo.api.meta import Wire
from liqo.runtime.plan import is_applied

M = "liqo-m"


def seen(fields: Wire, *, subresource: str = "", **parts: Any) -> Wire:
    """Return an object of which M applied these fields."""
    entry: Wire = {"manager": M, "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields}
    if subresource:
        entry["subresource"] = subresource
    other = {"manager": M, "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:spec": {"f:z": {}}}}
    metadata = {"name": "a", "uid": "u", "managedFields": [other, entry]} | parts.pop("metadata", {})
    return {"metadata": metadata, **parts}


def wanted(**parts: Any) -> Wire:
    metadata = {"name": "a"} | parts.pop("metadata", {})
    return {"apiVersion": "v1", "kind": "X", "metadata": metadata, **parts}


LEAF: Wire = {}
PORTS = 'k:{"containerPort":80,"protocol":"TCP"}'

CASES: dict[str, tuple[Wire, Wire, bool]] = {
    "a scalar": (wanted(spec={"x": 1}), seen({"f:spec": {"f:x": LEAF}}, spec={"x": 1}), True),
    "another scalar": (wanted(spec={"x": 2}), seen({"f:spec": {"f:x": LEAF}}, spec={"x": 1}), False),
    "a field more is wanted": (
        wanted(spec={"x": 1, "y": 1}),
        seen({"f:spec": {"f:x": LEAF}}, spec={"x": 1, "y": 1}),
        False,
    ),
    "a field more is owned": (
        wanted(spec={"x": 1}),
        seen({"f:spec": {"f:x": LEAF, "f:y": LEAF}}, spec={"x": 1, "y": 1}),
        False,
    ),
    "an atomic list": (wanted(spec={"l": [1, 2]}), seen({"f:spec": {"f:l": LEAF}}, spec={"l": [1, 2]}), True),
    "an atomic list in another order": (
        wanted(spec={"l": [2, 1]}),
        seen({"f:spec": {"f:l": LEAF}}, spec={"l": [1, 2]}),
        False,
    ),
    "an atomic map": (
        wanted(spec={"m": {"a": 1}}),
        seen({"f:spec": {"f:m": LEAF}}, spec={"m": {"a": 1}}),
        True,
    ),
    "an atomic map that another filled": (
        wanted(spec={"m": {"a": 1}}),
        seen({"f:spec": {"f:m": LEAF}}, spec={"m": {"a": 1, "b": 1}}),
        False,
    ),
    "an empty map": (wanted(spec={}), seen({"f:spec": LEAF}, spec={}), True),
    "an empty map into which others wrote": (wanted(spec={}), seen({"f:spec": LEAF}, spec={"x": 1}), True),
    "an empty map that the server leaves out": (wanted(data={}), seen({"f:data": LEAF}), True),
    "a zero that the server leaves out": (
        wanted(spec={"x": False}),
        seen({"f:spec": {"f:x": LEAF}}, spec={}),
        True,
    ),
    "a value that is missing": (wanted(spec={"x": True}), seen({"f:spec": {"f:x": LEAF}}, spec={}), False),
    "a map with a dot": (
        wanted(data={"k": {"a": 1}}),
        seen({"f:data": {"f:k": {".": LEAF, "f:a": LEAF}}}, data={"k": {"a": 1}}),
        True,
    ),
    "a set, with others' values": (
        wanted(metadata={"finalizers": ["f/a"]}),
        seen(
            {"f:metadata": {"f:finalizers": {".": LEAF, 'v:"f/a"': LEAF}}},
            metadata={"finalizers": ["f/b", "f/a"]},
        ),
        True,
    ),
    "a set with a value that Go escapes": (
        wanted(metadata={"finalizers": ["f/<a>"]}),
        seen(
            {"f:metadata": {"f:finalizers": {'v:"f/\\u003ca\\u003e"': LEAF}}},
            metadata={"finalizers": ["f/<a>"]},
        ),
        True,
    ),
    "a set that lacks a value": (
        wanted(metadata={"finalizers": ["f/a", "f/b"]}),
        seen({"f:metadata": {"f:finalizers": {'v:"f/a"': LEAF}}}, metadata={"finalizers": ["f/a", "f/b"]}),
        False,
    ),
    "a list-map whose key has a default that was left out": (
        wanted(spec={"ports": [{"containerPort": 80}]}),
        seen(
            {"f:spec": {"f:ports": {PORTS: {".": LEAF, "f:containerPort": LEAF}}}},
            spec={"ports": [{"containerPort": 80, "protocol": "TCP"}]},
        ),
        True,
    ),
    "a list-map with an item more owned": (
        wanted(spec={"ports": []}),
        seen(
            {"f:spec": {"f:ports": {PORTS: LEAF}}}, spec={"ports": [{"containerPort": 80, "protocol": "TCP"}]}
        ),
        False,
    ),
    "an atomic item of a list-map": (
        wanted(metadata={"ownerReferences": [{"uid": "o", "name": "n"}]}),
        seen(
            {"f:metadata": {"f:ownerReferences": {'k:{"uid":"o"}': LEAF}}},
            metadata={"ownerReferences": [{"uid": "p", "name": "m"}, {"uid": "o", "name": "n"}]},
        ),
        True,
    ),
    "a list became something else": (
        wanted(spec={"l": [1]}),
        seen({"f:spec": {"f:l": {"f:x": LEAF}}}, spec={"l": {"x": 1}}),
        False,
    ),
    "nothing at all": (wanted(), seen({}), True),
    "name and uid are not owned": (wanted(metadata={"uid": "u"}), seen({}), True),
    "another uid": (wanted(metadata={"uid": "v"}), seen({}), False),
    "another version of the API": (
        wanted(spec={"x": 1}) | {"apiVersion": "v2"},
        seen({"f:spec": {"f:x": LEAF}}, spec={"x": 1}),
        False,
    ),
}


@pytest.mark.parametrize("name", CASES, ids=CASES)
def test_whether_an_apply_would_change_anything(name: str) -> None:
    want, have, applied = CASES[name]
    assert is_applied(want, have, M) == applied


def test_a_subresource_is_judged_by_its_own_entry_and_the_rest_ignored() -> None:
    have = seen({"f:status": {"f:x": LEAF}}, subresource="status", status={"x": 1}, spec={"y": 1})
    assert is_applied(wanted(status={"x": 1}, spec={"y": 2}), have, M, "status")
    assert not is_applied(wanted(status={"x": 2}), have, M, "status")
    assert not is_applied(wanted(spec={"y": 1}), have, M)
    assert not is_applied(wanted(status={"x": 1}), have, "another", "status")
