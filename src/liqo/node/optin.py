"""Which of home's namespaces may run pods on which foreign cluster; pure."""

import re

from liqo.api.bounds import CLUSTERS_MAX, FOREIGN_NAME
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.meta import Wire, labels_of
from liqo.api.names import CLUSTERS_ANNOTATION, ENABLED_LABEL

_NAME = re.compile(FOREIGN_NAME)


def is_enabled(namespace: Wire) -> bool:
    """Return whether a namespace's owner lets its pods run abroad."""
    return (
        labels_of(namespace).get(ENABLED_LABEL) == "true" and "deletionTimestamp" not in namespace["metadata"]
    )


def is_narrowed(namespace: Wire) -> bool:
    """Return whether a namespace says on which clusters its pods may run."""
    return bool(_annotation(namespace).strip(" ,"))


def named_clusters(namespace: Wire) -> frozenset[str]:
    """Return the clusters that a namespace names, by the ForeignCluster's name or by id.

    At most CLUSTERS_MAX, and only what can be a name: a policy refuses all else, but was not always there.
    """
    names = (part.strip() for part in _annotation(namespace).split(",", CLUSTERS_MAX)[:CLUSTERS_MAX])
    return frozenset(name for name in names if _NAME.match(name))


def counts(namespace: Wire, foreign: ForeignCluster, *, autojoined: bool) -> bool:
    """Return whether pods of a namespace may run on a foreign cluster.

    Where a namespace names no cluster, those count that a person joined.
    """
    if not is_enabled(namespace):
        return False
    if is_narrowed(namespace):
        return bool(named_clusters(namespace) & {foreign.metadata.name, foreign.spec.cluster_id or ""})
    return not autojoined


def _annotation(namespace: Wire) -> str:
    return str((namespace["metadata"].get("annotations") or {}).get(CLUSTERS_ANNOTATION, ""))
