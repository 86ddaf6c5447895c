"""The programs of a real node as data: containerd, kubelet, kube-proxy and the cluster's DNS; pure.

The node is the cluster's own host, with its network and its address. Mounts, processes and cgroups are apart from the
machine's: a program that is PID 1 holds namespaces for those, and whatever runs there ends with it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from liqo.lab.build import NODE
from liqo.lab.component import MACHINE, Component, Probe
from liqo.lab.image import PAUSE
from liqo.lab.spec import REAL_NODE, ClusterSpec

NODE_PART = "node"
HELD = "sleep"  # what PID 1 of a node runs when all is mounted
POD_PART = "pods"  # what the processes that hold containers are marked with
REAL_PARTS = (NODE_PART, "containerd", "kubelet", "kube-proxy", "cluster-dns")
NODE_FOLDER = "node"  # in the folder of a cluster
HIDDEN = ("/run", "/var/lib", "/var/log", "/proc")  # a node has its own of these
LABEL, LABEL_VALUE = "type", "real"  # as fake nodes have `type: kwok`
SOCKET = "/run/containerd/containerd.sock"
KUBELET_PORT = 10250
DOMAIN = "cluster.local"

# What kubelet would set on the whole machine, and nobody would set back; it reads these here instead.
TUNABLES: Mapping[str, int] = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}
# $1 is the node's folder. Children that nobody waits for are dropped by the kernel where SIGCHLD is ignored.
_HOLD = """set -e
mkdir -p "$1/lib" "$1/log"
mount -t tmpfs -o mode=755 tmpfs /run
mount --bind "$1/lib" /var/lib
mount --bind "$1/log" /var/log
mkdir /run/sysctl
shift
for each; do
  file="/proc/sys/${each%%=*}"
  [ -e "$file" ] || continue
  own="/run/sysctl/$(basename "$file")"
  echo "${each#*=}" >"$own"
  mount --bind "$own" "$file"
done
trap '' CHLD
exec sleep infinity
"""
SHIM_PATH = "bin/containerd-shim-runc-v2"  # in the node's folder; containerd takes the first on its PATH
# A shim outlives the containerd that started it, and must not be taken for it.
SHIM = """#!/bin/sh
LIQO_LAB_PART="${{LIQO_LAB_PART%%/*}}/{part}" exec {shim} "$@"
"""


def node_folder(spec: ClusterSpec) -> Path:
    """Return where a node keeps all of its files."""
    return spec.folder / NODE_FOLDER


def cgroup_prefix(folder: Path) -> str:
    """Return how the names of the cgroups of a lab begin; two labs never share one."""
    return f"liqo-lab-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}-"


def cgroup_name(spec: ClusterSpec) -> str:
    """Return the name of the cgroup above all pods of a cluster, in every hierarchy."""
    return cgroup_prefix(spec.folder.parent) + spec.name


def tools_env(spec: ClusterSpec, tools: Path, libraries: str) -> dict[str, str]:
    """Return the environment in which the packages' programs find each other.

    Args:
        spec: the cluster.
        tools: where the packages are unpacked.
        libraries: their folders, for LD_LIBRARY_PATH.
    """
    ours = (node_folder(spec) / "bin", tools / "usr/bin", tools / "usr/sbin", tools / "sbin", tools / "bin")
    path = ":".join((*map(str, ours), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"))
    return {"PATH": path, "LD_LIBRARY_PATH": libraries}


def holder(spec: ClusterSpec) -> Component:
    """Return PID 1 of the node, which does nothing."""
    options = ("--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc")
    tunables = (f"{name}={value}" for name, value in TUNABLES.items())
    return Component(
        name=NODE_PART,
        program="unshare",
        kubernetes=MACHINE,
        args=(*options, "--", "/bin/sh", "-c", _HOLD, "node", str(node_folder(spec)), *tunables),
        stop_order=4,
    )


def containerd(spec: ClusterSpec, tools: Path) -> Component:
    """Return the container runtime, with a pod network of its own."""
    folder = node_folder(spec)
    return Component(
        name="containerd",
        program=str(tools / "usr/bin/containerd"),
        kubernetes=MACHINE,
        args=("--config", str(folder / "containerd.toml")),
        files={
            f"{NODE_FOLDER}/containerd.toml": _containerd_config(folder, tools),
            f"{NODE_FOLDER}/cni/lab.conflist": _text(_pod_network(spec)),
        },
        in_node=True,
        after=(NODE_PART,),
        stop_order=3,
    )


def kubelet(spec: ClusterSpec) -> Component:
    """Return the kubelet, with a serving certificate of the cluster's CA."""
    folder = node_folder(spec)
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": spec.host,
        "port": KUBELET_PORT,
        "healthzBindAddress": spec.private,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(spec.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(spec.pki / "node.crt"),
        "tlsPrivateKeyFile": str(spec.pki / "node.key"),
        "clusterDomain": DOMAIN,
        "clusterDNS": [spec.cluster_dns],
        "resolvConf": str(folder / "resolv.conf"),
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup_name(spec)}",
        "cgroupsPerQOS": True,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "podLogsDir": "/var/log/pods",
        # The disk is the machine's, and how full that is is none of the lab's business.
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
    }
    return Component(
        name="kubelet",
        program="kubelet",
        kubernetes=NODE,
        args=(
            f"--config={folder / 'kubelet.json'}",
            f"--kubeconfig={folder / 'kubelet.kubeconfig'}",
            f"--hostname-override={spec.real_node}",
            f"--node-ip={spec.host}",
            f"--node-labels={LABEL}={LABEL_VALUE}",
        ),
        files={f"{NODE_FOLDER}/kubelet.json": _text(config), f"{NODE_FOLDER}/resolv.conf": ""},
        # By way of the API server, so that nobody else needs a right to ask.
        probe=Probe(service="api", path=f"/api/v1/nodes/{spec.real_node}/proxy/healthz"),
        in_node=True,
        stop_order=2,
    )


