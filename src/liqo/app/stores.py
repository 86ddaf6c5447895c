"""Everything that the controller watches in its own cluster."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from liqo.api.foreign_cluster import ForeignCluster, counting, endpoints_of
from liqo.api.kinds import (
    ADVERTISEMENT,
    CLUSTER_CONFIG,
    CONFIG_MAP,
    FEDERATION_REQUEST,
    FOREIGN_CLUSTER,
    NAMESPACE,
    NAMESPACE_MAP,
    NODE,
    POD,
    RESOURCE_QUOTA,
    ROLE_BINDING,
    SEARCH_DOMAIN,
    SECRET,
    SERVICE_ACCOUNT,
)
from liqo.api.meta import Key, Kind, Wire, labels_of
from liqo.api.names import (
    CLIENT_CA_CONFIG_MAP,
    CLUSTER_ID_LABEL,
    CONFIG_NAME,
    ENABLED_LABEL,
    ENDING_ANNOTATION,
    IDENTITY_SECRET,
    INVITE_LABEL,
    MANAGED_LABEL,
    NODE_PREFIX,
    STAYS_ANNOTATION,
    SYSTEM_NAMESPACE,
    TENANT_LABEL,
    USAGE_PATH_ANNOTATION,
)
from liqo.node.loop_content import reference
from liqo.node.references import references
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Selection
from liqo.runtime.store import Store, prune_managed_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """One store for each selection; `selections` says which."""

    foreigns: Store
    domains: Store
    requests: Store
    invites: Store
    accounts: Store
    advertisements: Store
    configs: Store
    config_maps: Store
    nodes: Store
    pods: Store
    tenants: Store
    maps: Store
    quotas: Store
    enabled: Store
    bindings: Store
    client_ca: Store
    keys: Store

    def config(self) -> Wire | None:
        """Return the ClusterConfig that counts."""
        return self.configs.get(Key("", CONFIG_NAME))

    def counting(self, cluster_id: str) -> ForeignCluster | None:
        """Return the ForeignCluster that counts for a cluster."""
        return counting(self.siblings(cluster_id))

    def siblings(self, cluster_id: str) -> list[ForeignCluster]:
        """Return all ForeignClusters of a cluster."""
        return [ForeignCluster.parse(w) for w in self.foreigns.by("cluster-id", cluster_id)]

    def endpoints(self, cluster_id: str) -> list[str]:
        """Return where a cluster's API server is said to be."""
        counts = self.counting(cluster_id)
        return endpoints_of(counts) if counts is not None else []


def make_stores() -> Stores:
    """Return empty stores with the indexes that the loops use."""
    by_id = {"cluster-id": _spec_cluster_id}
    by_label = {"cluster-id": _label_cluster_id}
    return Stores(
        foreigns=Store(indexes={**by_id, "taken": _taken}),
        domains=Store(),
        requests=Store(indexes=by_id),
        invites=Store(prune=prune_managed_fields),
        accounts=Store(prune=lambda obj: {"metadata": _metadata(obj, labels=True)}),
        advertisements=Store(indexes=by_id),
        configs=Store(),
        config_maps=Store(),
        nodes=Store(indexes=by_label, prune=_prune_node),
        pods=Store(
            indexes={"namespace": _namespace, "node": _node_name, "refers": _refers}, prune=_prune_pod
        ),
        tenants=Store(indexes=by_label),
        maps=Store(),
        quotas=Store(indexes=by_label),
        enabled=Store(prune=prune_managed_fields),
        bindings=Store(prune=lambda obj: {"metadata": _metadata(obj, labels=True)}),
        client_ca=Store(prune=prune_managed_fields),
        keys=Store(prune=prune_managed_fields),
    )


def selections(namespace: str, stores: Stores) -> list[tuple[Selection, Store]]:
    """Return what each store is about."""

    def select(kind: Kind, where: str = "", labels: str = "") -> Selection:
        return Selection(kind, namespace=where, labels=labels)

    return [
        (select(FOREIGN_CLUSTER), stores.foreigns),
        (select(SEARCH_DOMAIN), stores.domains),
        (select(FEDERATION_REQUEST, namespace), stores.requests),
        (select(SERVICE_ACCOUNT, namespace, f"{INVITE_LABEL}=true"), stores.invites),
        (select(SERVICE_ACCOUNT, namespace, CLUSTER_ID_LABEL), stores.accounts),
        (select(ADVERTISEMENT, namespace), stores.advertisements),
        (select(CLUSTER_CONFIG), stores.configs),
        (select(CONFIG_MAP, namespace), stores.config_maps),
        (select(NODE), stores.nodes),
        (select(POD), stores.pods),
        (select(NAMESPACE, labels=TENANT_LABEL), stores.tenants),
        (select(NAMESPACE, labels=f"{ENABLED_LABEL}=true"), stores.enabled),
        (select(NAMESPACE_MAP), stores.maps),
        (select(ROLE_BINDING, labels=f"{MANAGED_LABEL}=liqo"), stores.bindings),
        (select(RESOURCE_QUOTA, labels=f"{MANAGED_LABEL}=liqo"), stores.quotas),
        (Selection(CONFIG_MAP, namespace=SYSTEM_NAMESPACE, name=CLIENT_CA_CONFIG_MAP), stores.client_ca),
        (Selection(SECRET, namespace=namespace, name=IDENTITY_SECRET), stores.keys),
    ]


