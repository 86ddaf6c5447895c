"""What a home cluster's namespace is here: its objects and bounds; pure."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network

from liqo.api.kinds import LIMIT_RANGE, NAMESPACE, NETWORK_POLICY, RESOURCE_QUOTA
from liqo.api.meta import Kind, Wire
from liqo.api.names import CLUSTER_ID_LABEL, HOME_NAMESPACE_LABEL, TENANT_LABEL
from liqo.api.quantity import UNIT, Amounts, format_amounts
from liqo.api.reasons import Reason
from liqo.api.rights import POD_SECURITY_LABEL, forge_object

BOUND = "liqo"  # the name of the quota, limit range and network policy
RESERVED = ("kube-", "liqo-tenant")  # theirs would be named like the system's, or like a tenant's own

STORED_MAX = {
    "configmaps": 500,
    "secrets": 500,
    "services": 100,
    "services.loadbalancers": 0,
    "services.nodeports": 0,
    "count/endpointslices.discovery.k8s.io": 500,
    "persistentvolumeclaims": 0,
}
"""What a home cluster may store in one namespace, beside its pods."""

PODS_STORED = 2  # times as many as may run: those that are over stay until home takes them away

PRIVATE = (
    "10.0.0.0/8",  # RFC 1918
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",  # RFC 6598
    "169.254.0.0/16",  # RFC 3927; cloud metadata
    "fc00::/7",  # RFC 4193
    "fe80::/10",  # RFC 4291
)
DNS_PORT = 53


def refusal(name: str) -> Reason | None:
    """Return why a namespace of that name is not taken from another cluster, None if it is."""
    return Reason.NAMESPACE_RESERVED if name.startswith(RESERVED) else None


def forge_place(name: str, remote: str, home_id: str) -> Wire:
    """Return the namespace on foreign that stands for one of home's."""
    labels = {
        CLUSTER_ID_LABEL: home_id,
        TENANT_LABEL: "true",
        HOME_NAMESPACE_LABEL: name,
        POD_SECURITY_LABEL: "baseline",
    }
    return forge_object(NAMESPACE, remote, labels=labels)


def is_place(namespace: Wire, name: str, home_id: str) -> bool:
    """Return whether a namespace is the one that stands for home's."""
    labels = namespace["metadata"].get("labels") or {}
    return labels.get(CLUSTER_ID_LABEL) == home_id and labels.get(HOME_NAMESPACE_LABEL) == name


def forge_quota(remote: str, home_id: str, amounts: Amounts) -> Wire:
    """Return the quota of a namespace: what its pods may ask for together, and what may be stored."""
    hard = format_amounts(amounts)
    asked = {name if name == "pods" else f"requests.{name}": text for name, text in hard.items()}
    stored = {"count/pods": str(amounts.get("pods", 0) // UNIT * PODS_STORED)}
    stored |= {name: str(most) for name, most in STORED_MAX.items()}
    return _bound(RESOURCE_QUOTA, remote, home_id, {"hard": {**asked, **stored}})


def forge_limits(remote: str, home_id: str) -> Wire:
    """Return the limit range: who asks for nothing asks for 0, since a quota refuses pods that do not say."""
    nothing = {"cpu": "0", "memory": "0"}
    return _bound(
        LIMIT_RANGE, remote, home_id, {"limits": [{"type": "Container", "defaultRequest": nothing}]}
    )


def forge_network(remote: str, home_id: str, nodes: Iterable[str]) -> Wire:
    """Return the network policy: the cluster's own pods, names, and the world, but nothing private.

    Args:
        remote: the namespace.
        home_id: whose it is; its other namespaces here may be reached.
        nodes: addresses of our nodes and API server, of which public ones are closed too.
    """
    closed = [*PRIVATE, *sorted(_public(nodes))]
    world = [
        {"ipBlock": {"cidr": whole, "except": [c for c in closed if (":" in c) == (":" in whole)]}}
        for whole in ("0.0.0.0/0", "::/0")
    ]
    ours = {"namespaceSelector": {"matchLabels": {CLUSTER_ID_LABEL: home_id}}}
    names = [{"protocol": protocol, "port": DNS_PORT} for protocol in ("UDP", "TCP")]
    egress = [{"to": [ours]}, {"ports": names}, {"to": world}]
    return _bound(
        NETWORK_POLICY, remote, home_id, {"podSelector": {}, "policyTypes": ["Egress"], "egress": egress}
    )


def forge_open_network(remote: str, home_id: str) -> Wire:
    """Return the network policy of a cluster that lets tenants' pods reach everything (privateEgress)."""
    return _bound(
        NETWORK_POLICY, remote, home_id, {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}
    )


def _public(addresses: Iterable[str]) -> set[str]:
    """Return those that PRIVATE does not cover, as networks of one address."""
    private = [ip_network(text) for text in PRIVATE]
    found = set()
    for text in addresses:
        try:
            address = ip_address(text)
        except ValueError:
            continue  # a name
        if not any(address in network for network in private if network.version == address.version):
            found.add(f"{address}/{address.max_prefixlen}")
    return found


def _bound(kind: Kind, remote: str, home_id: str, spec: Mapping[str, object]) -> Wire:
    return forge_object(kind, BOUND, remote, labels={CLUSTER_ID_LABEL: home_id}, spec=dict(spec))
