"""How the clusters of a lab stand, for whoever reads why a test failed."""

import json
from typing import Any

from liqo.errors import Fault
from liqo.lab.lab import LIQO, Lab

TOLD_MAX = 12  # lines of a kind about a cluster
WIDTH = 400


def standing(lab: Lab) -> str:
    """Return the nodes, the pods that do not run well, and what Liqo says of those and complains of."""
    pods = {side: _pods(lab, side) for side in lab.names()}
    odd = {pod["metadata"]["name"] for found in pods.values() for pod in found if not _is_well(pod)}
    return "\n".join(
        f"{side}: {line[:WIDTH]}" for side, found in pods.items() for line in _lines(lab, side, found, odd)
    )


def _lines(lab: Lab, side: str, pods: list[Any], odd: set[str]) -> list[str]:
    strange = [_stands(pod) for pod in pods if not _is_well(pod)]
    said = lab.log(side, LIQO).read_text().splitlines()
    complaints = [line for line in said if '"level":"info"' not in line]
    about = [line for line in said if any(f'"{name}"' in line for name in odd)]
    return [
        *_nodes(lab, side),
        f"{len(pods)} pods, {len(strange)} do not run well",
        *strange[:TOLD_MAX],
        *complaints[-TOLD_MAX:],
        *about[-TOLD_MAX:],
    ]


def _nodes(lab: Lab, side: str) -> list[str]:
    try:
        return lab.kubectl(side, "get", "nodes", "--no-headers").splitlines()
    except Fault as fault:
        return [fault.message]


def _pods(lab: Lab, side: str) -> list[Any]:
    try:
        found: list[Any] = json.loads(lab.kubectl(side, "get", "pods", "-A", "-o", "json"))["items"]
    except Fault:
        return []  # the nodes tell of it
    return found


def _is_well(pod: Any) -> bool:
    if pod["status"].get("phase") == "Succeeded":
        return True
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))
    return ready and "deletionTimestamp" not in pod["metadata"]


def _stands(pod: Any) -> str:
    meta, status = pod["metadata"], pod["status"]
    told = [status.get("phase"), status.get("reason"), pod["spec"].get("nodeName")]
    told += [meta["creationTimestamp"], meta.get("deletionTimestamp"), *meta.get("finalizers", ())]
    conditions = [(c["type"], c["status"], c.get("reason")) for c in status.get("conditions", ())]
    states = [c["state"] for c in status.get("containerStatuses", ())]
    return f"{meta['namespace']}/{meta['name']}: {told} {states} {conditions}"
