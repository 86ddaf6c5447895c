"""Whether an apply would change anything: the same answer as the API server's, and as the one in memory."""

from typing import Any

import pytest

from liqo.api.kinds import CONFIG_MAP, SERVICE
from liqo.api.meta import Key, Kind, Wire
from liqo.runtime.plan import Apply, Create, Delete, Patch, Plan, act, is_applied
from liqo.runtime.ports import Cluster
from wires import condition, config_map, service, version

M, N = "liqo-m", "liqo-n"  # field managers


class NoEvents:
    def emit(self, about: Wire, kind: Kind, *, reason: str, message: str, warning: bool = False) -> None:
        pass


async def agree(cluster: Cluster, kind: Kind, wanted: Wire, subresource: str = "") -> bool:
    """Return is_applied, and check it against what an apply does."""
    key = Key.of(wanted)
    before = await cluster.get(kind, key)
    said = is_applied(wanted, before, M, subresource)
    after = await cluster.apply(kind, wanted, manager=M, subresource=subresource)
    assert said == (version(before) == version(after)), (said, before, after)
    assert is_applied(wanted, after, M, subresource), after
    return said


async def rich(cluster: Cluster, name: str) -> Wire:
    """Return an object with all that can be owned; its owners exist, or the garbage collector would take it."""
    owners = []
    for owner in (f"{name}-o1", f"{name}-o2"):
        made = await cluster.create(CONFIG_MAP, config_map(owner))
        uid = made["metadata"]["uid"]
        owners.append({"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uid})
    owners[1]["controller"] = True
    found = config_map(name, a="1", b="")
    found["metadata"] |= {
        "labels": {"liqo.io/x": "1", "plain": ""},
        "annotations": {"liqo.io/y": "<{&}>"},
        "finalizers": ["liqo.io/a", "liqo.io/b"],
        "ownerReferences": owners,
    }
    return found


def without(obj: Wire, *path: str) -> Wire:
    """Return a copy without one field."""
    first, *rest = path
    if not rest:
        return {k: v for k, v in obj.items() if k != first}
    return {**obj, first: without(obj[first], *rest)}


def with_(obj: Wire, value: Any, *path: str) -> Wire:
    """Return a copy with one field set."""
    first, *rest = path
    return {**obj, first: with_(obj.get(first, {}), value, *rest) if rest else value}


CHANGES = {
    "a value changes": lambda o: with_(o, "2", "data", "a"),
    "a value comes": lambda o: with_(o, "2", "data", "new"),
    "a value goes": lambda o: without(o, "data", "a"),
    "all values go": lambda o: without(o, "data"),
    "a label changes": lambda o: with_(o, "2", "metadata", "labels", "plain"),
    "a label goes": lambda o: without(o, "metadata", "labels", "plain"),
    "all labels go": lambda o: without(o, "metadata", "labels"),
    "an annotation comes": lambda o: with_(o, "x", "metadata", "annotations", "y"),
    "a finalizer goes": lambda o: with_(o, ["liqo.io/b"], "metadata", "finalizers"),
    "a finalizer comes": lambda o: with_(
        o, ["liqo.io/a", "liqo.io/b", "liqo.io/c"], "metadata", "finalizers"
    ),
    "an owner goes": lambda o: with_(o, o["metadata"]["ownerReferences"][:1], "metadata", "ownerReferences"),
}


@pytest.mark.parametrize("change", CHANGES, ids=CHANGES)
async def test_a_change_of_any_field_is_noticed(cluster: Cluster, name: str, change: str) -> None:
    full = await rich(cluster, name)
    await cluster.apply(CONFIG_MAP, full, manager=M)
    assert await agree(cluster, CONFIG_MAP, full)
    assert not await agree(cluster, CONFIG_MAP, CHANGES[change](full))


async def test_what_others_own_does_not_matter_until_they_take_ours(cluster: Cluster, name: str) -> None:
    key, full = Key("default", name), await rich(cluster, name)
    await cluster.apply(CONFIG_MAP, full, manager=M)
    theirs = config_map(name, other="1")
    theirs["metadata"] |= {"labels": {"theirs": "1"}, "finalizers": ["liqo.io/theirs"]}
    await cluster.apply(CONFIG_MAP, theirs, manager=N)
    assert await agree(cluster, CONFIG_MAP, full)
    await cluster.patch(CONFIG_MAP, key, {"data": {"a": "taken"}}, manager="kubectl-edit")
    assert not await agree(cluster, CONFIG_MAP, full)


async def test_who_never_applied_has_not_applied(cluster: Cluster, name: str) -> None:
    await cluster.apply(CONFIG_MAP, config_map(name, a="1"), manager=N)
    assert not await agree(cluster, CONFIG_MAP, config_map(name, a="1"))


STATUSES: dict[str, Wire] = {
    "one condition": {"conditions": [condition("A")]},
    "two conditions": {"conditions": [condition("A"), condition("B", "False")]},
    "another reason": {"conditions": [condition("A", reason="S"), condition("B", "False")]},
    "no conditions": {"conditions": []},
    "a nested list": {
        "conditions": [condition("A")],
        "loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}]},
    },
    "another nested list": {
        "conditions": [condition("A")],
        "loadBalancer": {"ingress": [{"ip": "192.0.2.2", "ipMode": "VIP"}]},
    },
}


@pytest.mark.parametrize("other", STATUSES, ids=STATUSES)
@pytest.mark.parametrize("one", STATUSES, ids=STATUSES)
async def test_a_change_of_a_status_is_noticed(cluster: Cluster, name: str, one: str, other: str) -> None:
    await cluster.create(SERVICE, service(name))
    theirs = service(name, {"conditions": [condition("Z")]})
    await cluster.apply(SERVICE, theirs, manager=N, subresource="status")
    await cluster.apply(SERVICE, service(name, STATUSES[one]), manager=M, subresource="status")
    same = await agree(cluster, SERVICE, service(name, STATUSES[other]), "status")
    assert same == (one == other)


async def test_a_plan_that_was_carried_out_costs_nothing_the_second_time(cluster: Cluster, name: str) -> None:
    key, once = Key("default", name), f"{name}-once"
    full = await rich(cluster, name)
    remembered: list[str] = []

    async def carry_out(seen: Wire | None) -> int:
        plan = Plan(
            (
                Apply(kind=CONFIG_MAP, obj=full, seen=seen),
                *(() if seen else (Create(kind=CONFIG_MAP, obj=config_map(once)),)),
            )
        )
        note = remembered.append
        return await act(
            plan, cluster, manager=M, events=NoEvents(), remember=lambda _k, o: note(o["metadata"]["name"])
        )

    assert await carry_out(None) == 2
    assert remembered == [name, once]
    assert await carry_out(await cluster.get(CONFIG_MAP, key)) == 0
    ending = Plan(
        (
            Patch(kind=CONFIG_MAP, key=key, patch={"metadata": {"finalizers": None}}),
            Delete(kind=CONFIG_MAP, key=key),
            Create(kind=CONFIG_MAP, obj=config_map(once)),  # is there: left as it is
        )
    )
    assert await act(ending, cluster, manager=M, events=NoEvents()) == 3
