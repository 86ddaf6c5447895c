"""Which pod networks are believed of which foreign cluster; pure.

Addresses of pods end up behind home's Services, and clients follow them. So one counts only inside a network that is
believed of its cluster: told by the cluster itself, or entered by a person here; not ours in any way, and no other
cluster's. Of two that name one network, who was entered counts, then who was there first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from liqo.api.cidrs import believed_cidrs, parse_cidr
from liqo.api.foreign_cluster import ForeignCluster

NEAR = {4: 24, 6: 64}  # prefix lengths: the neighbours of a host, which are machines, and nobody's pods
HINT = "spec.podCIDRs of its ForeignCluster says where its pods are"


@dataclass(frozen=True, slots=True)
class Claim:
    """The pod networks that a cluster is said to have."""

    cidrs: Sequence[str] = ()
    entered: bool = False  # by a person here; what the cluster tells is not asked then
    since: str = ""  # when its ForeignCluster was made


def claim_of(foreign: ForeignCluster, told: Sequence[str]) -> Claim:
    """Return what counts as the claim of a cluster that told these networks."""
    entered, created = foreign.spec.pod_cidrs, foreign.metadata.creation_timestamp
    return Claim(entered or told, bool(entered), created.isoformat() if created else "")


def believe(claims: Mapping[str, Claim], ours: Sequence[str]) -> dict[str, list[str]]:
    """Return the networks that are believed of each cluster.

    Args:
        claims: by ClusterID.
        ours: networks and addresses where no pod of another cluster is: our own pods, nodes, Services, API server. The
            neighbours of these hosts are none either, unless a person entered them.
    """
    near, believed = [_around(text) for text in ours], dict[str, list[str]]()
    for cluster_id, claim in sorted(
        claims.items(), key=lambda item: (not item[1].entered, item[1].since, item[0])
    ):
        taken = [cidr for cidrs in believed.values() for cidr in cidrs]
        believed[cluster_id] = believed_cidrs(claim.cidrs, [*(ours if claim.entered else near), *taken])
    return believed


def _around(text: str) -> str:
    """Return the network around one address, and a network as it is."""
    network = parse_cidr(text)
    if network is None or network.num_addresses > 1:
        return text
    return f"{network.network_address}/{NEAR[network.version]}"


def refused(claim: Claim, believed: Sequence[str]) -> list[str]:
    """Return what of a claim is not believed."""
    return [text for text in claim.cidrs if str(parse_cidr(text)) not in believed]
