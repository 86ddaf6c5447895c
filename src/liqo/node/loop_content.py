"""Takes the ConfigMaps and Secrets that pods refer to along with them: a key is that of one of them at home.

Only what a pod on that foreign cluster refers to goes there; it follows when it changes, and goes when nothing refers
to it any more. What is watched on both sides is kept as digests; the content is read when it is sent.
"""

from dataclasses import dataclass

from liqo.api.meta import Key, Kind, Wire, labels_of
from liqo.api.names import MANAGED_LABEL
from liqo.api.reasons import Reason
from liqo.errors import Absent, Refused, Stale
from liqo.node.abroad import Abroad
from liqo.node.pod_status import OVER
from liqo.runtime.loop import Outcome
from liqo.runtime.ports import Cluster, Clusters, Health, Selection, Session, Views, Way
from liqo.runtime.store import Store

MANAGER = "liqo-content"
TOKEN_TYPES = frozenset({"kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"})
CONTENT = ("data", "binaryData", "immutable", "type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """All that the reconciles of one kind share."""

    kind: Kind
    home: Cluster
    views: Views  # of our own cluster, in enabled namespaces
    clusters: Clusters
    pods: Store  # by index "refers"
    abroad: Abroad

    async def reconcile(self, key: Key) -> Outcome:
        """Bring the copies of one object to what it is at home."""
        writes = 0
        for cluster_id, remote in self.abroad.remotes(key.namespace):
            session = self.clusters.get(cluster_id, Way.OUTGOING)
            there = self.clusters.watched(cluster_id, Way.OUTGOING, contents_in(self.kind, remote))
            if session is None or session.health is not Health.READY or there is None:
                continue
            writes += await self._bring(session, key, remote, there.get(Key(remote, key.name)), cluster_id)
        return Outcome(writes=writes)

    async def _bring(
        self, session: Session, key: Key, remote: str, copy: Wire | None, cluster_id: str
    ) -> int:
        """Bring one copy to what it should be."""
        here = self.views.view(contents_in(self.kind, key.namespace))
        if here is None:
            return 0
        original = here.get(key)
        if not self._is_needed(key, cluster_id) or original is None:
            if copy is None or labels_of(copy).get(MANAGED_LABEL) != "liqo":
                return 0
            await session.cluster.delete(self.kind, Key.of(copy), uid=copy["metadata"]["uid"])
            return 1
        return await self.send(session, key, remote, original, copy)

    async def send(self, session: Session, key: Key, remote: str, original: Wire, copy: Wire | None) -> int:
        """Write a copy that is not there, or another than the original; return how many requests that took.

        Raises:
            Refused: it holds a token of our own cluster, which goes nowhere.
            Stale: one that cannot change was deleted, and is written when that is done.
        """
        if original.get("type") in TOKEN_TYPES:
            raise Refused(f"secret {key.name} is a token of this cluster", reason=Reason.NOT_OFFLOADABLE)
        if copy is not None and copy["digest"] == original["digest"]:
            return 0
        if copy is not None and (copy.get("immutable") or copy.get("type") != original.get("type")):
            await session.cluster.delete(self.kind, Key.of(copy), uid=copy["metadata"]["uid"])
            raise Stale(f"{self.kind.kind} {key.name} is made anew")
        try:
            whole = await self.home.get(self.kind, key)
        except Absent:
            return 0
        body = {
            "apiVersion": self.kind.api_version,
            "kind": self.kind.kind,
            "metadata": {"name": key.name, "namespace": remote, "labels": {MANAGED_LABEL: "liqo"}},
            **{name: whole[name] for name in CONTENT if whole.get(name)},
        }
        await session.cluster.apply(self.kind, body, manager=MANAGER)
        return 1

    def _is_needed(self, key: Key, cluster_id: str) -> bool:
        """Return whether a pod that is not over refers to an object, on that cluster."""
        return any(
            self.abroad.cluster_of(pod) == cluster_id and pod.get("status", {}).get("phase") not in OVER
            for pod in self.pods.by("refers", reference(self.kind, key))
        )


def contents_in(kind: Kind, namespace: str) -> Selection:
    """Return the watch of ConfigMaps or Secrets in a namespace, at home or on foreign."""
    return Selection(kind, namespace=namespace)


def reference(kind: Kind, key: Key) -> str:
    """Return the value under which the index "refers" finds the pods that refer to an object."""
    return f"{kind.plural}/{key}"
