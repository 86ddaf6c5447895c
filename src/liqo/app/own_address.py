"""Where others reach our API server and our door, as far as we can tell ourselves."""

from datetime import datetime

from liqo.adapters.kubeconfig import Access
from liqo.api.meta import Wire, labels_of
from liqo.api.names import WELL_KNOWN_KEY
from liqo.errors import Malformed, NotTrusted
from liqo.identity.document import parse_document
from liqo.runtime.store import Store

CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
SECURE_PORT = 6443  # what kubeadm and k3s use


def own_server(cluster_info: str, access: Access, nodes: Store) -> str:
    """Return the URL: cluster-info's, the kubeconfig's, else the control plane's; "" if none is known.

    Never a Service's or a pod's, which mean nothing outside.

    Args:
        cluster_info: the server in ConfigMap kube-public/cluster-info, "" if there is none.
        access: how we reach it ourselves.
        nodes: of our cluster.
    """
    if cluster_info:
        return cluster_info
    if not access.in_cluster:
        return access.server
    for node in nodes.values():
        if CONTROL_PLANE_LABEL in labels_of(node):
            for address in node.get("status", {}).get("addresses") or ():
                if address["type"] == "InternalIP":
                    host = f"[{address['address']}]" if ":" in address["address"] else address["address"]
                    return f"https://{host}:{SECURE_PORT}"
    return ""


def own_door(config_map: Wire, home_id: str, now: datetime) -> str:
    """Return where our door is, as our well-known document says; "" if it names none, or says nothing that counts.

    Args:
        config_map: that holds the document.
        home_id: our ClusterID.
        now: an old document is that of a controller which is away, and its door with it.
    """
    text = (config_map.get("data") or {}).get(WELL_KNOWN_KEY, "")
    try:
        return parse_document(text, now, expected=home_id).door_url
    except (Malformed, NotTrusted):
        return ""
