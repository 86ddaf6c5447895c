"""What the virtual node of one foreign cluster should be; pure.

outgoing phase           node                    Ready
--------------           ----                    -----
Established              created, kept           as the connection's health says
Requesting, Requested    kept if it is there     as the connection's health says
anything else            removed                 –
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from liqo.api.advertisement import Advertisement
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.kinds import LEASE, NODE
from liqo.api.meta import Wire, format_micro_time, format_time, labels_of
from liqo.api.names import (
    AUTOJOINED_LABEL,
    CLUSTER_ID_LABEL,
    FOREIGN_CLUSTER_LABEL,
    LABEL_MAX,
    MANAGED_LABEL,
    NODE_TAINT,
    NODE_TYPE_LABEL,
    USAGE_PATH,
    USAGE_PATH_ANNOTATION,
    VIRTUAL_NODE,
)
from liqo.api.reasons import Reason
from liqo.node.capacity import believed_labels, is_foreign_label
from liqo.runtime.ports import Health, Session

HEARTBEAT = timedelta(seconds=10)
LEASE_SECONDS = 40  # as a kubelet's
PROBE_AFTER = timedelta(seconds=7)  # without a word from foreign
PROBE_AGAIN = timedelta(seconds=0.5)  # after a miss: with three of them, home tells the truth within 15 s
PROBE_AWAY = timedelta(seconds=2)  # whether it is back
PROBES = 3  # over a connection that is new, say for its token: that one gets lost is no news of the cluster
LEASE_NAMESPACE = "kube-node-lease"
OURS = frozenset({FOREIGN_CLUSTER_LABEL, AUTOJOINED_LABEL})  # labels that come and go
PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the kubelet endpoint of all virtual nodes is."""

    host: str = ""  # an IP address; "" while there is none
    port: int = 0

    def forge(self) -> Wire:
        """Return what a node's status says of it; an API server would take a name for its own business first."""
        if not self.host:
            return {}
        return {
            "addresses": [{"type": "InternalIP", "address": self.host}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
        }


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the node takes pods, and why."""

    ready: bool
    reason: Reason
    message: str = ""


def wanted(foreign: ForeignCluster, *, counts: bool, node_there: bool) -> bool:
    """Return whether there should be a node."""
    outgoing = foreign.status.outgoing
    if not counts or not foreign.spec.join or foreign.metadata.deletion_timestamp or outgoing is None:
        return False
    return outgoing.phase == "Established" or (node_there and outgoing.phase in {"Requesting", "Requested"})


def readiness(session: Session | None, *, stopped: bool = False) -> Readiness:
    """Return what the connection's health means for the node; there is none while a changed key or CA stops it."""
    if session is None:
        return Readiness(False, Reason.PIN_CHANGED if stopped else Reason.WAITING)
    match session.health:
        case Health.READY:
            return Readiness(True, Reason.READY)
        case Health.AWAY:
            return Readiness(
                False, Reason.FOREIGN_AWAY, f"{session.server} does not answer: {session.message}"[:1024]
            )
        case Health.EXPIRED:
            return Readiness(False, Reason.EXPIRED)
        case Health.REFUSED:
            return Readiness(False, Reason.FOREIGN_REFUSED, session.message[:1024])


def forge_node(
    name: str,
    foreign: ForeignCluster,
    offer: Advertisement,
    capacity: Mapping[str, str],
    address: Address,
    ready: Readiness,
    now: datetime,
) -> Wire:
    """Return the whole virtual node, created with its status in one POST."""
    return {
        "apiVersion": NODE.api_version,
        "kind": NODE.kind,
        "metadata": {
            "name": name,
            "labels": forge_labels(name, foreign, offer),
            "annotations": forge_annotations(name),
        },
        "spec": {"taints": [{"key": NODE_TAINT, "value": "true", "effect": "NoExecute"}]},
        "status": forge_status(capacity, address, ready, now),
    }


def forge_labels(name: str, foreign: ForeignCluster, offer: Advertisement) -> dict[str, str]:
    """Return the labels of a virtual node; its zone is its own, so that its loss is no outage of others.

    The affinity of pods tells by them which clusters count (`liqo.node.magnet`). A ForeignCluster whose name is too
    long for a label is named by its id only.
    """
    cluster_id = foreign.spec.cluster_id or ""
    labels = {
        "kubernetes.io/os": "linux",
        **believed_labels(offer.spec.labels),
        "kubernetes.io/hostname": name,
        "topology.kubernetes.io/zone": name,
        "node.kubernetes.io/exclude-from-external-load-balancers": "true",
        MANAGED_LABEL: "liqo",
        NODE_TYPE_LABEL: VIRTUAL_NODE,
        "type": "virtual-kubelet",
        CLUSTER_ID_LABEL: cluster_id,
    }
    if len(foreign.metadata.name) <= LABEL_MAX:
        labels[FOREIGN_CLUSTER_LABEL] = foreign.metadata.name
    if foreign.metadata.labels.get(AUTOJOINED_LABEL) == "true":
        labels[AUTOJOINED_LABEL] = "true"
    return labels


def forge_annotations(name: str) -> dict[str, str]:
    """Return the annotations of a virtual node: one endpoint serves all, so that its path has to name it."""
    return {USAGE_PATH_ANNOTATION: f"{USAGE_PATH}/{name}"}


def forge_metadata_patch(node: Wire, wanted: Mapping[str, str]) -> Wire | None:
    """Return a merge patch that brings a node's labels, and annotations, to what they should be; None if they are so.

    Those that people gave it stay.
    """
    have = labels_of(node)
    patch: dict[str, str | None] = {k: v for k, v in wanted.items() if have.get(k) != v}
    patch |= dict.fromkeys(k for k in have if k not in wanted and (k in OURS or is_foreign_label(k)))
    noted = node["metadata"].get("annotations") or {}
    missing = {k: v for k, v in forge_annotations(node["metadata"]["name"]).items() if noted.get(k) != v}
    changed = {k: v for k, v in {"labels": patch, "annotations": missing}.items() if v}
    return {"metadata": changed} if changed else None


def forge_status(capacity: Mapping[str, str], address: Address, ready: Readiness, now: datetime) -> Wire:
    """Return the status of a virtual node."""
    return {
        "capacity": dict(capacity),
        "allocatable": dict(capacity),
        "conditions": forge_conditions(ready, now),
        "nodeInfo": {
            "architecture": "",
            "bootID": "",
            "containerRuntimeVersion": "liqo://",
            "kernelVersion": "",
            "kubeProxyVersion": "",
            "kubeletVersion": "liqo",
            "machineID": "",
            "operatingSystem": "linux",
            "osImage": "another cluster",
            "systemUUID": "",
        },
        **address.forge(),
    }


def forge_conditions(ready: Readiness, now: datetime) -> list[Wire]:
    """Return the conditions of a node: Ready, and the pressures, which only the other cluster knows."""
    at = format_time(now)
    rows: list[tuple[str, bool, str, str]] = [
        ("Ready", ready.ready, ready.reason, ready.message or ready.reason.sentence)
    ]
    rows += [(kind, False, "Foreign", "The other cluster's own nodes see to it.") for kind in PRESSURES]
    return [
        {
            "type": kind,
            "status": "True" if status else "False",
            "reason": str(reason),
            "message": message,
            "lastHeartbeatTime": at,
            "lastTransitionTime": at,
        }
        for kind, status, reason, message in rows
    ]


def forge_status_patch(
    node: Wire, capacity: Mapping[str, str], address: Address, ready: Readiness, now: datetime
) -> Wire | None:
    """Return a merge patch that brings a node's status to what it should be; None if it is so."""
    status = node.get("status", {})
    patch: Wire = {k: v for k, v in address.forge().items() if status.get(k) != v}
    for field in ("capacity", "allocatable"):
        have = status.get(field) or {}
        if have != dict(capacity):
            patch[field] = {**dict.fromkeys(have), **capacity}
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    fresh = forge_conditions(ready, now)
    same = all(
        c["type"] in conditions
        and all(conditions[c["type"]].get(k) == c[k] for k in ("status", "reason", "message"))
        for c in fresh
    )
    if not same:
        for c in fresh:
            before = conditions.get(c["type"])
            if before is not None and before["status"] == c["status"]:
                c["lastTransitionTime"] = before["lastTransitionTime"]
        patch["conditions"] = fresh
    return {"status": patch} if patch else None


def forge_lease(node: Wire, now: datetime) -> Wire:
    """Return the Lease whose renewal keeps a node Ready; it goes with its node."""
    name = node["metadata"]["name"]
    return {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.kind,
        "metadata": {
            "name": name,
            "namespace": LEASE_NAMESPACE,
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"]}
            ],
        },
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": format_micro_time(now),
        },
    }
