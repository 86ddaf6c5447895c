"""What a hostile foreign cluster says, and how one sees that home believed it; for real planes and those in memory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from liqo.api.meta import Wire

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
MIB = 2**20
CLAIMED = "203.0.113.66"  # outside all pod networks of the two


@dataclass(frozen=True, slots=True)
class Lie:
    """A part of a pod's status abroad; and whether a pod's status at home shows that it was believed."""

    status: Wire
    believed: Callable[[Wire], Any]


def address(ip: str) -> Lie:
    """Return the lie that a pod is at an address."""
    return Lie(
        {"podIP": ip, "podIPs": [{"ip": ip}]},
        lambda status: status.get("podIP") == ip or {"ip": ip} in status.get("podIPs", ()),
    )


LIES = {
    "an address of a machine": address("192.168.1.66"),
    "an address of a third cluster's pod": address("10.250.0.66"),
    "a host": Lie(
        {"hostIP": "192.168.1.66", "hostIPs": [{"ip": "192.168.1.66"}]},
        lambda status: status.get("hostIP") == "192.168.1.66",
    ),
    "fewer restarts than none": Lie(
        {"containerStatuses": [{"name": "web", "image": "web:1", "imageID": "", "restartCount": -1}]},
        lambda status: any(c["restartCount"] < 0 for c in status.get("containerStatuses", ())),
    ),
    "a message without end": Lie(
        {"reason": "Sorry", "message": "x" * MIB},
        lambda status: len(status.get("message", "")) > len("x" * 1024),
    ),
    "a condition of its own": Lie(
        {"conditions": [{"type": "example.com/Paid", "status": "True"}, {"type": "Ready", "status": "True"}]},
        lambda status: any(c["type"] == "example.com/Paid" for c in status.get("conditions", ())),
    ),
    "a generation that never was": Lie(
        {"observedGeneration": 99},
        lambda status: status.get("observedGeneration") == 99,
    ),
}

OFFER: Wire = {
    "resources": {"cpu": "1e30", "memory": "1Gi", "pods": "10", "kubernetes.io/gold": "5", "gold": "5"},
    "labels": {CONTROL_PLANE: "", "node.kubernetes.io/instance-type": "gold", "liqo.io/autojoined": "no"},
}
"""What an Advertisement may hold as far as its schema goes."""


def believed_offer(node: Wire, cpu_max: int) -> list[str]:
    """Return what of OFFER a virtual node shows that it must not."""
    allocatable, labels = node["status"]["allocatable"], node["metadata"]["labels"]
    found = [name for name in ("kubernetes.io/gold", "gold") if name in allocatable]
    found += [name for name, value in OFFER["labels"].items() if labels.get(name) == value]
    cpu = allocatable["cpu"]
    return found if cpu.isdigit() and int(cpu) <= cpu_max else [*found, "cpu"]
