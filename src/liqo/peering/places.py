"""Who waits here, and in whose place; what strangers can have stored, and whom they can have called, is bounded; pure.

who asks                                               place
--------                                               -----
a person entered or accepted it, or it is joined,      one of its own
on the allow-list, invited, or a tenant already
anybody else                                           one of maxPending to wait, one of maxPeers to be called back
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.meta import Wire, labels_of
from liqo.api.names import CLUSTER_ID_LABEL

SAME_ID_MAX = (
    4  # requests of one cluster that has a place: the newest counts, and one is sent at most every 2 s
)
SAME_ADDRESS_MAX = 3  # call-backs to one address at once: whoever is there may never have heard of us
DOMAIN = "domain:"  # in the allow-list and the deny-list: whatever our own authenticated search found there


def is_listed(listed: Sequence[str], cluster_id: str, known: Iterable[ForeignCluster]) -> bool:
    """Return whether a cluster is on a list: by its id, or by a domain whose owner proved to name it."""
    proved = {
        DOMAIN + source.name.removeprefix("dns/")
        for foreign in known
        for source in foreign.status.sources
        if source.name.startswith("dns/") and source.authenticated and not source.conflict
    }
    return cluster_id in listed or not proved.isdisjoint(listed)


def has_own_place(
    cluster_id: str, known: Sequence[ForeignCluster], config: ClusterConfigSpec, *, invited: bool
) -> bool:
    """Return whether a cluster takes no stranger's place."""
    if invited or is_listed(config.peering_config.allowed_clusters, cluster_id, known):
        return True
    return any(
        f.spec.incoming == "Allow"
        or f.spec.join
        or f.spec.discovery_type == "Manual"
        or (f.status.incoming is not None and f.status.incoming.phase is not None)
        for f in known
    )


def is_waiting(request: Wire) -> bool:
    """Return whether a stored request was not accepted yet."""
    return (request.get("status") or {}).get("phase") != "Accepted"


def tenants(namespaces: Iterable[Wire], taken: Iterable[Wire]) -> set[str]:
    """Return the ids of all clusters that are tenants, or were accepted and will be.

    Args:
        namespaces: of tenants.
        taken: ForeignClusters with a status.incoming.phase.
    """
    found = {labels_of(w).get(CLUSTER_ID_LABEL, "") for w in namespaces}
    return found | {w["spec"].get("clusterID", "") for w in taken}


def exceeds(cluster_id: str, strangers: Iterable[Wire], most: int) -> bool:
    """Return whether a stranger's waiting requests are more than may be stored, the first come being served.

    Args:
        cluster_id: whose.
        strangers: all requests that wait without a place of their own.
        most: how many clusters may wait.
    """
    first: dict[str, tuple[str, str]] = {}
    for wire in strangers:
        metadata = wire["metadata"]
        came = (metadata.get("creationTimestamp", ""), metadata["name"])
        asker = wire["spec"]["clusterID"]
        first[asker] = min(first.get(asker, came), came)
    if cluster_id not in first:
        return False
    return sum(came < first[cluster_id] for came in first.values()) >= most


@dataclass(slots=True)
class CallBacks:
    """Whom strangers have us call at this moment."""

    _under_way: dict[str, frozenset[str]] = field(default_factory=dict)

    @contextmanager
    def place(self, name: str, addresses: frozenset[str], *, most: int) -> Iterator[bool]:
        """Take a place while a cluster is called back; tell whether there was one.

        Args:
            name: of the request.
            addresses: of the host that is called.
            most: places in all.
        """
        if not self._is_free(addresses, most) or name in self._under_way:
            yield False
            return
        self._under_way[name] = addresses
        try:
            yield True
        finally:
            del self._under_way[name]

    def _is_free(self, addresses: frozenset[str], most: int) -> bool:
        if len(self._under_way) >= most:
            return False
        return all(
            sum(a in other for other in self._under_way.values()) < SAME_ADDRESS_MAX for a in addresses
        )
