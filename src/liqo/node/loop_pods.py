"""Runs the pods of virtual nodes on their foreign clusters: a key is that of a pod at home.

Both sides are watched, and what is there is compared with what should be; nothing counts on having seen a deletion.
While a foreign cluster does not answer, nothing is concluded from what it does not say.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from liqo.api.kinds import POD
from liqo.api.meta import Key, Kind, Wire, is_ready
from liqo.api.names import STAYS_ANNOTATION
from liqo.api.reasons import Reason
from liqo.errors import Absent, Conflict, Fault, Forbidden, Invalid, Refused, Unavailable, Unreachable
from liqo.node.abroad import Abroad, Place
from liqo.node.forge_pod import forge_pod
from liqo.node.loop import PODS_GO_WITHIN
from liqo.node.loop_content import Contents, contents_in
from liqo.node.loop_map import pods_in
from liqo.node.networks import HINT
from liqo.node.pod_change import forge_change, is_current
from liqo.node.pod_decide import Decision, Move, decide, home_uid
from liqo.node.pod_status import forge_away, forge_body, forge_lost, forge_refused, forge_status, is_told
from liqo.node.references import references
from liqo.runtime.loop import Outcome
from liqo.runtime.ports import Clock, Cluster, Clusters, Events, Health, Session, Way
from liqo.runtime.store import Store

MANAGER = "liqo-pods"
LEAVING_GRACE = 2  # seconds for a pod whose peering ends: the whole of that is to take five


@dataclass(frozen=True, slots=True, kw_only=True)
class OffloadedPods:
    """All that the reconciles share."""

    home: Cluster
    clusters: Clusters
    pods: Store  # all of home's, whole where they are bound to a virtual node
    abroad: Abroad
    address: str  # of the virtual nodes
    contents: Mapping[Kind, Contents]
    events: Events
    clock: Clock
    # By cluster: it did not say whether it created them.
    unheard: set[tuple[str, Key]] = field(default_factory=set)

    async def reconcile(self, key: Key) -> Outcome:
        """Bring one pod a step closer, wherever it is or was."""
        home = self.pods.get(key)
        here = self.abroad.cluster_of(home)
        since = self.abroad.ending_since(here) if here else None
        if home is not None and since is not None:
            return await self._leave(here, home, since)
        if home is not None and not home["spec"].get("nodeName"):
            self._stays(home)
        outcomes = [
            await self._on(cluster_id, remote, key, home if cluster_id == here else None)
            for cluster_id, remote in self.abroad.remotes(key.namespace)
        ]
        writes = sum(o.writes for o in outcomes)
        if home is not None and here and not any(c == here for c, _ in self.abroad.remotes(key.namespace)):
            writes += await self._nowhere(here, home)
        waits = next((o for o in outcomes if o.outcome != "done"), None)
        return Outcome(
            writes=writes, outcome=waits.outcome if waits else "done", reason=waits.reason if waits else ""
        )

    async def _leave(self, cluster_id: str, home: Wire, since: datetime) -> Outcome:
        """Have a pod go whose node is being taken down: with a little grace, and then without."""
        session = self.clusters.get(cluster_id, Way.OUTGOING)
        there = session is not None and session.health is Health.READY
        key, uid = Key.of(home), home["metadata"]["uid"]
        if not there or self.clock.now() >= since + PODS_GO_WITHIN / 2:
            await self.home.delete(POD, key, uid=uid, grace=0)
            return Outcome(writes=1)
        if "deletionTimestamp" not in home["metadata"]:
            grace = min(home["spec"].get("terminationGracePeriodSeconds", LEAVING_GRACE), LEAVING_GRACE)
            await self.home.delete(POD, key, uid=uid, grace=grace)
            return Outcome(writes=1, wake=PODS_GO_WITHIN / 2)
        done = [
            await self._on(cluster_id, remote, key, home)
            for where, remote in self.abroad.remotes(key.namespace)
            if where == cluster_id
        ]
        writes = sum(o.writes for o in done)
        if not done:
            writes += await self._nowhere(cluster_id, home)
        return Outcome(writes=writes, wake=PODS_GO_WITHIN / 2, outcome="waiting")

    async def _on(self, cluster_id: str, namespace: str, key: Key, home: Wire | None) -> Outcome:
        """Bring a pod and what stands for it on one foreign cluster together."""
        if home is None:
            self.unheard.discard((cluster_id, Key(namespace, key.name)))
        session = self.clusters.get(cluster_id, Way.OUTGOING)
        seen = self.clusters.watched(cluster_id, Way.OUTGOING, pods_in(namespace))
        if session is None or session.health is not Health.READY or seen is None:
            writes = await self._doubt(cluster_id, home) if home is not None else 0
            return Outcome(outcome="waiting", reason=Reason.FOREIGN_AWAY, writes=writes)
        remote = seen.get(Key(namespace, key.name))
        if remote is not None and not home_uid(remote):
            if home is None:
                return Outcome()
            return Outcome(writes=await self._refuse(home, Reason.NAME_TAKEN, Reason.NAME_TAKEN.sentence))
        return Outcome(
            writes=await self._act(decide(home, remote), session, cluster_id, namespace, home, remote)
        )

    async def _doubt(self, cluster_id: str, home: Wire) -> int:
        """Say of a pod that it is not Ready as far as anybody knows, once its node says so."""
        node = self.abroad.node_of(cluster_id)
        if node is None or is_ready(node) or not is_ready(home):
            return 0
        return await self._tell(home, forge_away(home))

    async def _act(
        self,
        decision: Decision,
        session: Session,
        cluster_id: str,
        namespace: str,
        home: Wire | None,
        remote: Wire | None,
    ) -> int:
        match decision.move:
            case Move.CREATE if home is not None:
                return await self._create(session, cluster_id, home, namespace)
            case Move.TAKE_DOWN if remote is not None:
                uid = remote["metadata"]["uid"]
                await session.cluster.delete(POD, Key.of(remote), uid=uid, grace=decision.grace)
                return 1
            case Move.TELL if home is not None and remote is not None:
                known, current = partial(self.abroad.is_pod_address, cluster_id), is_current(home, remote)
                status = forge_status(home, remote, self.address, known, current=current)
                writes = await self._tell(home, status)
                told = (remote.get("status") or {}).get("podIP")
                if writes and told and "podIP" not in status:
                    reason = Reason.ADDRESS_NOT_BELIEVED
                    self._say(home, reason, f"{told}: {reason.sentence} {HINT}")
                return writes if current else writes + await self._keep_up(session, home, remote)
            case Move.FAIL if home is not None:
                self._say(home, Reason.TAKEN_AWAY, Reason.TAKEN_AWAY.sentence)
                return await self._tell(home, forge_lost(home))
            case Move.FINISH if home is not None:
                await self.home.delete(POD, Key.of(home), uid=home["metadata"]["uid"], grace=0)
                return 1
        return 0

    async def _create(self, session: Session, cluster_id: str, home: Wire, namespace: str) -> int:
        """Create a pod on foreign, after what it refers to; what refuses it is told at home.

        Raises:
            Unavailable: foreign does not take it now; it is tried again, ever more slowly.
        """
        try:
            forged = forge_pod(home, namespace)
            writes = await self._take_along(session, cluster_id, home, namespace)
        except Refused as fault:
            if isinstance(fault, Forbidden | Invalid):
                return await self._refused_there(home, fault)
            return await self._refuse(home, fault.reason, fault.message)
        try:
            made = await self._made(session.cluster, cluster_id, forged)
        except (Forbidden, Invalid) as fault:
            return await self._refused_there(home, fault)
        self.clusters.note(cluster_id, Way.OUTGOING, pods_in(namespace), made)
        return writes + 1

    async def _made(self, cluster: Cluster, cluster_id: str, forged: Wire) -> Wire:
        """Return the pod, created or there.

        One that is created twice counts twice against foreign's quota, until the quota's next full look in five
        minutes: so a creation that was not answered is asked about first.
        """
        key = Key.of(forged)
        if (cluster_id, key) in self.unheard:
            with suppress(Absent):
                return await cluster.get(POD, key)
        try:
            made = await cluster.create(POD, forged)
        except Conflict:
            made = await cluster.get(POD, key)
        except Unreachable:
            self.unheard.add((cluster_id, key))
            raise
        self.unheard.discard((cluster_id, key))
        return made

    async def _keep_up(self, session: Session, home: Wire, remote: Wire) -> int:
        """Have a pod on foreign follow what was changed at home.

        Raises:
            Conflict: it changed there in this very moment.
            Unavailable: foreign does not take it now; it is tried again, ever more slowly.
        """
        key = Key.of(remote)
        try:
            whole = await session.cluster.get(POD, key)
            if home_uid(whole) == home["metadata"]["uid"]:
                await session.cluster.patch(POD, key, forge_change(home, whole))
        except Absent:
            return 0  # the watch tells of it in a moment
        except (Forbidden, Invalid) as fault:
            self._say(home, Reason.REFUSED_THERE, fault.message)
            raise Unavailable(fault.message, reason=Reason.REFUSED_THERE) from fault
        return 1

    async def _take_along(self, session: Session, cluster_id: str, home: Wire, namespace: str) -> int:
        """Send the ConfigMaps and Secrets that a pod refers to and that are not there yet."""
        writes = 0
        for kind, name in sorted(references(home), key=lambda r: (r[0].plural, r[1])):
            contents = self.contents[kind]
            key = Key(home["metadata"]["namespace"], name)
            originals = contents.views.view(contents_in(kind, key.namespace))
            copies = self.clusters.watched(cluster_id, Way.OUTGOING, contents_in(kind, namespace))
            if originals is None or copies is None:
                raise Unavailable(
                    f"what {home['metadata']['name']} refers to is not known yet", reason="Computing"
                )
            if (original := originals.get(key)) is not None:
                writes += await contents.send(
                    session, key, namespace, original, copies.get(Key(namespace, name))
                )
        return writes

    async def _refused_there(self, home: Wire, fault: Fault) -> int:
        await self._refuse(home, Reason.REFUSED_THERE, fault.message)
        raise Unavailable(fault.message, reason=Reason.REFUSED_THERE) from fault

    async def _nowhere(self, cluster_id: str, home: Wire) -> int:
        """Say why a pod on a virtual node has no place there; one that is being deleted may go."""
        place = self.abroad.place(cluster_id, home["metadata"]["namespace"])
        if not self.abroad.is_known(cluster_id):
            return 0
        if "deletionTimestamp" in home["metadata"]:
            await self.home.delete(POD, Key.of(home), uid=home["metadata"]["uid"], grace=0)
            return 1
        found = place or Place(
            reason=Reason.NAMESPACE_NOT_OFFLOADED, message=Reason.NAMESPACE_NOT_OFFLOADED.sentence
        )
        if found.reason == Reason.COMPUTING:
            return 0  # it comes in a moment
        return await self._refuse(home, found.reason, found.message)

    async def _refuse(self, home: Wire, reason: str, message: str) -> int:
        """Say at home why a pod does not run; once."""
        wanted = forge_refused(home, reason, message)
        if is_told(home, wanted):
            return 0
        self._say(home, reason, message)
        return await self._tell(home, wanted)

    def _stays(self, home: Wire) -> None:
        """Say of a pod that no node has taken why none of another cluster can."""
        if why := (home["metadata"].get("annotations") or {}).get(STAYS_ANNOTATION):
            message = f"only a node of this cluster can take it, and none does: {why}"
            self._say(home, Reason.NOT_OFFLOADABLE, message)

    def _say(self, home: Wire, reason: str, message: str) -> None:
        self.events.emit(home, POD, reason=str(reason), message=message, warning=True)

    async def _tell(self, home: Wire, status: Wire) -> int:
        """Write a pod's status at home, if it does not say so already."""
        if is_told(home, status):
            return 0
        answer = await self.home.apply(POD, forge_body(home, status), manager=MANAGER, subresource="status")
        self.pods.note(answer)
        return 1
