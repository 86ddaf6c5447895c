"""What a person does with namespaces: let their pods run on other clusters, say on which, and end that."""

from collections.abc import Sequence
from dataclasses import dataclass

from liqo.api.bounds import CLUSTERS_MAX
from liqo.api.kinds import NAMESPACE
from liqo.api.meta import Key, Wire, labels_of
from liqo.api.names import CLUSTERS_ANNOTATION, ENABLED_LABEL, HOME_NAMESPACE_LABEL, LABEL_MAX, TENANT_LABEL
from liqo.app.peers import find_foreign
from liqo.errors import Absent, Invalid, Malformed
from liqo.node.optin import is_narrowed, named_clusters
from liqo.runtime.ports import Cluster, Selection

MANAGER = "liqo-cli"
SYSTEM = "kube-"  # what the cluster itself lives by


@dataclass(frozen=True, slots=True, kw_only=True)
class Offloaded:
    """One namespace whose pods may run on other clusters.

    Args:
        namespace: its name.
        clusters: those that it names; with none, all count that a person joined.
        narrowed: whether it names any; what it names may be no names.
    """

    namespace: str
    clusters: Sequence[str]
    narrowed: bool

    def where(self) -> str:
        """Return in words where its pods may run."""
        if not self.narrowed:
            return "every cluster that a person joined"
        return ", ".join(self.clusters) or "nowhere: it names no cluster that could be"


async def offload(cluster: Cluster, namespace: str, names: Sequence[str], *, liqo: str) -> None:
    """Let new pods of a namespace run on other clusters: on those named, or on all that a person joined.

    Args:
        cluster: our own.
        namespace: whose pods.
        names: of ForeignClusters or clusters, or ClusterIDs; none for all that a person joined.
        liqo: Liqo's own namespace, which stays.

    Raises:
        Invalid: there is no such namespace or cluster, or the namespace has to stay.
    """
    wire = await _namespace(cluster, namespace)
    if namespace.startswith(SYSTEM) or namespace == liqo:
        raise Invalid(
            f"namespace {namespace} is what this cluster itself lives by, and stays here",
            hint="liqo offload takes a namespace of your own",
        )
    if {TENANT_LABEL, HOME_NAMESPACE_LABEL} & set(labels_of(wire)):
        raise Invalid(
            f"namespace {namespace} is another cluster's, which runs its pods here",
            hint="liqo offload takes a namespace of your own",
        )
    if len(names) > CLUSTERS_MAX:
        raise Invalid(f"{len(names)} clusters are named; at most {CLUSTERS_MAX} can be")
    chosen = [await _spelled(cluster, name) for name in names]
    text = ",".join(dict.fromkeys(chosen)) or None
    patch = {"metadata": {"labels": {ENABLED_LABEL: "true"}, "annotations": {CLUSTERS_ANNOTATION: text}}}
    await cluster.patch(NAMESPACE, Key("", namespace), patch, manager=MANAGER)


async def end_offload(cluster: Cluster, namespace: str) -> None:
    """Keep new pods of a namespace here; those that run elsewhere go on.

    Raises:
        Invalid: there is no such namespace.
    """
    await _namespace(cluster, namespace)
    patch = {"metadata": {"labels": {ENABLED_LABEL: None}, "annotations": {CLUSTERS_ANNOTATION: None}}}
    await cluster.patch(NAMESPACE, Key("", namespace), patch, manager=MANAGER)


async def list_offloaded(cluster: Cluster) -> list[Offloaded]:
    """Return the namespaces whose pods may run on other clusters, by name."""
    page = await cluster.list(Selection(NAMESPACE, labels=f"{ENABLED_LABEL}=true"))
    return sorted(map(_offloaded, page.items), key=lambda o: o.namespace)


async def _namespace(cluster: Cluster, name: str) -> Wire:
    try:
        return await cluster.get(NAMESPACE, Key("", name))
    except (Absent, Malformed):  # Malformed: no object could have such a name
        raise Invalid(
            f"there is no namespace {name!r}", hint=f"kubectl get namespaces; kubectl create namespace {name}"
        ) from None


async def _spelled(cluster: Cluster, name: str) -> str:
    """Return how a cluster is named in the annotation: by its ForeignCluster, or by id where that is too long."""
    foreign = await find_foreign(cluster, name)
    own = foreign.metadata.name
    return own if len(own) <= LABEL_MAX else foreign.spec.cluster_id or own


def _offloaded(wire: Wire) -> Offloaded:
    return Offloaded(
        namespace=wire["metadata"]["name"], clusters=sorted(named_clusters(wire)), narrowed=is_narrowed(wire)
    )
