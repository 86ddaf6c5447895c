"""What goes over when a pod changes at home while it runs abroad."""

from copy import deepcopy

import pytest

from liqo.api.meta import Wire
from liqo.node.forge_pod import forge_pod
from liqo.node.pod_change import forge_change, is_current

HOME: Wire = {
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "uid": "a",
        "labels": {"app": "web", "tier": "front"},
        "annotations": {"note": "old", "other": "stays"},
    },
    "spec": {
        "nodeName": "liqo-milan-abcdef",
        "initContainers": [{"name": "first", "image": "first:1"}],
        "containers": [{"name": "web", "image": "web:1", "args": ["x"]}],
    },
}


def abroad(home: Wire = HOME) -> Wire:
    """Return the pod as it was made on foreign, and as its tools changed it there."""
    made = deepcopy(forge_pod(home, "x-shop"))
    made["metadata"]["resourceVersion"] = "7"
    made["metadata"]["labels"]["mesh.example.com/revision"] = "3"
    made["metadata"]["annotations"]["net.example.com/address"] = "10.1.0.4"
    made["spec"]["containers"].append({"name": "sidecar", "image": "mesh:1"})
    return made


def test_a_pod_that_did_not_change_is_current_whatever_foreign_added() -> None:
    assert is_current(HOME, abroad())


CHANGES: list[Wire] = [
    {"metadata": {"labels": {"app": "shop"}}},
    {"metadata": {"annotations": {"note": "new"}}},
    {"spec": {"containers": [{"name": "web", "image": "web:2", "args": ["x"]}]}},
    {"spec": {"initContainers": [{"name": "first", "image": "first:2"}]}},
    {"spec": {"activeDeadlineSeconds": 60}},
]


def changed(change: Wire) -> Wire:
    return HOME | {part: HOME[part] | fields for part, fields in change.items()}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_may_change_is_seen_and_sent(change: Wire) -> None:
    home = changed(change)
    assert not is_current(home, abroad())
    remote = merged(abroad(), forge_change(home, abroad()))
    assert is_current(home, remote)
    assert {c["name"]: c["image"] for c in remote["spec"]["containers"]} == {
        **{c["name"]: c["image"] for c in home["spec"]["containers"]},
        "sidecar": "mesh:1",
    }


def merged(target: Wire, patch: Wire) -> Wire:
    """Return what a merge patch makes of an object (RFC 7386 §2)."""
    result = dict(target)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name) or {}, value) if isinstance(value, dict) else value
    return result


def test_what_home_took_back_goes_and_what_foreign_gave_stays() -> None:
    home = changed({"metadata": {"labels": {"tier": "back"}, "annotations": {"other": "stays"}}})
    metadata = merged(abroad(), forge_change(home, abroad()))["metadata"]
    assert metadata["labels"] == {"tier": "back", "mesh.example.com/revision": "3"}
    assert metadata["annotations"]["net.example.com/address"] == "10.1.0.4"
    assert metadata["annotations"]["other"] == "stays"
    assert "note" not in metadata["annotations"]


def test_a_change_is_for_the_version_that_was_read() -> None:
    assert forge_change(HOME, abroad())["metadata"]["resourceVersion"] == "7"
