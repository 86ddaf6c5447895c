"""A Service of home, and what is behind it, as they are on foreign; pure.

The Service keeps its selector, so that foreign's own controllers find the pods that run there, also while home is away.
Slices of ours add home's own.
"""

from collections.abc import Callable, Iterable, Sequence

from liqo.api.kinds import ENDPOINT_SLICE, SERVICE
from liqo.api.meta import Wire, labels_of
from liqo.api.names import MANAGED_LABEL

SERVICE_NAME_LABEL = "kubernetes.io/service-name"  # discovery/v1
MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGER_NAME = "liqo.io"
API_SERVER = "kubernetes"  # the Service of the API server itself
SUFFIX = "-home"  # of a slice's name abroad, so that it never meets one of foreign's own

AS_THEY_ARE = (
    "internalTrafficPolicy",
    "publishNotReadyAddresses",
    "selector",
    "sessionAffinity",
    "sessionAffinityConfig",
)
OF_A_PORT = ("appProtocol", "name", "port", "protocol", "targetPort")
CONDITIONS = ("ready", "serving", "terminating")


def is_reflected(service: Wire) -> bool:
    """Return whether a Service of home is there on foreign too."""
    return (
        service["spec"].get("type") != "ExternalName"
        and service["metadata"]["name"] != API_SERVER
        and "deletionTimestamp" not in service["metadata"]
    )


def forge_service(home: Wire, remote: str) -> Wire:
    """Return a Service as it is applied in the namespace `remote`: of foreign only, at an address of its own."""
    spec = home["spec"]
    forged: Wire = {"type": "ClusterIP"} | {name: spec[name] for name in AS_THEY_ARE if name in spec}
    if spec.get("clusterIP") == "None":
        forged["clusterIP"] = "None"
    ports = [{name: p[name] for name in OF_A_PORT if name in p} for p in spec.get("ports") or ()]
    if ports:
        forged["ports"] = ports
    return {
        "apiVersion": SERVICE.api_version,
        "kind": SERVICE.kind,
        "metadata": {
            "name": home["metadata"]["name"],
            "namespace": remote,
            "labels": {MANAGED_LABEL: "liqo"},
        },
        "spec": forged,
    }


def forge_slices(
    service: Wire, slices: Iterable[Wire], node: str, remote: str, is_own: Callable[[str], bool]
) -> list[Wire]:
    """Return the slices of a Service for one foreign cluster: what is in home's own pod networks.

    Args:
        service: at home.
        slices: all of home's for it.
        node: the virtual node of that cluster.
        remote: the namespace there.
        is_own: whether an address is of a pod of home's; foreign takes no other.
    """
    found = []
    for piece in slices:
        endpoints = [
            _endpoint(e)
            for e in piece.get("endpoints") or ()
            if (not service["spec"].get("selector") or e.get("nodeName") != node)
            and all(map(is_own, e["addresses"]))
        ]
        if endpoints:
            found.append(_slice(service, piece, endpoints, remote))
    return found


def _slice(service: Wire, piece: Wire, endpoints: Sequence[Wire], remote: str) -> Wire:
    name = service["metadata"]["name"]
    return {
        "apiVersion": ENDPOINT_SLICE.api_version,
        "kind": ENDPOINT_SLICE.kind,
        "metadata": {
            "name": piece["metadata"]["name"] + SUFFIX,
            "namespace": remote,
            "labels": {SERVICE_NAME_LABEL: name, MANAGED_BY_LABEL: MANAGER_NAME, MANAGED_LABEL: "liqo"},
        },
        "addressType": piece["addressType"],
        "endpoints": list(endpoints),
        "ports": list(piece.get("ports") or ()),
    }


def _endpoint(endpoint: Wire) -> Wire:
    """Return where a backend is, without what only home knows (node, zone, pod)."""
    told = endpoint.get("conditions") or {}
    forged: Wire = {
        "addresses": endpoint["addresses"],
        "conditions": {name: told[name] for name in CONDITIONS if name in told},
    }
    if endpoint.get("hostname"):
        forged["hostname"] = endpoint["hostname"]
    return forged


def is_ours(obj: Wire) -> bool:
    """Return whether an object on foreign is one that we put there.

    Foreign's own slices have all labels of the Service that they are for, ours among them.
    """
    labels = labels_of(obj)
    return labels.get(MANAGED_LABEL) == "liqo" and labels.get(MANAGED_BY_LABEL, MANAGER_NAME) == MANAGER_NAME
