"""Accepts offers: a key is an Advertisement."""

from collections.abc import Callable
from dataclasses import dataclass

from liqo.api.advertisement import Advertisement
from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.foreign_cluster import ForeignCluster, counting
from liqo.api.kinds import ADVERTISEMENT
from liqo.api.meta import Key, Wire
from liqo.runtime.loop import Outcome
from liqo.runtime.plan import Apply, Plan, act
from liqo.runtime.ports import Cluster, Events
from liqo.runtime.store import Store
from liqo.sharing.accept import judge

MANAGER = "liqo-accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """All that the reconciles share."""

    home: Cluster
    advertisements: Store
    foreigns: Store  # by index "cluster-id"
    config: Callable[[], ClusterConfigSpec]
    events: Events

    async def reconcile(self, key: Key) -> Outcome:
        """Say yes or no to one offer."""
        wire = self.advertisements.get(key)
        if wire is None:
            return Outcome()
        offer = Advertisement.parse(wire)
        siblings = [ForeignCluster.parse(w) for w in self.foreigns.by("cluster-id", offer.spec.cluster_id)]
        verdict = judge(offer, counting(siblings), self.config(), others=self._accepted(key))
        if verdict is None:
            return Outcome()
        status: Wire = {
            "reason": str(verdict.reason),
            "message": verdict.message,
            "answers": offer.spec.answers,
        }
        if verdict.accepted is not None:
            status["phase"] = "Accepted" if verdict.accepted else "Refused"
        body = {
            "apiVersion": ADVERTISEMENT.api_version,
            "kind": ADVERTISEMENT.kind,
            "metadata": {"name": key.name, "namespace": key.namespace, "uid": offer.metadata.uid},
            "status": status,
        }
        apply = Apply(kind=ADVERTISEMENT, obj=body, seen=wire, subresource="status")
        writes = await act(Plan((apply,)), self.home, manager=MANAGER, events=self.events)
        outcome = {True: "done", False: "refused", None: "waiting"}[verdict.accepted]
        return Outcome(writes=writes, outcome=outcome, reason=verdict.reason)

    def _accepted(self, but: Key) -> int:
        """Return how many other offers are accepted."""
        return sum(
            1
            for wire in self.advertisements.values()
            if Key.of(wire) != but and wire.get("status", {}).get("phase") == "Accepted"
        )
