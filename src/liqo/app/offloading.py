"""Which loop looks at what when something of offloading changes, at home or on foreign."""

from collections.abc import Callable, Iterable
from datetime import timedelta

from liqo.api.kinds import CONFIG_MAP, ENDPOINT_SLICE, EVENT, NAMESPACE_MAP, POD, SECRET, SERVICE
from liqo.api.meta import Key, Kind, Wire, labels_of
from liqo.api.names import (
    CLUSTER_ID_LABEL,
    HOME_NAMESPACE_ANNOTATION,
    NODE_PREFIX,
    NODE_TYPE_LABEL,
    STAYS_ANNOTATION,
    VIRTUAL_NODE,
)
from liqo.api.rights import OFFLOAD_ROLE
from liqo.app.loops import Queues
from liqo.app.stores import Stores
from liqo.node.abroad import Abroad
from liqo.node.forge_service import SERVICE_NAME_LABEL
from liqo.node.pod_status import OVER, is_refused_there
from liqo.node.references import references

COALESCE = timedelta(seconds=1)  # pods and nodes change in crowds; an offer follows once

UNPLACED = timedelta(seconds=2)  # then a pod that only runs here, and does not, needs a word
SOON = timedelta(milliseconds=100)  # endpoints come in crowds too


class Offloading:
    """Maps what changes to the keys of the loops of the room `node`.

    Args:
        queues: of the loops.
        stores: of our own cluster.
        abroad: where namespaces have a place.
    """

    def __init__(self, queues: Queues, stores: Stores, abroad: Abroad) -> None:
        self._queues = queues
        self._stores = stores
        self._abroad = abroad
        self.retell: Callable[[], object] = tuple
        """Has all that is watched in enabled namespaces told again; set by who made those watches."""
        self._contents = {CONFIG_MAP: queues.configmap, SECRET: queues.secret}

    def everything(self) -> None:
        """Look at everything once."""
        self.maps()
        for namespace in self._stores.enabled.values():
            self._queues.optin.add(Key.of(namespace))
        for binding in self._stores.bindings.values():
            self.binding(Key.of(binding), None, binding)
        for key, pod in self._stores.pods.mapping.items():
            if _is_abroad(pod):
                self._queues.pod.add(key)

    def maps(self) -> None:
        """Look at what is asked of every foreign cluster."""
        for node in self._stores.nodes.values():
            if labels_of(node).get(NODE_TYPE_LABEL) == VIRTUAL_NODE:
                self._queues.map.add(Key("", labels_of(node).get(CLUSTER_ID_LABEL, "")))

    def moved(self, namespaces: Iterable[str]) -> None:
        """Look at the pods of namespaces whose place on another cluster has changed."""
        for namespace in namespaces:
            for pod in self._stores.pods.by("namespace", namespace):
                self._queues.pod.add(Key.of(pod))
            self.retell()

    def on_node(self, name: str) -> None:
        """Look at the pods on a virtual node."""
        for pod in self._stores.pods.by("node", name):
            self._queues.pod.add(Key.of(pod))

    # At home.

    def enabled(self, key: Key, _old: Wire | None, _new: Wire | None) -> None:
        """Take a namespace that may, or may no longer, or names other clusters."""
        self._queues.optin.add(key)
        self.maps()

    def binding(self, key: Key, _old: Wire | None, _new: Wire | None) -> None:
        """Take a RoleBinding of our own."""
        if key.name == OFFLOAD_ROLE:
            self._queues.optin.add(Key("", key.namespace))

    def pod(self, key: Key, old: Wire | None, new: Wire | None) -> None:
        """Take a pod at home."""
        if not (_is_abroad(old) or _is_abroad(new)):
            if (
                old is None
                and new is not None
                and STAYS_ANNOTATION in (new["metadata"].get("annotations") or {})
            ):
                self._queues.pod.add(key, UNPLACED)
            return
        self._queues.pod.add(key)
        if new is not None and is_refused_there(new):
            self.map(self._abroad.cluster_of(new))  # it may find room if foreign knows what is needed
        if new is None and Key("", key.namespace) not in self._stores.enabled:
            self.maps()  # the last one of a namespace that may no longer takes its place with it
            self._queues.optin.add(Key("", key.namespace))
        if _needs(old) != _needs(new):
            for pod in (old, new):
                for kind, name in references(pod) if pod is not None else ():
                    self._contents[kind].add(Key(key.namespace, name))

    def viewed(self, kind: Kind, old: Wire | None, new: Wire | None) -> None:
        """Take what has changed of what pods refer to."""
        told = new if new is not None else old
        if told is None:
            self.moved(key.name for key in self._stores.enabled.mapping)
        else:
            self._mirrored(kind, told, told["metadata"]["namespace"])

    # On foreign.

    def map(self, cluster_id: str) -> None:
        """Look at what is asked of one foreign cluster."""
        self._queues.map.add(Key("", cluster_id))

    def seen(self, cluster_id: str, kind: Kind, told: Wire) -> None:
        """Take what has changed on a foreign cluster."""
        key = Key.of(told)
        if kind is NAMESPACE_MAP:
            self.map(cluster_id)
        elif kind is POD:
            home = (told["metadata"].get("annotations") or {}).get(HOME_NAMESPACE_ANNOTATION)
            if isinstance(home, str) and home:
                self._queues.pod.add(Key(home, key.name))
        elif kind is EVENT:
            self._queues.event.add(key)
        elif (namespace := self._abroad.homes_of(key.namespace).get(cluster_id)) is not None:
            self._mirrored(kind, told, namespace)

    def _mirrored(self, kind: Kind, told: Wire, namespace: str) -> None:
        """Look at one object of a namespace at home that foreign has a copy of, or should have."""
        name = told["metadata"]["name"]
        if kind in self._contents:
            self._contents[kind].add(Key(namespace, name))
        elif kind is SERVICE:
            self._queues.service.add(Key(namespace, name))
        elif kind is ENDPOINT_SLICE and (service := labels_of(told).get(SERVICE_NAME_LABEL)):
            self._queues.service.add(Key(namespace, service), SOON)


def _is_abroad(pod: Wire | None) -> bool:
    """Return whether a pod may be on a virtual node; the loop looks closer."""
    return pod is not None and pod["spec"].get("nodeName", "").startswith(NODE_PREFIX)


def _needs(pod: Wire | None) -> bool:
    """Return whether a pod needs what it refers to."""
    return pod is not None and pod.get("status", {}).get("phase") not in OVER
