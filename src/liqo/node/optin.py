"""Which of home's namespaces may run pods on which foreign cluster; pure."""

from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.meta import Wire, labels_of
from liqo.api.names import CLUSTERS_ANNOTATION, ENABLED_LABEL


def is_enabled(namespace: Wire) -> bool:
    """Return whether a namespace's owner lets its pods run abroad."""
    return labels_of(namespace).get(ENABLED_LABEL) == "true"


def named_clusters(namespace: Wire) -> frozenset[str]:
    """Return the clusters that a namespace names, by the ForeignCluster's name or by id; none: it names no one."""
    text = (namespace["metadata"].get("annotations") or {}).get(CLUSTERS_ANNOTATION, "")
    return frozenset(name for part in text.split(",") if (name := part.strip()))


def counts(namespace: Wire, foreign: ForeignCluster, *, autojoined: bool) -> bool:
    """Return whether pods of a namespace may run on a foreign cluster.

    Where a namespace names no cluster, those count that a person joined.
    """
    if not is_enabled(namespace) or "deletionTimestamp" in namespace["metadata"]:
        return False
    named = named_clusters(namespace)
    if named:
        return bool(named & {foreign.metadata.name, foreign.spec.cluster_id or ""})
    return not autojoined
