"""Which loop runs for which key when what changes."""

from collections.abc import Iterable

from liqo.api.cidrs import addresses_of, own_cidrs
from liqo.api.meta import Key, Kind, Wire, is_ready, labels_of
from liqo.api.names import (
    CLUSTER_ID_LABEL,
    NODE_TYPE_LABEL,
    TRUSTED_CA_CONFIG_MAP,
    VIRTUAL_NODE,
    WELL_KNOWN_CONFIG_MAP,
)
from liqo.api.reasons import ConditionType
from liqo.app.loops import Queues
from liqo.app.offloading import COALESCE, Offloading
from liqo.app.stores import Stores
from liqo.discovery.sighting import LAN
from liqo.node.abroad import Abroad, ending_since
from liqo.runtime.ports import Way
from liqo.runtime.queue import NOW
from liqo.sharing.capacity import is_offered
from liqo.sharing.loop_offer import ALL


class Triggers:
    """Maps every change that is seen to the keys that have to look at it."""

    def __init__(self, queues: Queues, stores: Stores, abroad: Abroad, namespace: str) -> None:
        self._queues = queues
        self._stores = stores
        self._namespace = namespace
        self.offloading = Offloading(queues, stores, abroad)

    def subscribe(self) -> None:
        """Listen to all stores."""
        stores = self._stores
        stores.foreigns.subscribe(self._foreign)
        stores.domains.subscribe(self._domain)
        stores.requests.subscribe(self._request)
        stores.invites.subscribe(self._invite)
        stores.accounts.subscribe(self._account)
        stores.advertisements.subscribe(self._advertisement)
        stores.configs.subscribe(self._config)
        stores.config_maps.subscribe(self._config_map)
        stores.nodes.subscribe(self._node)
        stores.pods.subscribe(self._pod)
        stores.tenants.subscribe(self._tenant)
        stores.maps.subscribe(self._map)
        stores.enabled.subscribe(self.offloading.enabled)
        stores.bindings.subscribe(self.offloading.binding)
        stores.quotas.subscribe(self._quota)

    def peer(self, cluster_id: str, way: Way) -> None:
        """Look at a peering whose connection has changed."""
        if way is Way.INCOMING:
            self._queues.incoming.add(Key("", cluster_id))
            return
        self._joins(cluster_id)
        self.offloading.map(cluster_id)
        for node in self._stores.nodes.by("cluster-id", cluster_id):
            self.offloading.on_node(node["metadata"]["name"])

    def seen(self, cluster_id: str, way: Way, kind: Kind, old: Wire | None, new: Wire | None) -> None:
        """Look at what another cluster has changed; at all of a peering when a first list is complete."""
        told = new if new is not None else old
        if told is None or way is Way.INCOMING:
            self.peer(cluster_id, way)
            if way is Way.OUTGOING:
                self.offloading.retell()
        else:
            self.offloading.seen(cluster_id, kind, told)

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
        for key in map(Key.of, stores.invites.values()):
            queues.invite.add(key)
        self.found([""])
        for key in map(Key.of, stores.domains.values()):
            queues.domain.add(key)
        self.offloading.everything()
        queues.offer.add(ALL)
        queues.document.add(Key(self._namespace, WELL_KNOWN_CONFIG_MAP))
        queues.trusted.add(Key(self._namespace, TRUSTED_CA_CONFIG_MAP))

    def _known_ids(self) -> set[str]:
        stores = self._stores
        found = {
            w["spec"].get("clusterID", "") for w in (*stores.requests.values(), *stores.foreigns.values())
        }
        return found.union(*map(_labelled, stores.tenants.values())) - {""}

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
            self.offloading.map(cluster_id)
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
        if invite := ((new or {}).get("spec") or {}).get("invite"):
            self._queues.invite.add(Key(self._namespace, invite))

    def _invite(self, key: Key, _old: Wire | None, _new: Wire | None) -> None:
        self._queues.invite.add(key)
        for wire in self._stores.requests.values():
            if wire["spec"].get("invite") == key.name:
                self._queues.incoming.add(Key("", wire["spec"]["clusterID"]))

    def _account(self, _key: Key, old: Wire | None, new: Wire | None) -> None:
        if old is not None and new is None:  # ours to give: whoever lost it has to get another
            self._joins(labels_of(old).get(CLUSTER_ID_LABEL, ""))

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
                self.offloading.on_node(seen["metadata"]["name"])
            elif is_ready(old) != is_ready(new) or (ending_since(new) and not ending_since(old)):
                self.offloading.on_node(seen["metadata"]["name"])
            return
        if _offerable(old) != _offerable(new):
            self._queues.offer.add(ALL, COALESCE)
        if _networks(old) != _networks(new):  # others are told, and what they may have depends on it
            self.offloading.maps()
            self._places(i for w in self._stores.tenants.values() for i in _labelled(w))

    def _pod(self, key: Key, old: Wire | None, new: Wire | None) -> None:
        self.offloading.pod(key, old, new)
        if _placed(old) != _placed(new):
            self._queues.offer.add(ALL, COALESCE)

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
        if new is None:  # its place is free
            for request in self._stores.requests.values():
                self._queues.incoming.add(Key("", request["spec"]["clusterID"]))


def _ids(*wires: Wire | None) -> set[str]:
    return {w["spec"].get("clusterID", "") for w in wires if w is not None} - {""}


def _labelled(wire: Wire) -> set[str]:
    return {labels_of(wire).get(CLUSTER_ID_LABEL, "")} - {""}


def _networks(node: Wire | None) -> object:
    """Return what is told of a node's networks, or is closed to the pods of others."""
    nodes = [node] if node is not None else []
    return own_cidrs(nodes), addresses_of(nodes)


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
    told = {name: value for name, value in labels_of(node).items() if is_offered(name)}
    return node.get("spec", {}).get("unschedulable"), status.get("allocatable"), ready, told


def _placed(pod: Wire | None) -> object:
    """Return what an offer depends on in a pod."""
    if pod is None or not pod["spec"].get("nodeName"):
        return None
    return pod["spec"], pod["status"].get("phase") in {"Succeeded", "Failed"}
