"""Writes what one loop owns of a ForeignCluster: its part of the status, and its finalizer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from liqo.api.conditions import carry, is_news, status_body
from liqo.api.foreign_cluster import FirstUse, ForeignCluster, Pin
from liqo.api.kinds import FOREIGN_CLUSTER
from liqo.api.meta import Condition, Key, Wire
from liqo.peering.conditions import forge_event
from liqo.runtime.plan import Action, Apply, Plan, act
from liqo.runtime.ports import Clock, Cluster, Events
from liqo.runtime.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """One loop as a field manager.

    Args:
        home: where the ForeignClusters are.
        foreigns: the store of them, where the answer to each write is noted.
        manager: the loop's field manager.
        finalizer: the loop's finalizer.
        conditions: the types of the conditions it owns.
        events: tells people of each condition that turns.
        clock: for the conditions' transition times.
    """

    home: Cluster
    foreigns: Store
    manager: str
    finalizer: str
    conditions: frozenset[str]
    events: Events
    clock: Clock

    async def tell(
        self,
        foreign: ForeignCluster,
        fields: Wire,
        changes: Sequence[Condition],
        *,
        only: Iterable[str] | None = None,
    ) -> int:
        """Write `fields` of the status and the owned conditions, if they are not so already.

        Args:
            foreign: as it was observed.
            fields: all fields of the status that this loop owns.
            changes: conditions that are new or different; the others stay.
            only: the types of conditions to keep from now on; all owned ones by default.
        """
        latest = self.foreigns.get(Key("", foreign.metadata.name))
        old = ForeignCluster.parse(latest).status.conditions if latest else foreign.status.conditions
        keep = self.conditions if only is None else only
        conditions = carry(old, keep, changes, self.clock.now())
        body = status_body(
            FOREIGN_CLUSTER.api_version,
            FOREIGN_CLUSTER.kind,
            foreign.metadata.name,
            foreign.metadata.uid,
            {**fields, **({"conditions": conditions} if conditions else {})},
        )
        apply = Apply(kind=FOREIGN_CLUSTER, obj=body, seen=latest, subresource="status")
        steps: list[Action] = [apply]
        if latest is not None:
            steps += [forge_event(latest, c) for c in changes if is_news(old, c)]
        return await act(
            Plan(steps), self.home, manager=self.manager, events=self.events, remember=self._note
        )

    async def pin(self, foreign: ForeignCluster, pin: FirstUse | None, shown: Pin | None) -> int:
        """Write down by what a legacy id is known, and what it shows instead; no apply, so that both ways share it."""
        if (pin, shown) == (foreign.status.pin, foreign.status.shown):
            return 0
        patch: Wire = {
            "metadata": {"resourceVersion": foreign.metadata.resource_version},
            "status": {"pin": pin and pin.wire(), "shown": shown and shown.wire()},
        }
        key, writer = Key("", foreign.metadata.name), f"{self.manager}-once"
        answer = await self.home.patch(FOREIGN_CLUSTER, key, patch, manager=writer, subresource="status")
        self._note(FOREIGN_CLUSTER, answer)
        return 1

    async def hold(self, foreign: ForeignCluster, *, held: bool) -> None:
        """Set or release the finalizer."""
        if held == (self.finalizer in foreign.metadata.finalizers):
            return
        metadata: Wire = {"name": foreign.metadata.name, "uid": foreign.metadata.uid}
        if held:
            metadata["finalizers"] = [self.finalizer]
        obj = {
            "apiVersion": FOREIGN_CLUSTER.api_version,
            "kind": FOREIGN_CLUSTER.kind,
            "metadata": metadata,
        }
        self._note(FOREIGN_CLUSTER, await self.home.apply(FOREIGN_CLUSTER, obj, manager=self.manager))

    def _note(self, _kind: object, obj: Wire) -> None:
        self.foreigns.note(obj)
