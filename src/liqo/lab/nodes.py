"""The fake nodes of a cluster, and what kwok is told about them; pure."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from liqo.api.meta import Wire
from liqo.lab.spec import PORTS, ClusterSpec

LABEL = "type"  # kwok minds nodes with this label only, never Liqo's virtual ones
LABEL_VALUE = "kwok"
CAPACITY: Mapping[str, str] = {"cpu": "4", "memory": "8Gi", "ephemeral-storage": "64Gi", "pods": "110"}
METRICS_PATH = "/metrics/nodes/{nodeName}/metrics/resource"  # kwok puts the name in
PATH_ANNOTATION = (
    "metrics.k8s.io/resource-metrics-path"  # where metrics-server asks, if not at a kubelet's own
)
CPU_ANNOTATION, MEMORY_ANNOTATION = "usage-cpu", "usage-memory"  # on a pod: what each container seems to use
STAGES = Path(__file__).parent / "stages.yaml"

# What a kubelet says about a healthy node: type, status, reason.
CONDITIONS = (
    ("Ready", "True", "KubeletReady"),
    ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID"),
)


def node_name(spec: ClusterSpec, number: int) -> str:
    """Return the name of a node; `number` counts from 1."""
    return f"{spec.name}-node-{number}"


def forge_node(spec: ClusterSpec, number: int, version: str) -> Wire:
    """Return a node that is Ready at birth, so that pods need not wait for anybody's first heartbeat.

    Args:
        spec: its cluster.
        number: from 1; decides name and pod range.
        version: of Kubernetes, as the kubelet would say it: "v1.37.2".
    """
    name, cidr = node_name(spec, number), spec.node_cidr(number)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {PATH_ANNOTATION: METRICS_PATH.format(nodeName=name)},
            "labels": {
                LABEL: LABEL_VALUE,
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/region": "lab",
                "topology.kubernetes.io/zone": spec.name,
            },
        },
        "spec": {"podCIDR": cidr, "podCIDRs": [cidr]},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": spec.host},
                {"type": "Hostname", "address": name},
            ],
            "capacity": dict(CAPACITY),
            "allocatable": dict(CAPACITY),
            "conditions": [{"type": t, "status": s, "reason": r} for t, s, r in CONDITIONS],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": PORTS["kwok"]}},
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": "kwok://fake",
                "kernelVersion": "fake",
                "kubeProxyVersion": "",
                "kubeletVersion": version,
                "machineID": name,
                "operatingSystem": "linux",
                "osImage": "fake",
                "systemUUID": name,
            },
        },
    }


def forge_kwok_config(stages: str, pod_log: Path) -> str:
    """Return kwok's configuration: the stages, and one file that is every pod's log.

    No exec: kwok would run the command on this machine, with the lab's own rights.
    """
    logs: dict[str, Any] = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": {"name": "pods"},
        "spec": {"logs": [{"logsFile": str(pod_log)}]},
    }
    parts = (logs, forge_usage(), forge_metric())
    return "".join([stages, *(f"---\n{json.dumps(part, indent=2)}\n" for part in parts)])


def forge_usage() -> Wire:
    """Return what kwok takes the containers of a pod to use: what its annotations say, or little."""

    def said(annotation: str, default: str) -> Wire:
        noted = f'pod.metadata.annotations["{annotation}"]'
        has = f'"{annotation}" in pod.metadata.annotations'
        return {"expression": f'Quantity({has} ? {noted} : "{default}")'}

    usage = {"cpu": said(CPU_ANNOTATION, "1m"), "memory": said(MEMORY_ANNOTATION, "1Mi")}
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterResourceUsage",
        "metadata": {"name": "pods"},
        "spec": {"usages": [{"usage": usage}]},
    }


def forge_metric() -> Wire:
    """Return the page on which kwok says that, as a kubelet does on /metrics/resource."""
    place = {"container": "container.name", "namespace": "pod.metadata.namespace", "pod": "pod.metadata.name"}
    labels = [{"name": name, "value": value} for name, value in place.items()]
    rows: Sequence[tuple[str, str, list[Wire]]] = (
        ("container_cpu_usage_seconds_total", 'pod.CumulativeUsage("cpu", container.name)', labels),
        ("container_memory_working_set_bytes", 'pod.Usage("memory", container.name)', labels),
        ("node_cpu_usage_seconds_total", 'node.CumulativeUsage("cpu")', []),
        ("node_memory_working_set_bytes", 'node.Usage("memory")', []),
    )
    metrics = [
        {
            "name": name,
            "dimension": "container" if labels else "node",
            "kind": "counter" if name.endswith("_total") else "gauge",
            "labels": labels,
            "value": value,
        }
        for name, value, labels in rows
    ]
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Metric",
        "metadata": {"name": "resource"},
        "spec": {"path": METRICS_PATH, "metrics": metrics},
    }
