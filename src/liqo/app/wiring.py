"""Which loop runs for which key when what changes."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from liqo.api.kinds import ADVERTISEMENT, NAMESPACE_MAP, POD
from liqo.api.meta import Key, Kind, Wire, labels_of
from liqo.api.names import (
    CLUSTER_ID_LABEL,
    HOME_NAMESPACE_ANNOTATION,
    NODE_PREFIX,
    NODE_TYPE_LABEL,
    TRUSTED_CA_CONFIG_MAP,
    VIRTUAL_NODE,
    WELL_KNOWN_CONFIG_MAP,
)
from liqo.api.reasons import ConditionType
from liqo.app.stores import Stores
from liqo.discovery.sighting import LAN
from liqo.node.abroad import ending_since
from liqo.runtime.loop import Loop, Outcome
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Clock, Random, Way
from liqo.runtime.queue import NOW, Queue
from liqo.sharing.loop_offer import ALL

COALESCE = timedelta(seconds=1)  # pods and nodes change in crowds; an offer follows once
CONCURRENCY = 64  # keys at once; as many clusters may be slow to answer before one more has to wait

Reconcile = Callable[[Key], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciles:
    """One function a loop."""

    document: Reconcile
    trusted: Reconcile
    outgoing: Reconcile
    incoming: Reconcile
    accept: Reconcile
    offer: Reconcile
    place: Reconcile
    node: Reconcile
    map: Reconcile
    pod: Reconcile
    found: Reconcile
    domain: Reconcile


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """One queue a loop."""

    document: Queue
    trusted: Queue
    outgoing: Queue
    incoming: Queue
    accept: Queue
    offer: Queue
    place: Queue
    node: Queue
    map: Queue
    pod: Queue
    found: Queue
    domain: Queue


def make_queues(clock: Clock, random: Random) -> Queues:
    """Return empty queues."""
    return Queues(**{name: Queue(clock, random) for name in Queues.__dataclass_fields__})


def make_loops(reconciles: Reconciles, queues: Queues, clock: Clock, metrics: Metrics) -> list[Loop]:
    """Return the loops, not running yet."""
    return [
        Loop(
            name,
            getattr(reconciles, name),
            getattr(queues, name),
            clock=clock,
            metrics=metrics,
            concurrency=1 if name in {"document", "offer", "trusted"} else CONCURRENCY,
        )
        for name in Reconciles.__dataclass_fields__
    ]


class Triggers:
    """Maps every change that is seen to the keys that have to look at it."""

    def __init__(self, queues: Queues, stores: Stores, namespace: str) -> None:
        self._queues = queues
        self._stores = stores
        self._namespace = namespace

    def subscribe(self) -> None:
        """Listen to all stores."""
        stores = self._stores
        stores.foreigns.subscribe(self._foreign)
        stores.domains.subscribe(self._domain)
        stores.requests.subscribe(self._request)
        stores.advertisements.subscribe(self._advertisement)
        stores.configs.subscribe(self._config)
        stores.config_maps.subscribe(self._config_map)
        stores.nodes.subscribe(self._node)
        stores.pods.subscribe(self._pod)
        stores.tenants.subscribe(self._tenant)
        stores.maps.subscribe(self._map)
        stores.enabled.subscribe(self._enabled)
        stores.quotas.subscribe(self._quota)

    def peer(self, cluster_id: str, way: Way) -> None:
        """Look at a peering whose connection has changed."""
        if way is Way.INCOMING:
            self._queues.incoming.add(Key("", cluster_id))
            return
        self._joins(cluster_id)
        self._queues.map.add(Key("", cluster_id))
        for node in self._stores.nodes.by("cluster-id", cluster_id):
            self._on_node(node["metadata"]["name"])

    def _on_node(self, name: str) -> None:
        for pod in self._stores.pods.by("node", name):
            self._queues.pod.add(Key.of(pod))

    def seen(self, cluster_id: str, way: Way, kind: Kind, old: Wire | None, new: Wire | None) -> None:
        """Look at what another cluster has changed; at all of a peering when a first list is complete."""
        told = new if new is not None else old
        if told is None or kind is ADVERTISEMENT:
            self.peer(cluster_id, way)
        elif kind is NAMESPACE_MAP:
            self._queues.map.add(Key("", cluster_id))
        elif kind is POD:
            home = (told["metadata"].get("annotations") or {}).get(HOME_NAMESPACE_ANNOTATION)
            if isinstance(home, str) and home:
                self._queues.pod.add(Key(home, told["metadata"]["name"]))

    def moved(self, namespaces: Iterable[str]) -> None:
        """Look at the pods of namespaces whose place on another cluster has changed."""
        for namespace in namespaces:
            for pod in self._stores.pods.by("namespace", namespace):
                self._queues.pod.add(Key.of(pod))

    def found(self, cluster_ids: Iterable[str]) -> None:
        """Look at clusters that a search sees, or no longer; "" is every one that one has ever seen."""
        for cluster_id in cluster_ids:
            if cluster_id:
                self._queues.found.add(Key("", cluster_id))
            else:
                self.found(i for w in self._stores.foreigns.values() if _is_found(w) for i in _ids(w))

    def everything(self) -> None:
        """Look at everything once: at start, and when the settings have changed."""
        queues, stores = self._queues, self._stores
        for key in map(Key.of, stores.foreigns.values()):
            queues.outgoing.add(key)
            queues.node.add(key)
        for cluster_id in self._known_ids():
            queues.incoming.add(Key("", cluster_id))
            queues.place.add(Key("", cluster_id))
        for key in map(Key.of, stores.advertisements.values()):
            queues.accept.add(key)
        self.found([""])
        for key in map(Key.of, stores.domains.values()):
            queues.domain.add(key)
        self._maps()
        for key, pod in stores.pods.mapping.items():
            if _is_abroad(pod):
                queues.pod.add(key)
        queues.offer.add(ALL)
        queues.document.add(Key(self._namespace, WELL_KNOWN_CONFIG_MAP))
        queues.trusted.add(Key(self._namespace, TRUSTED_CA_CONFIG_MAP))

    def _known_ids(self) -> set[str]:
        stores = self._stores
        found = {
            w["spec"].get("clusterID", "") for w in (*stores.requests.values(), *stores.foreigns.values())
        }
        found |= {labels_of(w).get(CLUSTER_ID_LABEL, "") for w in stores.tenants.values()}
        return found - {""}

    def _joins(self, cluster_id: str) -> None:
        for wire in self._stores.foreigns.by("cluster-id", cluster_id):
            self._queues.outgoing.add(Key.of(wire))
            self._queues.node.add(Key.of(wire))

    def _foreign(self, key: Key, old: Wire | None, new: Wire | None) -> None:
        ids = _ids(old, new)
        if all(self._is_idle(i) for i in ids) and _is_untouched(old) and _is_untouched(new):
            if not _is_our_own_word(old, new):
                self.found(ids)
            return  # one of a thousand that are found: nobody else has anything to do with it
        self._queues.outgoing.add(key)
        self._queues.node.add(key)
        for cluster_id in ids:
            self._joins(cluster_id)
            self._queues.incoming.add(Key("", cluster_id))
            self._queues.accept.add(Key(self._namespace, cluster_id))
            several = len(self._stores.foreigns.by("cluster-id", cluster_id)) > 1
            if several or _is_found(old) or _is_found(new):
                self.found([cluster_id])
        if _incoming(old) != _incoming(new):
            self._queues.offer.add(ALL)
        if _offered(old) != _offered(new):
            self._places(ids)

    def _is_idle(self, cluster_id: str) -> bool:
        """Return whether nothing but one ForeignCluster at most is about a cluster."""
        stores = self._stores
        return len(stores.foreigns.by("cluster-id", cluster_id)) < 2 and not (  # noqa: PLR2004  itself
            stores.requests.by("cluster-id", cluster_id)
            or stores.advertisements.by("cluster-id", cluster_id)
            or stores.tenants.by("cluster-id", cluster_id)
            or stores.nodes.by("cluster-id", cluster_id)
        )

    def _domain(self, key: Key, old: Wire | None, new: Wire | None) -> None:
        if old is None or new is None or old["spec"] != new["spec"]:
            self._queues.domain.add(key)
            self.found([""])

    def _request(self, _key: Key, old: Wire | None, new: Wire | None) -> None:
        for cluster_id in _ids(old, new):
            self._queues.incoming.add(Key("", cluster_id))

    def _advertisement(self, key: Key, _old: Wire | None, _new: Wire | None) -> None:
        self._queues.accept.add(key)
        self._joins(key.name)

    def _config(self, _key: Key, _old: Wire | None, _new: Wire | None) -> None:
        self.everything()

    def _config_map(self, key: Key, _old: Wire | None, _new: Wire | None) -> None:
        if key.name == WELL_KNOWN_CONFIG_MAP:
            self._queues.document.add(key)
        elif key.name == TRUSTED_CA_CONFIG_MAP:
            self.everything()

    def _node(self, _key: Key, old: Wire | None, new: Wire | None) -> None:
        seen = new if new is not None else old
        assert seen is not None
        if labels_of(seen).get(NODE_TYPE_LABEL) == VIRTUAL_NODE:
            cluster_id = labels_of(seen).get(CLUSTER_ID_LABEL, "")
            self._joins(cluster_id)
            if old is None or new is None:
                self._queues.map.add(Key("", cluster_id))
            elif ending_since(new) and not ending_since(old):
                self._on_node(seen["metadata"]["name"])
        elif _offerable(old) != _offerable(new):
            self._queues.offer.add(ALL, COALESCE)

    def _pod(self, key: Key, old: Wire | None, new: Wire | None) -> None:
        if any(_is_abroad(pod) for pod in (old, new)):
            self._queues.pod.add(key)
            if new is None and Key("", key.namespace) not in self._stores.enabled:
                self._maps()  # the last one of a namespace that may no longer takes its place with it
        if _placed(old) != _placed(new):
            self._queues.offer.add(ALL, COALESCE)

    def _enabled(self, _key: Key, _old: Wire | None, _new: Wire | None) -> None:
        self._maps()

    def _maps(self) -> None:
        """Look at what is asked of every foreign cluster."""
        for node in self._stores.nodes.values():
            if labels_of(node).get(NODE_TYPE_LABEL) == VIRTUAL_NODE:
                self._queues.map.add(Key("", labels_of(node).get(CLUSTER_ID_LABEL, "")))

    def _map(self, key: Key, _old: Wire | None, _new: Wire | None) -> None:
        self._places([key.name])

    def _quota(self, _key: Key, old: Wire | None, new: Wire | None) -> None:
        enforced = old is None or new is None or _hard(old) != _hard(new)
        for wire in (old, new):
            if wire is not None:
                cluster_id = labels_of(wire).get(CLUSTER_ID_LABEL, "")
                self._queues.place.add(Key("", cluster_id), NOW if enforced else COALESCE)

    def _places(self, cluster_ids: Iterable[str]) -> None:
        for cluster_id in cluster_ids:
            self._queues.place.add(Key("", cluster_id))

    def _tenant(self, _key: Key, old: Wire | None, new: Wire | None) -> None:
        for wire in (old, new):
            if wire is not None:
                cluster_id = labels_of(wire).get(CLUSTER_ID_LABEL, "")
                self._queues.incoming.add(Key("", cluster_id))
                self._places([cluster_id])


def _ids(*wires: Wire | None) -> set[str]:
    return {w["spec"].get("clusterID", "") for w in wires if w is not None} - {""}


def _is_found(wire: Wire | None) -> bool:
    """Return whether a finder sees or saw a ForeignCluster."""
    if wire is None:
        return False
    sources = (wire.get("status") or {}).get("sources")
    return bool(sources) or wire["spec"].get("discoveryType") in {"LAN", "WAN"}


def _is_untouched(wire: Wire | None) -> bool:
    """Return whether a ForeignCluster is only found: not joined, not shared with, not denied, never was."""
    if wire is None:
        return True
    spec, status = wire["spec"], wire.get("status") or {}
    others = [c for c in status.get("conditions") or () if c["type"] != ConditionType.DISCOVERED]
    return (
        spec.get("discoveryType") in {"LAN", "WAN"}
        and not spec.get("join")
        and spec.get("incoming", "Default") == "Default"
        and not (status.get("outgoing") or status.get("incoming") or others)
        and not wire["metadata"].get("finalizers")
    )


def _is_our_own_word(old: Wire | None, new: Wire | None) -> bool:
    """Return whether a change can only be what our own search wrote: a new one, or its status."""
    if new is None or new["spec"].get("discoveryType") != "WAN" or "deletionTimestamp" in new["metadata"]:
        return False
    both = [
        s["name"] for w in (old, new) if w is not None for s in (w.get("status") or {}).get("sources") or ()
    ]
    return LAN not in both and (old is None or old["spec"] == new["spec"])


def _incoming(wire: Wire | None) -> object:
    """Return what an offer depends on in a ForeignCluster."""
    incoming = ((wire or {}).get("status") or {}).get("incoming") or {}
    return (
        incoming.get("phase") in {"Accepted", "Offered"},
        incoming.get("acceptedAt"),
        incoming.get("offered") is None,
    )


def _hard(quota: Wire) -> object:
    return (quota.get("status") or {}).get("hard")


def _offered(wire: Wire | None) -> object:
    """Return what the bounds of a tenant's namespaces depend on in a ForeignCluster."""
    incoming = ((wire or {}).get("status") or {}).get("incoming") or {}
    return incoming.get("phase"), incoming.get("offered")


def _offerable(node: Wire | None) -> object:
    """Return what an offer depends on in a node; heartbeats are not part of it."""
    if node is None:
        return None
    status = node.get("status", {})
    ready = [c["status"] for c in status.get("conditions") or () if c["type"] == "Ready"]
    return node.get("spec", {}).get("unschedulable"), status.get("allocatable"), ready


def _is_abroad(pod: Wire | None) -> bool:
    """Return whether a pod may be on a virtual node; the loop looks closer."""
    return pod is not None and pod["spec"].get("nodeName", "").startswith(NODE_PREFIX)


def _placed(pod: Wire | None) -> object:
    """Return what an offer depends on in a pod."""
    if pod is None or not pod["spec"].get("nodeName"):
        return None
    return pod["spec"], pod["status"].get("phase") in {"Succeeded", "Failed"}
