"""Where others reach our API server, as far as we can tell ourselves."""

from liqo.adapters.kubeconfig import Access
from liqo.api.meta import labels_of
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
