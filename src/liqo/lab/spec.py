"""What a cluster of the lab is: name, addresses, options; pure.

Every cluster is a host of one LAN of its own lab, so two labs use equal addresses and never meet. Where the
kernel allows no network namespaces, each cluster has a loopback address instead, and each lab its own third
octet.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from liqo.errors import Invalid

LAN = "10.77.0"  # the first three octets; the LAN is inside the lab's namespaces only
DNS_HOST = 2  # the last octet of the lab's name server
FIRST_HOST = 10  # cluster 1 is .11
MAX_CLUSTERS = 60  # second octets for pods (129 …) and Services (191 …) stay apart
MAX_NODES = 250  # the third octet of a node's pods
NAME_MAX = 20  # leaves room for "liqo-" and a suffix in a node's name
NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")  # RFC 1035 label
RESERVED = ("dns", "lan")  # hosts of the lab that are no clusters
REAL_NODE = 251  # the third octet of the pods on a cluster's real node
DEFAULT_NODES = 3
NAMESPACE = "liqo"

# What a cluster serves, by the port on its own host. The relay carries each to the machine's loopback.
PORTS: Mapping[str, int] = {
    "api": 6443,
    "etcd": 2379,
    "controller-manager": 10257,
    "scheduler": 10259,
    "kwok": 10247,
    "liqo": 8080,
    "liqo-lan": 8081,
}


class Mode(StrEnum):
    """How the clusters of a lab are kept apart."""

    ROOT = "root"  # network namespaces, made by root
    USER = "user"  # the same inside a user namespace
    LOOPBACK = "loopback"  # one loopback address each, no LAN


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSpec:
    """One cluster: all that its components are computed from."""

    name: str
    index: int  # 1 …, never given twice in a lab
    folder: Path
    mode: Mode
    subnet: str = LAN
    nodes: int = DEFAULT_NODES
    anonymous: bool = True
    kubernetes: str = ""  # an older version, "1.31"; "": the lab's newest
    kubelet_ca: bool = False  # whether the API server checks who a kubelet is, as k3s does
    real: bool = False  # whether it has a real node, on which pods really run
    metrics: bool = False  # whether metrics-server runs in it
    liqo: bool = True
    lan: bool = True  # whether its LAN agent belongs to it; never without a LAN
    skew: float = 0.0  # seconds that Liqo's clock is ahead
    ports: Mapping[str, int] = field(default_factory=dict)  # on 127.0.0.1 of the machine, by service

    @property
    def host(self) -> str:
        """The cluster's address on the LAN."""
        return f"{self.subnet}.{FIRST_HOST + self.index}"

    @property
    def private(self) -> str:
        """Where programs listen that only this cluster's own programs talk to."""
        return self.host if self.mode is Mode.LOOPBACK else "127.0.0.1"

    @property
    def api_url(self) -> str:
        """The API server's address on the LAN."""
        return f"https://{self.host}:{PORTS['api']}"

    @property
    def people_url(self) -> str:
        """The API server's address for any program on this machine."""
        address, port = self.reach("api")
        return f"https://{address}:{port}"

    @property
    def service_cidr(self) -> str:
        """The range of Service addresses."""
        return f"10.{190 + self.index}.0.0/16"

    @property
    def service_ip(self) -> str:
        """The address of Service `kubernetes`, the first of its range."""
        return f"10.{190 + self.index}.0.1"

    @property
    def pod_cidr(self) -> str:
        """The range of pod addresses."""
        return f"10.{128 + self.index}.0.0/16"

    def node_cidr(self, number: int) -> str:
        """Return the range of the pods on one node; `number` counts from 1."""
        return f"10.{128 + self.index}.{number}.0/24"

    @property
    def cluster_dns(self) -> str:
        """The address of Service `kube-dns`, the tenth of the range, as everywhere."""
        return f"10.{190 + self.index}.0.10"

    @property
    def real_node(self) -> str:
        """The name of its real node."""
        return f"{self.name}-real"

    def reach(self, service: str) -> tuple[str, int]:
        """Return the address and port at which the machine reaches a service of this cluster."""
        if self.mode is Mode.LOOPBACK:
            return self.host, PORTS[service]
        return "127.0.0.1", self.ports[service]

    @property
    def pki(self) -> Path:
        """The folder of keys and certificates."""
        return self.folder / "pki"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig for people: works in any shell of this machine."""
        return self.folder / "admin.kubeconfig"

    @property
    def lan_kubeconfig(self) -> Path:
        """The administrator's kubeconfig for programs inside the cluster's network."""
        return self.folder / "lan.kubeconfig"

    @property
    def controller_kubeconfig(self) -> Path:
        """The kubeconfig of Liqo's own ServiceAccount, written by whoever installs Liqo."""
        return self.folder / "controller.kubeconfig"

    @property
    def metrics_kubeconfig(self) -> Path:
        """The kubeconfig of metrics-server's ServiceAccount."""
        return self.folder / "metrics.kubeconfig"

    @property
    def has_agent(self) -> bool:
        """Whether a LAN agent belongs to it."""
        return self.liqo and self.lan and self.mode is not Mode.LOOPBACK

    @property
    def agent_kubeconfig(self) -> Path:
        """The kubeconfig of the LAN agent's ServiceAccount, written by whoever installs Liqo."""
        return self.folder / "agent.kubeconfig"

    def log(self, component: str) -> Path:
        """The log of a component."""
        return self.folder / "logs" / f"{component}.log"


def check_name(name: str) -> str:
    """Return the name of a cluster.

    Raises:
        Invalid: it cannot be one.
    """
    if not NAME.fullmatch(name) or len(name) > NAME_MAX:
        raise Invalid(
            f"{name!r} cannot be the name of a cluster",
            hint=f"lower-case letters, digits and -, starting with a letter, at most {NAME_MAX}: rome, milan-2",
        )
    if name in RESERVED:
        raise Invalid(f"{name!r} is a host of the lab itself", hint="choose another name, such as rome")
    return name


def check_nodes(nodes: int) -> int:
    """Return the number of nodes.

    Raises:
        Invalid: it is out of range.
    """
    if not 0 <= nodes <= MAX_NODES:
        raise Invalid(f"a cluster cannot have {nodes} nodes", hint=f"--nodes takes 0 to {MAX_NODES}")
    return nodes


def mac(index: int) -> str:
    """Return the hardware address of the host with that index; 0 is the name server."""
    return f"02:4c:49:51:{index >> 8:02x}:{index & 0xFF:02x}"
