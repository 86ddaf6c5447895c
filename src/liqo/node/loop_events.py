"""Tells at home what foreign says of a pod there: a key is that of a warning in a namespace of home's on foreign."""

from dataclasses import dataclass
from datetime import timedelta

from liqo.api.kinds import EVENT, POD
from liqo.api.meta import Key, Wire, parse_time
from liqo.node.abroad import Abroad
from liqo.node.pod_status import TEXT_MAX
from liqo.runtime.loop import Outcome
from liqo.runtime.ports import Clock, Clusters, Events, Selection, Way
from liqo.runtime.store import Store

NEWS = timedelta(minutes=1)  # an older one was told before, or is of no use any more
REASON_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignEvents:
    """All that the reconciles share."""

    clusters: Clusters
    pods: Store
    abroad: Abroad
    events: Events
    clock: Clock

    async def reconcile(self, key: Key) -> Outcome:
        """Tell one warning about the pod at home, of each cluster that has one of that name."""
        for cluster_id, namespace in self.abroad.homes_of(key.namespace).items():
            self._tell(cluster_id, namespace, key)
        return Outcome()

    def _tell(self, cluster_id: str, namespace: str, key: Key) -> None:
        seen = self.clusters.watched(cluster_id, Way.OUTGOING, warnings_in(key.namespace))
        event = seen.get(key) if seen is not None else None
        if event is None or not self._is_news(event):
            return
        name = (event.get("involvedObject") or {}).get("name")
        pod = self.pods.get(Key(namespace, name)) if isinstance(name, str) else None
        if pod is None or self.abroad.cluster_of(pod) != cluster_id:
            return
        reason, message = (
            str(event.get("reason") or "")[:REASON_MAX],
            str(event.get("message") or "")[:TEXT_MAX],
        )
        self.events.emit(pod, POD, reason=reason, message=message, warning=True)

    def _is_news(self, event: Wire) -> bool:
        text = event.get("lastTimestamp") or event.get("eventTime")
        try:
            at = parse_time(text) if isinstance(text, str) else None
        except ValueError:
            return False
        return at is not None and at.tzinfo is not None and self.clock.now() - at < NEWS


def warnings_in(remote: str) -> Selection:
    """Return the watch of warnings about pods in a namespace on foreign."""
    return Selection(EVENT, namespace=remote, fields=f"type=Warning,involvedObject.kind={POD.kind}")
