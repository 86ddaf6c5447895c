"""Where home's namespaces and virtual nodes are on other clusters: what the loops of this room share."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from liqo.api.cidrs import addresses_of, is_inside, own_cidrs
from liqo.api.meta import Key, Wire, labels_of, parse_time
from liqo.api.names import CLUSTER_ID_LABEL, ENDING_ANNOTATION, NODE_TYPE_LABEL, VIRTUAL_NODE
from liqo.node.networks import Claim, believe, refused
from liqo.runtime.store import Store


@dataclass(frozen=True, slots=True)
class Place:
    """What a foreign cluster says of one of home's namespaces: its name there, or why there is none."""

    remote: str = ""
    reason: str = ""
    message: str = ""


@dataclass(slots=True)
class Abroad:
    """The places of home's namespaces; the loop over NamespaceMaps fills it, and again after a start.

    Args:
        nodes: all nodes, by index "cluster-id".
        closed: further networks and addresses where no pod of another cluster is: our Services and API server.
    """

    nodes: Store
    closed: Callable[[], Sequence[str]] = tuple
    _known: dict[str, dict[str, Place]] = field(default_factory=dict)  # by cluster, then namespace
    _claims: dict[str, Claim] = field(default_factory=dict)  # by cluster
    _believed: dict[str, list[str]] = field(default_factory=dict)  # pod networks, by cluster
    _ours: list[str] | None = None  # what they were weighed against; None: they have to be weighed again

    def told(self, cluster_id: str, places: Mapping[str, Place], claim: Claim) -> set[str]:
        """Take what a cluster's map says; return the namespaces for which that is news."""
        before = self._known.get(cluster_id, {})
        self._known[cluster_id] = dict(places)
        news = {name for name in {*before, *places} if before.get(name) != places.get(name)}
        moved = self._weigh(cluster_id, claim)
        return news | {name for i in moved for name in self._known[i]}

    def _weigh(self, cluster_id: str, claim: Claim) -> set[str]:
        """Take a cluster's claim; return the clusters of which something else is believed for it, mostly none."""
        nodes, believed = self.real_nodes(), self._believed
        ours = [*own_cidrs(nodes), *addresses_of(nodes), *self.closed()]
        if ours == self._ours and claim == self._claims.get(cluster_id):
            return set()
        self._ours, self._claims[cluster_id] = ours, claim
        self._believed = believe(self._claims, ours)
        return {i for i in self._claims if believed.get(i) != self._believed[i]}

    def forget(self, cluster_id: str) -> None:
        """Forget a cluster to which there is no way any more."""
        for known in (self._known, self._claims, self._believed):
            known.pop(cluster_id, None)
        self._ours = None

    def refused(self, cluster_id: str) -> list[str]:
        """Return which of the pod networks that a cluster is said to have are not believed."""
        return refused(self._claims.get(cluster_id, Claim()), self._believed.get(cluster_id, ()))

    def real_nodes(self) -> list[Wire]:
        """Return home's own nodes."""
        return [n for n in self.nodes.values() if labels_of(n).get(NODE_TYPE_LABEL) != VIRTUAL_NODE]

    def is_pod_address(self, cluster_id: str, address: str) -> bool:
        """Return whether an address may be that of a pod on a cluster: one of whom nothing is known has none."""
        return is_inside(address, self._believed.get(cluster_id, ()))

    def place(self, cluster_id: str, namespace: str) -> Place | None:
        """Return what a cluster says of a namespace, None if nothing yet."""
        return self._known.get(cluster_id, {}).get(namespace)

    def remotes(self, namespace: str) -> list[tuple[str, str]]:
        """Return (cluster, namespace there) wherever a namespace of home has a place."""
        return [
            (cluster_id, place.remote)
            for cluster_id, places in self._known.items()
            if (place := places.get(namespace)) is not None and place.remote
        ]

    def remotes_of(self, cluster_id: str) -> set[str]:
        """Return the namespaces that are home's on a cluster."""
        return {place.remote for place in self._known.get(cluster_id, {}).values()} - {""}

    def homes_of(self, remote: str) -> dict[str, str]:
        """Return the namespace of home that a namespace abroad stands for, by cluster: several may have that name."""
        return {
            cluster_id: namespace
            for cluster_id, places in self._known.items()
            for namespace, place in places.items()
            if place.remote == remote
        }

    def is_known(self, cluster_id: str) -> bool:
        """Return whether a cluster has told its places."""
        return cluster_id in self._known

    def cluster_of(self, pod: Wire | None) -> str:
        """Return the cluster on whose virtual node a pod is bound, "" if it is bound to none."""
        name = pod["spec"].get("nodeName") if pod is not None else None
        return self.cluster_at(name) if name else ""

    def cluster_at(self, name: str) -> str:
        """Return the cluster for which a virtual node stands, "" if there is no virtual node of that name."""
        node = self.nodes.get(Key("", name))
        if node is None or labels_of(node).get(NODE_TYPE_LABEL) != VIRTUAL_NODE:
            return ""
        return labels_of(node).get(CLUSTER_ID_LABEL, "")

    def node_of(self, cluster_id: str) -> Wire | None:
        """Return the virtual node of a cluster; an id is matched by label, never by name."""
        return virtual(self.nodes.by("cluster-id", cluster_id))

    def ending_since(self, cluster_id: str) -> datetime | None:
        """Return since when the pods on a cluster's virtual node are to go, None if they are not."""
        node = self.node_of(cluster_id)
        return ending_since(node) if node is not None else None


def ending_since(node: Wire) -> datetime | None:
    """Return since when a virtual node is being taken down, None if it is not."""
    text = (node["metadata"].get("annotations") or {}).get(ENDING_ANNOTATION)
    try:
        return parse_time(text) if text else None
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)  # somebody wrote it, and meant the end


def virtual(nodes: Iterable[Wire]) -> Wire | None:
    """Return the first virtual node among nodes."""
    return next((n for n in nodes if labels_of(n).get(NODE_TYPE_LABEL) == VIRTUAL_NODE), None)