def kube_proxy(spec: ClusterSpec) -> Component:
    """Return what makes the addresses of Services work, on the host and in its pods."""
    folder = node_folder(spec)
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "bindAddress": spec.host,
        "healthzBindAddress": f"{spec.private}:10256",
        "metricsBindAddress": f"{spec.private}:10249",
        "hostnameOverride": spec.real_node,
        "clusterCIDR": spec.pod_cidr,
        "clientConnection": {"kubeconfig": str(folder / "kube-proxy.kubeconfig")},
        # These limits are the whole machine's; zero leaves them alone.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }
    return Component(
        name="kube-proxy",
        program="kube-proxy",
        kubernetes=NODE,
        args=(f"--config={folder / 'kube-proxy.json'}",),
        files={f"{NODE_FOLDER}/kube-proxy.json": _text(config)},
    )


def cluster_dns(spec: ClusterSpec) -> Component:
    """Return the name server of the cluster's Services, on the host's address."""
    kubernetes = f"kubernetes {DOMAIN} in-addr.arpa {{\n        kubeconfig {spec.lan_kubeconfig}\n        ttl 1\n    }}"
    corefile = f".:53 {{\n    bind {spec.host}\n    errors\n    {kubernetes}\n}}\n"
    return Component(
        name="cluster-dns",
        program="cluster-dns",
        kubernetes=NODE,
        args=("-conf", str(node_folder(spec) / "Corefile")),
        files={f"{NODE_FOLDER}/Corefile": corefile},
    )


def real_components(spec: ClusterSpec, tools: Path, libraries: str) -> tuple[Component, ...]:
    """Return all of a real node, in an order in which it can start."""
    env = tools_env(spec, tools, libraries)
    parts = (holder(spec), containerd(spec, tools), kubelet(spec), kube_proxy(spec), cluster_dns(spec))
    return tuple(replace(part, env=env) for part in parts)


def forge_objects(spec: ClusterSpec) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Return the node, Service `kube-dns` and where that leads, each with the path to post it to.

    A kubelet takes up a node that is there. It would make one without a pod network: who gives them out elsewhere
    knows nothing of the network plugin's configuration here.
    """
    cidr = spec.node_cidr(REAL_NODE)
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": spec.real_node, "labels": {LABEL: LABEL_VALUE}},
        "spec": {"podCIDR": cidr, "podCIDRs": [cidr]},
    }
    ports = [
        {"name": name, "protocol": protocol, "port": 53}
        for name, protocol in (("dns", "UDP"), ("dns-tcp", "TCP"))
    ]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "labels": {"k8s-app": "kube-dns"}},
        "spec": {"clusterIP": spec.cluster_dns, "ports": ports},
    }
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "kube-dns-lab", "labels": {"kubernetes.io/service-name": "kube-dns"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [spec.host]}],
        "ports": ports,
    }
    system = "namespaces/kube-system"
    return (
        ("/api/v1/nodes", node),
        (f"/api/v1/{system}/services", service),
        (f"/apis/discovery.k8s.io/v1/{system}/endpointslices", slice_),
    )


def _containerd_config(folder: Path, tools: Path) -> str:
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
address = "{SOCKET}"
[{cri}]
sandbox_image = "{PAUSE}"
disable_apparmor = true
restrict_oom_score_adj = true
[{cri}.containerd]
snapshotter = "native"
default_runtime_name = "runc"
[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{cri}.cni]
bin_dir = "{tools / "usr/lib/cni"}"
conf_dir = "{folder / "cni"}"
"""


def _pod_network(spec: ClusterSpec) -> dict[str, Any]:
    """Return one cable from each pod to the host: pods are reached by routes, and nothing is masqueraded.

    With a bridge a Service's answer could take the short way back, past the translation of its address.
    """
    subnet = spec.node_cidr(REAL_NODE)
    ranges = {"type": "host-local", "ranges": [[{"subnet": subnet}]], "routes": [{"dst": "0.0.0.0/0"}]}
    return {
        "cniVersion": "0.4.0",
        "name": "lab",
        "plugins": [{"type": "ptp", "ipMasq": False, "ipam": ranges}],
    }


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2) + "\n"
