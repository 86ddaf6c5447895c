"""What this cluster has left to offer; pure, exact integers (api/quantity.py)."""

from collections.abc import Iterable

from liqo.api.bounds import LABELS_MAX
from liqo.api.meta import Wire, is_ready, labels_of
from liqo.api.names import FOREIGN_PREFIX, NODE_LABELS, NODE_TYPE_LABEL, VIRTUAL_NODE
from liqo.api.pod_requests import requests
from liqo.api.quantity import add, parse_amounts

FINISHED = {"Succeeded", "Failed"}


def is_offered_from(node: Wire) -> bool:
    """Return whether a node is real, Ready and schedulable."""
    if labels_of(node).get(NODE_TYPE_LABEL) == VIRTUAL_NODE or node.get("spec", {}).get("unschedulable"):
        return False
    return is_ready(node)


def common_labels(nodes: Iterable[Wire]) -> dict[str, str]:
    """Return the labels, of those that mean the same everywhere, that all nodes that count have with one value."""
    labels = [{k: v for k, v in labels_of(n).items() if is_offered(k)} for n in nodes if is_offered_from(n)]
    shared = set.intersection(*(set(found.items()) for found in labels)) if labels else set()
    return dict(sorted(shared)[:LABELS_MAX])


def is_offered(label: str) -> bool:
    """Return whether a node's label is one that others are told."""
    return label in NODE_LABELS or label.startswith(FOREIGN_PREFIX)


def allocatable(node: Wire) -> dict[str, int]:
    """Return what pods may use of a node."""
    return parse_amounts(node.get("status", {}).get("allocatable") or {})


def free(nodes: Iterable[Wire], pods: Iterable[Wire], tenants: frozenset[str]) -> dict[str, int]:
    """Return allocatable of the nodes that count, less the requests of all pods there that are no tenant's.

    Args:
        nodes: all nodes.
        pods: all pods.
        tenants: the namespaces of tenants; what runs there is counted against their offers instead.
    """
    counted = {n["metadata"]["name"]: n for n in nodes if is_offered_from(n)}
    total = add(allocatable(n) for n in counted.values())
    used = add(
        requests(p)
        for p in pods
        if p.get("spec", {}).get("nodeName") in counted
        and p["metadata"]["namespace"] not in tenants
        and p.get("status", {}).get("phase") not in FINISHED
    )
    return {name: amount - used.get(name, 0) for name, amount in total.items()}
