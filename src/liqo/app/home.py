"""What the controller knows of its own cluster."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import yaml

from liqo.adapters.kubeconfig import Access
from liqo.api.cluster_config import ClusterConfigSpec, DiscoveryConfig
from liqo.api.kinds import CONFIG_MAP, NODE, SERVICE_CIDR
from liqo.api.meta import Key
from liqo.app.own_address import own_server
from liqo.errors import Absent, Forbidden, Invalid
from liqo.identity.cluster_id import ClusterID, Identity
from liqo.identity.trust import door_beside
from liqo.peering.ports import Ourselves
from liqo.runtime.ports import Cluster, Selection
from liqo.runtime.store import Store


@dataclass(slots=True, kw_only=True)
class Home:
    """Answers who we are from the settings in force, and from what `own_access` saw last."""

    cluster_id: ClusterID
    identity: Identity
    namespace: str
    access: Access
    cluster_info: str  # the server in ConfigMap kube-public/cluster-info, "" if there is none
    nodes: Store
    config: Callable[[], ClusterConfigSpec]
    door_port: int = 0  # of our door; 0 if there is none
    certificate_names: tuple[str, ...] = ()  # that our API server's certificate is for
    service_cidrs: Sequence[str] = ()

    def us(self) -> Ourselves:
        """Return this cluster as others have to reach and to know it."""
        discovery = self.config().discovery_config
        server = discovery.api_url or self.server()
        return Ourselves(
            cluster_id=self.cluster_id,
            identity=self.identity,
            cluster_name=discovery.cluster_name or f"cluster-{self.cluster_id[:6]}",
            namespace=self.namespace,
            server=server,
            ca_pem=self.access.ca_pem,
            publish_ca=discovery.allow_untrusted_ca,
            certificate_names=self.certificate_names,
            door_url=door_beside(server, self.door_port) if self.door_port and server else "",
        )

    def server(self) -> str:
        """Return our API server's address for others: cluster-info's, the kubeconfig's, the control plane's."""
        return own_server(self.cluster_info, self.access, self.nodes)

    def closed(self) -> list[str]:
        """Return where no pod of another cluster can be: our Services, and our API server in others' eyes and ours."""
        hosts = (urlsplit(url).hostname or "" for url in (self.us().server, self.access.server))
        return [*self.service_cidrs, *hosts]


async def find_own_server(cluster: Cluster, access: Access, discovery: DiscoveryConfig) -> str:
    """Return where others reach a cluster's API server, asked from outside its controller.

    Raises:
        Invalid: nobody knows.
    """
    nodes = Store()
    nodes.replace((await cluster.list(Selection(NODE))).items, "")
    server = discovery.api_url or own_server(await read_cluster_info(cluster), access, nodes)
    if not urlsplit(server).hostname:
        raise Invalid("no address of the API server is known", hint="set spec.discoveryConfig.apiUrl")
    return server


async def read_cluster_info(cluster: Cluster) -> str:
    """Return the server that kubeadm wrote down for those who join; "" where there is none."""
    try:
        found = await cluster.get(CONFIG_MAP, Key("kube-public", "cluster-info"))
        config = yaml.safe_load((found.get("data") or {}).get("kubeconfig", "")) or {}
        server = str(config["clusters"][0]["cluster"]["server"])
    except (Absent, Forbidden, KeyError, IndexError, TypeError, yaml.YAMLError):
        return ""
    return server if urlsplit(server).scheme == "https" else ""


async def read_service_cidrs(cluster: Cluster) -> list[str]:
    """Return the ranges of our Services' addresses; none before Kubernetes 1.33, where nothing tells them."""
    try:
        found = await cluster.list(Selection(SERVICE_CIDR))
    except (Absent, Forbidden):
        return []
    return [cidr for wire in found.items for cidr in wire["spec"]["cidrs"]]
