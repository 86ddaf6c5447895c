"""Pod networks: what a cluster tells of its own, and what is believed of another's; pure."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network

from liqo.api.meta import Wire

CIDRS_MAX = 64
CIDR_CHARS = 43  # the longest IPv6 one
SHORTEST = {4: 8, 6: 32}  # prefix lengths; a shorter one is no cluster's pods

Network = IPv4Network | IPv6Network


def own_cidrs(nodes: Iterable[Wire]) -> list[str]:
    """Return the pod networks of nodes, as few as say the same, at most CIDRS_MAX."""
    texts = {text for node in nodes for text in node.get("spec", {}).get("podCIDRs") or ()}
    networks = [network for text in texts if (network := parse_cidr(text)) is not None]
    v4 = collapse_addresses(n for n in networks if isinstance(n, IPv4Network))
    v6 = collapse_addresses(n for n in networks if isinstance(n, IPv6Network))
    return [str(network) for network in (*v4, *v6)][:CIDRS_MAX]


def addresses_of(nodes: Iterable[Wire]) -> list[str]:
    """Return the addresses of nodes."""
    return sorted({a["address"] for n in nodes for a in n.get("status", {}).get("addresses") or ()})


def believed_cidrs(told: Iterable[str], taken: Iterable[str]) -> list[str]:
    """Return which pod networks another cluster may have: none that meets one that is taken, none that is special.

    Args:
        told: by the other cluster.
        taken: networks and addresses where no pod of it can be, such as those of our own pods and nodes.
    """
    closed = [network for text in taken if (network := parse_cidr(text)) is not None]
    found = (parse_cidr(text) for text in told)
    return [str(n) for n in found if n is not None and _is_ordinary(n) and not _meets(n, closed)]


def is_inside(address: str, cidrs: Sequence[str]) -> bool:
    """Return whether an address is in one of some networks."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    networks = (parse_cidr(text) for text in cidrs)
    return any(n is not None and n.version == found.version and found in n for n in networks)


# CIDRS_MAX of 128 clusters: each decision looks at all of them and at all nodes again.
@lru_cache(maxsize=8_192)
def parse_cidr(text: str) -> Network | None:
    """Return a network, or that of one address; None if it is neither."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _is_ordinary(network: Network) -> bool:
    special = network.is_loopback or network.is_link_local or network.is_multicast or network.is_unspecified
    return not special and network.prefixlen >= SHORTEST[network.version]


def _meets(network: Network, others: Iterable[Network]) -> bool:
    return any(network.version == o.version and network.overlaps(o) for o in others)
