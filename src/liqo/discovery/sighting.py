"""Another cluster as one finder sees it, and the objects made from that; pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from liqo.api.foreign_cluster import ENDPOINTS_MAX, DiscoveryType
from liqo.api.kinds import FOREIGN_CLUSTER
from liqo.api.meta import Wire, format_time
from liqo.api.names import AUTOJOINED_LABEL

LAN = "lan"
MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one finder knows of a cluster.

    Args:
        cluster_id: that it claims; nothing is proved yet.
        cluster_name: a DNS label, or "".
        namespace: of Liqo there.
        untrusted_ca: whether it says that its CA is in its document.
        endpoints: URLs of its API server, the best first.
        door_url: "" if it has none.
        instance: its name for people, as the finder saw it; at most 255 characters, printable.
        ttl: how long this stays true unasked.
        authenticated: whether the way it was found proves that its owner wrote it.
        conflict: why this may not be the cluster; "" if nobody else claims its id.
    """

    cluster_id: str
    cluster_name: str = ""
    namespace: str
    untrusted_ca: bool = False
    endpoints: tuple[str, ...]
    door_url: str = ""
    instance: str = ""
    ttl: timedelta
    authenticated: bool = False
    conflict: str = ""


def dns_finder(search_domain: str) -> str:
    """Return the name of the source that a SearchDomain is."""
    return f"dns/{search_domain}"


def forge_foreign(sighting: Sighting, found: DiscoveryType, *, join: bool, accept_untrusted: bool) -> Wire:
    """Return the ForeignCluster to create for a cluster that nobody knew of, named by its id.

    Args:
        sighting: the first of it.
        found: how.
        join: whether the autojoin rules join it at once.
        accept_untrusted: what we accept of others (ClusterConfig).
    """
    spec: Wire = {
        "clusterID": sighting.cluster_id,
        "namespace": sighting.namespace,
        "join": join,
        "discoveryType": found,
        "allowUntrustedCA": accept_untrusted and sighting.untrusted_ca,
    }
    if sighting.cluster_name:
        spec["clusterName"] = sighting.cluster_name
    if sighting.endpoints:
        spec["apiUrl"] = sighting.endpoints[0]
    if sighting.door_url:
        spec["doorUrl"] = sighting.door_url
    metadata: Wire = {"name": sighting.cluster_id}
    if join:
        metadata["labels"] = {AUTOJOINED_LABEL: "true"}
    return {
        "apiVersion": FOREIGN_CLUSTER.api_version,
        "kind": FOREIGN_CLUSTER.kind,
        "metadata": metadata,
        "spec": spec,
    }


def forge_source(finder: str, sighting: Sighting, last_seen: datetime) -> Wire:
    """Return the finder's entry of status.sources."""
    entry: Wire = {
        "name": finder,
        "endpoints": list(sighting.endpoints[:ENDPOINTS_MAX]),
        "ttlSeconds": int(sighting.ttl.total_seconds()),
        "lastSeen": format_time(last_seen),
    }
    if sighting.instance:
        entry["instance"] = sighting.instance
    if sighting.authenticated:
        entry["authenticated"] = True
    if sighting.conflict:
        entry["conflict"] = sighting.conflict
    return entry