def count_peers(stores: Stores, metrics: Metrics) -> None:
    """Set the gauge of peers by direction and phase."""
    found: Counter[tuple[str, str]] = Counter()
    for wire in stores.foreigns.values():
        for direction in ("outgoing", "incoming"):
            phase = (wire.get("status", {}).get(direction) or {}).get("phase")
            if phase:
                found[direction, phase] += 1
    metrics.peers.clear()
    for (direction, phase), count in found.items():
        metrics.peers.labels(direction, phase).set(count)


def _spec_cluster_id(obj: Wire) -> Iterable[str]:
    found = obj.get("spec", {}).get("clusterID")
    return (found,) if found else ()


def _taken(obj: Wire) -> Iterable[str]:
    """Return a mark for a ForeignCluster whose request was accepted."""
    return ("",) if ((obj.get("status") or {}).get("incoming") or {}).get("phase") else ()


def _label_cluster_id(obj: Wire) -> Iterable[str]:
    found = labels_of(obj).get(CLUSTER_ID_LABEL)
    return (found,) if found else ()


def _namespace(obj: Wire) -> Iterable[str]:
    return (obj["metadata"]["namespace"],)


def _node_name(obj: Wire) -> Iterable[str]:
    found = obj.get("spec", {}).get("nodeName")
    return (found,) if found else ()


def _refers(obj: Wire) -> Iterable[str]:
    """Return what a pod on a virtual node refers to."""
    if not obj["spec"].get("nodeName", "").startswith(NODE_PREFIX):
        return ()
    namespace = obj["metadata"]["namespace"]
    return [reference(kind, Key(namespace, name)) for kind, name in references(obj)]


def _metadata(obj: Wire, *, labels: bool) -> Wire:
    kept = {
        k: obj["metadata"][k] for k in ("name", "namespace", "uid", "resourceVersion") if k in obj["metadata"]
    }
    if labels and obj["metadata"].get("labels"):
        kept["labels"] = obj["metadata"]["labels"]
    return kept


def _prune_node(obj: Wire) -> Wire:
    """Keep of a node what capacity and readiness are made of."""
    status = obj.get("status", {})
    metadata = _metadata(obj, labels=True)
    annotations = obj["metadata"].get("annotations") or {}
    if kept := {k: v for k, v in annotations.items() if k in {ENDING_ANNOTATION, USAGE_PATH_ANNOTATION}}:
        metadata["annotations"] = kept
    return {
        "metadata": metadata,
        "spec": {
            k: v for k, v in obj.get("spec", {}).items() if k in {"unschedulable", "taints", "podCIDRs"}
        },
        "status": {
            k: v
            for k, v in status.items()
            if k in {"capacity", "allocatable", "conditions", "addresses", "daemonEndpoints"}
        },
    }


def _prune_pod(obj: Wire) -> Wire:
    """Keep of a pod where it runs and what it asks for; the whole of one that may be on a virtual node."""
    spec = obj.get("spec", {})
    if spec.get("nodeName", "").startswith(NODE_PREFIX):
        return prune_managed_fields(obj)
    kept = {
        name: [
            {
                "resources": {"requests": (c.get("resources") or {}).get("requests") or {}},
                **({"restartPolicy": c["restartPolicy"]} if "restartPolicy" in c else {}),
            }
            for c in spec[name]
        ]
        for name in ("containers", "initContainers")
        if spec.get(name)
    }
    for name in ("nodeName", "overhead"):
        if spec.get(name):
            kept[name] = spec[name]
    metadata = _metadata(obj, labels=False)
    if why := (obj["metadata"].get("annotations") or {}).get(STAYS_ANNOTATION):
        metadata["annotations"] = {STAYS_ANNOTATION: why}
    return {
        "metadata": metadata,
        "spec": kept,
        "status": {"phase": obj.get("status", {}).get("phase")},
    }
