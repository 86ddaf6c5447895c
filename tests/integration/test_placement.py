"""Tries to get pods onto virtual nodes from namespaces that did not ask for it, as an administrator.

Each attack has its negative control: with the one policy left out it succeeds.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from liqo.adapters.kube import HttpCluster
from liqo.api.kinds import BINDING, NAMESPACE, NODE, POD
from liqo.api.meta import Key, Wire
from liqo.api.rights import forge_object
from liqo.errors import Forbidden, Invalid
from rights_lab import Bench, eventually, left_out, stopped_by

pytestmark = pytest.mark.lab

VIRTUAL = "liqo-milan-aaaaaa"
WAITING = {"schedulerName": "nobody"}  # so that nobody is faster
Attack = Callable[[HttpCluster, str], Awaitable[object]]
"""(admin, namespace)"""


async def _pod(admin: HttpCluster, namespace: str, **spec: object) -> None:
    pod = {
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"containers": [{"name": "c", "image": "i"}], "automountServiceAccountToken": False, **spec},
    }
    await admin.delete(POD, Key(namespace, "web"), grace=0)
    await admin.create(POD, pod)


def _binding(namespace: str) -> Wire:
    target = {"apiVersion": "v1", "kind": "Node", "name": VIRTUAL}
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "web", "namespace": namespace},
        "target": target,
    }


async def _name_the_node(admin: HttpCluster, namespace: str) -> None:
    await _pod(admin, namespace, nodeName=VIRTUAL)


async def _bind(admin: HttpCluster, namespace: str) -> None:
    await _pod(admin, namespace, **WAITING)
    await admin.post(f"{POD.path(namespace, 'web')}/binding", _binding(namespace))


async def _bind_the_old_way(admin: HttpCluster, namespace: str) -> None:
    await _pod(admin, namespace, **WAITING)
    await admin.post(BINDING.path(namespace), _binding(namespace))


ATTACKS: dict[str, Attack] = {
    "names the node": _name_the_node,
    "binds the pod": _bind,
    "binds the pod as a Binding": _bind_the_old_way,
}


async def _namespace(
    admin: HttpCluster, name: str, *, enabled: str = "", clusters: str | None = None
) -> None:
    labels = {"liqo.io/enabled": enabled} if enabled else None
    obj = forge_object(NAMESPACE, name, labels=labels)
    if clusters is not None:
        obj["metadata"]["annotations"] = {"liqo.io/clusters": clusters}
    await admin.apply(NAMESPACE, obj, manager="test")


@pytest.mark.parametrize("sentence", ATTACKS)
@pytest.mark.parametrize("enabled", ["", "false"])
async def test_a_pod_of_a_namespace_that_did_not_ask_never_runs_abroad_whoever(
    bench: Bench, sentence: str, enabled: str
) -> None:
    name = f"home-{enabled}".strip("-")
    await _namespace(bench.admin, name, enabled=enabled)
    attack = partial(ATTACKS[sentence], bench.admin, name)
    await stopped_by(bench, "liqo-placement", attack, Forbidden)
    await bench.admin.delete(POD, Key(name, "web"), grace=0)


@pytest.mark.parametrize("sentence", ATTACKS)
async def test_a_pod_of_an_enabled_namespace_may(bench: Bench, sentence: str) -> None:
    await _namespace(bench.admin, "abroad", enabled="true")
    await ATTACKS[sentence](bench.admin, "abroad")
    await bench.admin.delete(POD, Key("abroad", "web"), grace=0)


async def test_other_nodes_are_for_everybody(bench: Bench) -> None:
    await _namespace(bench.admin, "home")
    await _pod(bench.admin, "home", nodeName="rome-node-1")
    await bench.admin.delete(POD, Key("home", "web"), grace=0)


async def _debug(admin: HttpCluster) -> None:
    container = {"name": "shell", "image": "shell:1", "targetContainerName": "web"}
    patch = {"spec": {"ephemeralContainers": [container]}}
    await admin.patch(POD, Key("abroad", "web"), patch, subresource="ephemeralcontainers")


async def _resize(admin: HttpCluster) -> None:
    patch = {
        "spec": {"containers": [{"name": "web", "image": "web:1", "resources": {"requests": {"cpu": "2"}}}]}
    }
    await admin.patch(POD, Key("abroad", "web"), patch, subresource="resize")


CHANGES = {"debugs it": _debug, "resizes it": _resize}


@pytest.mark.parametrize("sentence", CHANGES)
async def test_what_would_never_come_about_abroad_is_refused_at_once(bench: Bench, sentence: str) -> None:
    await _namespace(bench.admin, "abroad", enabled="true")
    room = {"cpu": "8", "memory": "8Gi", "pods": "8"}  # which a resize asks for
    await bench.admin.create(
        NODE, forge_object(NODE, VIRTUAL, status={"allocatable": room, "capacity": room})
    )
    resources = {"requests": {"cpu": "1"}}
    container = {"name": "web", "image": "web:1", "resources": resources}
    await _pod(bench.admin, "abroad", nodeName=VIRTUAL, containers=[container])
    try:
        await stopped_by(bench, "liqo-running", partial(CHANGES[sentence], bench.admin), Invalid)
    finally:
        await bench.admin.delete(POD, Key("abroad", "web"), grace=0)
        await bench.admin.delete(NODE, Key("", VIRTUAL))


BAD: dict[str, dict[str, str]] = {
    "neither true nor false": {"enabled": "yes"},
    "upper case": {"clusters": "Milan"},
    "no commas": {"clusters": "milan rome"},
    "an empty name": {"clusters": "milan,,rome"},
    "a long name": {"clusters": "x" * 64},
    "many names": {"clusters": ",".join(f"c{n}" for n in range(33))},
    "a flood": {"clusters": "a," * 10_000},
}


@pytest.mark.parametrize("what", BAD)
async def test_what_could_mean_nothing_is_refused_at_once(bench: Bench, what: str) -> None:
    async def attack() -> None:
        await _namespace(bench.admin, "bad")
        await _namespace(bench.admin, "bad", **BAD[what])

    await stopped_by(bench, "liqo-opt-in", attack, Invalid)


@pytest.mark.parametrize("good", ["", "milan", "milan, rome ,a.b", "a" * 32])
async def test_names_and_ids_with_commas_are_taken(bench: Bench, good: str) -> None:
    await _namespace(bench.admin, "good", enabled="true", clusters=good)


async def test_a_mistake_of_before_is_nobody_s_obstacle(bench: Bench) -> None:
    async with left_out(bench, "liqo-opt-in"):
        await eventually(partial(_namespace, bench.admin, "old", clusters="Milan"))
    await bench.admin.patch(NAMESPACE, Key("", "old"), {"metadata": {"labels": {"mine": "1"}}})
