"""Where strangers ask, and what an owner does so that they ask the API server; pure."""

from collections.abc import Sequence

from liqo.api.kinds import CONFIG_MAP, FEDERATION_REQUEST
from liqo.api.names import DOOR_PORT, WELL_KNOWN_CONFIG_MAP

HEALTH = ("/livez", "/readyz", "/healthz")  # which kubeadm's own probes ask without credentials
FILE = "liqo-strangers.yaml"


def stranger_paths(ns: str) -> tuple[str, str]:
    """Return the two paths at which a stranger asks: for the document, and with a FederationRequest."""
    return CONFIG_MAP.path(ns, WELL_KNOWN_CONFIG_MAP), FEDERATION_REQUEST.path(ns)


def opening(ns: str) -> list[str]:
    """Return the lines that let strangers ask an API server at those two paths, for k3s and for kubeadm."""
    return [
        f"# {FILE}: strangers may ask at these paths, and at no other",
        "apiVersion: apiserver.config.k8s.io/v1beta1",
        "kind: AuthenticationConfiguration",
        "anonymous:",
        "  enabled: true",
        "  conditions:",
        *(f"    - path: {path}" for path in (*stranger_paths(ns), *HEALTH)),
        "",
        f"# k3s and RKE2, of 1.31.9, 1.32.5, 1.33.1 or newer: /etc/rancher/k3s/config.yaml with {FILE} beside it",
        "kube-apiserver-arg:",
        f"  - authentication-config=/etc/rancher/k3s/{FILE}",
        "",
        f"# kubeadm, of 1.32 or newer: ClusterConfiguration with {FILE} in /etc/kubernetes/pki, which is mounted",
        "apiServer:",
        "  extraArgs:",
        "    - name: authentication-config",
        f"      value: /etc/kubernetes/pki/{FILE}",
        "",
        "# On both take --anonymous-auth out where it is set, and start the API server again.",
    ]


def explain_entry(ns: str, server: str, *, is_open: bool, door: bool) -> Sequence[str]:
    """Return where others ask, and what that means for the owner.

    Args:
        ns: Liqo's namespace.
        server: the API server's address for others.
        is_open: whether the API server takes anonymous requests at those paths.
        door: whether the controller opens a door where it does not.
    """
    if is_open:
        return [
            f"Others ask at {server}: this API server takes anonymous requests, and lets them do two things."
        ]
    closed = "This API server takes no anonymous requests"
    if door:
        where = f"at the controller's door, port {DOOR_PORT} of the same host"
        return [
            f"{closed}: others ask {where}. It lets strangers do two things; open that port. docs/how-to/door.md"
        ]
    return [
        f"{closed}, and there is to be no door: nobody can ask before you have opened two paths of {server}:",
        "",
        *opening(ns),
        "",
    ]
