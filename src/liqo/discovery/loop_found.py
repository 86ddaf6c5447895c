"""Keeps the ForeignCluster of each cluster that is found: a key is Key("", <cluster id>)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.kinds import FOREIGN_CLUSTER
from liqo.api.meta import Key, Kind, Wire
from liqo.api.reasons import Reason
from liqo.discovery.found import Seen, decide, is_held_back
from liqo.discovery.sighting import dns_finder
from liqo.discovery.sightings import Sightings
from liqo.runtime.loop import Outcome
from liqo.runtime.plan import Plan, act
from liqo.runtime.ports import Clock, Cluster, Events
from liqo.runtime.store import Store

MANAGER = "liqo-found"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundClusters:
    """All that the reconciles share.

    Args:
        home: our own cluster.
        foreigns: ForeignClusters, by index "cluster-id".
        domains: SearchDomains.
        sightings: what the searches of this process see.
        config: the settings in force.
        home_id: our own ClusterID, which is never found.
        events: tells people.
        clock: the time.
    """

    home: Cluster
    foreigns: Store
    domains: Store
    sightings: Sightings
    config: Callable[[], ClusterConfigSpec]
    home_id: Callable[[], str]
    events: Events
    clock: Clock

    async def reconcile(self, key: Key) -> Outcome:
        """Bring the ForeignCluster of one cluster to what the finders see."""
        if key.name == self.home_id():
            return Outcome()
        seen = self._observe(key.name)
        plan = decide(seen, self.clock.now())
        writes = await self._act(plan)
        if not seen.siblings and plan.actions:  # it is there now, and wants its sources
            if is_held_back(seen):
                self._tell_held_back(key.name)
            plan = decide(self._observe(key.name), self.clock.now())
            writes += await self._act(plan)
        return Outcome(wake=plan.wake, writes=writes)

    async def _act(self, plan: Plan) -> int:
        return await act(plan, self.home, manager=MANAGER, events=self.events, remember=self._note)

    def _observe(self, cluster_id: str) -> Seen:
        """Read the stores."""
        wires = self.foreigns.by("cluster-id", cluster_id)
        domains = self._domains()
        sightings = {f: s for f, s in self.sightings.of(cluster_id).items() if f in domains}
        return Seen(
            cluster_id=cluster_id,
            siblings=[(ForeignCluster.parse(w), w) for w in wires],
            sightings=sightings,
            silent={f for f in domains if not self.sightings.has_answered(f)},
            autojoin=domains,
            config=self.config().discovery_config,
        )

    def _domains(self) -> Mapping[str, bool | None]:
        """Return spec.autojoin of the SearchDomains that are there, by finder."""
        return {
            dns_finder(w["metadata"]["name"]): w["spec"].get("autojoin")
            for w in self.domains.values()
            if "deletionTimestamp" not in w["metadata"]
        }

    def _tell_held_back(self, cluster_id: str) -> None:
        for wire in self.foreigns.by("cluster-id", cluster_id):
            reason = Reason.NOT_AUTHENTICATED
            self.events.emit(wire, FOREIGN_CLUSTER, reason=reason, message=reason.sentence, warning=True)

    def _note(self, _kind: Kind, obj: Wire) -> None:
        self.foreigns.note(obj)
