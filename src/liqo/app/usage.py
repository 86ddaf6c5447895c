"""What the pods on virtual nodes use: asked of foreign when somebody at home asks, and never else.

Every replica counts for itself; the Service sends one client to one replica.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from liqo.api.kinds import NODE, POD_METRICS
from liqo.api.meta import Key, Wire, is_ready
from liqo.api.reasons import Reason
from liqo.app.kubelet import Ways
from liqo.errors import Fault
from liqo.node.usage import Counters, Name, Usage, advance, format_counters, parse_usage
from liqo.runtime.ports import Clock, Cluster, Events, Selection

FRESH = timedelta(seconds=5)  # metrics-server asks no more often than each 10 s; two that ask share an answer

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Usages:
    """Answers for all virtual nodes."""

    ways: Ways
    events: Events
    clock: Clock
    _known: dict[str, Counters] = field(default_factory=dict)  # by virtual node
    _silent: dict[str, str] = field(default_factory=dict)  # why one has no answer, likewise

    async def page(self, name: str) -> str | None:
        """Return what a virtual node and the containers on it used, as a kubelet's page; None if there is no such node.

        Raises:
            Fault: the other cluster does not tell.
        """
        for gone in [each for each in {*self._known, *self._silent} if not self.ways.abroad.cluster_at(each)]:
            self._known.pop(gone, None)
            self._silent.pop(gone, None)
        node = self.ways.stores.nodes.get(Key("", name))
        cluster_id = self.ways.abroad.cluster_at(name)
        if node is None or not cluster_id:
            return None
        known = self._known.get(name)
        if known is None or not timedelta(0) <= self.clock.now() - known.at < FRESH:
            foreign = self.ways.cluster(cluster_id)
            try:
                used = await self._ask(foreign, cluster_id, name)
            except Fault as fault:
                self._tell(node, fault)
                raise
            self._silent.pop(name, None)
            known = self._known[name] = advance(self._known.get(name), used, self.clock.now())
        return format_counters(known)

    async def _ask(self, foreign: Cluster, cluster_id: str, name: str) -> dict[Name, Usage]:
        """Ask for each namespace of which pods are there; a home cluster may not ask for all at once.

        One that comes or goes fails alone.

        Raises:
            Fault: all fail.
        """

        async def ask(namespace: str, remote: str) -> dict[Name, Usage] | Fault:
            try:
                page = await foreign.list(Selection(POD_METRICS, namespace=remote))
            except Fault as fault:
                return fault
            return parse_usage(page.items, namespace, lambda *pod: self._runs(name, namespace, *pod))

        namespaces = {pod["metadata"]["namespace"] for pod in self.ways.stores.pods.by("node", name)}
        places = ((each, self.ways.remote(cluster_id, each)) for each in sorted(namespaces))
        answers = await asyncio.gather(*(ask(each, remote) for each, remote in places if remote))
        faults = [each for each in answers if isinstance(each, Fault)]
        if faults and len(faults) == len(answers):
            raise faults[0]
        told = (each for each in answers if not isinstance(each, Fault))
        return {container: usage for each in told for container, usage in each.items()}

    def _runs(self, name: str, namespace: str, pod: str, container: str) -> bool:
        where = self.ways.locate(namespace, pod, container)
        return where is not None and where.node == name

    def _tell(self, node: Wire, fault: Fault) -> None:
        """Say why there is no answer, once for each reason, where `kubectl describe node` shows it.

        That a cluster is away, the node's own condition says.
        """
        name = node["metadata"]["name"]
        if not is_ready(node) or self._silent.get(name) == fault.reason:
            return
        self._silent[name] = fault.reason
        log.warning("no usage of pods abroad", node=name, reason=fault.reason, message=fault.message)
        message = f"{Reason.NO_USAGE.sentence} {fault.message}"
        self.events.emit(node, NODE, reason=Reason.NO_USAGE, message=message, warning=True)
