"""Leader election on a coordination/v1 Lease, as a machine with `now`, and the driver around it.

Expected flow: one replica holds the Lease and renews it every RENEW_EVERY; the others look every RETRY and
take it when it was not renewed for as long as it says. Whoever stops in good order gives it back.

Guarantees: no two lead at once as long as their clocks run equally fast (they need not show the same time:
what counts is for how long *we* saw no change, never the time written in the Lease). A write carries the
resourceVersion that was seen, so only one of two that try wins. A leader that could not renew for
RENEW_WITHIN stops its work, DURATION - RENEW_WITHIN before anybody else may begin.

A holder that restarts under the same name takes its own Lease back at once: the name is that of the pod, of
which there is one. A clock that leaps does not make a candidate steal: it must also have looked
LOOKS times.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, NoReturn

import structlog

from liqo.api.meta import Key, Kind, Wire, format_micro_time
from liqo.errors import Absent, Fault
from liqo.runtime.ports import Clock, Cluster, Random

LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases")

DURATION = timedelta(seconds=15)
RENEW_WITHIN = timedelta(seconds=10)
RENEW_EVERY = timedelta(seconds=4)
RETRY = timedelta(seconds=2)
LOOKS = 7  # at an unchanged Lease, before it may be taken from another: 6 RETRYs, more than RENEW_WITHIN


class Role(Enum):
    """What a replica is."""

    STANDBY = auto()
    LEADER = auto()


@dataclass(frozen=True, slots=True)
class Standing:
    """What one replica knows of the election.

    Args:
        role: what we are.
        version: of the Lease as last seen; "" when it was absent.
        since: when we first saw that version.
        looks: how often we saw it.
        renewed: when our last successful write began.
    """

    role: Role = Role.STANDBY
    version: str = ""
    since: datetime | None = None
    looks: int = 0
    renewed: datetime | None = None


def saw(standing: Standing, lease: Wire | None, now: datetime) -> Standing:
    """Return the standing after reading the Lease."""
    version = lease["metadata"]["resourceVersion"] if lease is not None else ""
    if version == standing.version and standing.since is not None:
        return replace(standing, looks=standing.looks + 1)
    return replace(standing, version=version, since=now, looks=1)


def may_take(standing: Standing, lease: Wire | None, identity: str, now: datetime) -> bool:
    """Return whether the Lease is ours to write: free, our own, or not renewed for too long."""
    spec = (lease or {}).get("spec") or {}
    holder = spec.get("holderIdentity") or ""
    if lease is None or holder in {"", identity}:
        return True
    seconds = spec.get("leaseDurationSeconds")
    duration = timedelta(seconds=seconds) if isinstance(seconds, int) else DURATION
    return standing.since is not None and standing.looks >= LOOKS and now - standing.since > duration


def wrote(lease: Wire, began: datetime) -> Standing:
    """Return the standing after a write that succeeded and began then."""
    version = lease["metadata"]["resourceVersion"]
    return Standing(Role.LEADER, version=version, since=began, looks=1, renewed=began)


def is_lost(standing: Standing, now: datetime) -> bool:
    """Return whether a leader that failed to renew has to stop."""
    return standing.renewed is None or now - standing.renewed >= RENEW_WITHIN


def forge_spec(lease: Wire | None, identity: str, now: datetime) -> Wire:
    """Return the spec with which a replica takes or renews the Lease."""
    spec = (lease or {}).get("spec") or {}
    fresh: Wire = {
        "holderIdentity": identity,
        "leaseDurationSeconds": int(DURATION.total_seconds()),
        "renewTime": format_micro_time(now),
    }
    if spec.get("holderIdentity") != identity:
        fresh["acquireTime"] = fresh["renewTime"]
        fresh["leaseTransitions"] = (spec.get("leaseTransitions") or 0) + (1 if lease else 0)
    return fresh


class Election:
    """Takes part in the election of one leader.

    Args:
        cluster: where the Lease is.
        key: of the Lease.
        identity: ours; the pod's name.
        clock: how time passes.
        random: for jitter.
        on_change: told when we begin (True) and cease (False) to lead.
    """

    def __init__(
        self,
        cluster: Cluster,
        key: Key,
        identity: str,
        *,
        clock: Clock,
        random: Random,
        on_change: Callable[[bool], None] = lambda _leading: None,
    ) -> None:
        self._cluster = cluster
        self._key = key
        self._identity = identity
        self._clock = clock
        self._random = random
        self._on_change = on_change
        self._standing = Standing()
        self._lease: Wire | None = None
        self._log = structlog.get_logger("liqo.lease").bind(lease=str(key), identity=identity)

    @property
    def leading(self) -> bool:
        """Whether we lead."""
        return self._standing.role is Role.LEADER

    async def run(self, work: Callable[[], Awaitable[object]]) -> NoReturn:
        """Run `work` whenever we lead, cancel it when we cease to, until cancelled ourselves.

        On the way out, work is stopped first and the Lease given back then. What `work` raises is raised.
        """
        try:
            while True:
                await self._acquire()
                await self._lead(work)
        finally:
            if self.leading:
                await self._release()

    async def _acquire(self) -> None:
        """Wait until we hold the Lease."""
        while True:
            try:
                await self._look()
                if may_take(self._standing, self._lease, self._identity, self._clock.now()):
                    await self._write()
            except Fault as fault:
                self._log.debug("lease not taken", reason=fault.reason, fault=fault.message)
            if self.leading:
                self._log.info("leading")
                self._on_change(True)
                return
            await self._clock.sleep(RETRY * self._random.uniform(1.0, 1.2))

    async def _lead(self, work: Callable[[], Awaitable[object]]) -> None:
        """Work and renew; return when the Lease was lost."""
        working = asyncio.ensure_future(work())
        renewing = asyncio.ensure_future(self._renew())
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
            lost = renewing.done() and not working.done()
        finally:
            await _stop(renewing)
            await _stop(working)
        if not lost:
            working.result()
            raise RuntimeError("a leader's work ended")
        self._standing = Standing()
        renewing.result()
        self._log.warning("no longer leading")
        self._on_change(False)

    async def _renew(self) -> None:
        """Renew until that failed for too long."""
        while True:
            await self._clock.sleep(RENEW_EVERY)
            while not await self._renewed():
                if is_lost(self._standing, self._clock.now()):
                    return
                await self._clock.sleep(RETRY)

    async def _renewed(self) -> bool:
        """Write once, at the utmost until the deadline; return whether that went well."""
        assert self._standing.renewed is not None
        left = self._standing.renewed + RENEW_WITHIN - self._clock.now()
        writing = asyncio.ensure_future(self._renew_once())
        limit = asyncio.ensure_future(self._clock.sleep(left))
        try:
            await asyncio.wait({writing, limit}, return_when=asyncio.FIRST_COMPLETED)
            return writing.done() and writing.result()
        finally:
            await _stop(limit)
            await _stop(writing)

    async def _renew_once(self) -> bool:
        try:
            await self._write()
        except Fault as fault:
            self._log.warning("lease not renewed", reason=fault.reason, fault=fault.message)
        else:
            return True
        try:  # perhaps a write of ours succeeded and only its answer was lost
            await self._look()
        except Fault:
            return False
        holder = ((self._lease or {}).get("spec") or {}).get("holderIdentity")
        if self._lease is not None and holder != self._identity:
            self._standing = replace(self._standing, renewed=None)  # somebody else leads: stop now
        return False

    async def _look(self) -> None:
        """Read the Lease."""
        try:
            self._lease = await self._cluster.get(LEASE, self._key)
        except Absent:
            self._lease = None
        self._standing = saw(self._standing, self._lease, self._clock.now())

    async def _write(self) -> None:
        """Write the Lease as ours, on top of what was read last."""
        began = self._clock.now()
        spec = forge_spec(self._lease, self._identity, began)
        if self._lease is None:
            meta = {"namespace": self._key.namespace, "name": self._key.name}
            fresh = {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": meta, "spec": spec}
            self._lease = await self._cluster.create(LEASE, fresh)
        else:
            version = self._lease["metadata"]["resourceVersion"]
            patch = {"metadata": {"resourceVersion": version}, "spec": spec}
            self._lease = await self._cluster.patch(LEASE, self._key, patch)
        self._standing = wrote(self._lease, began)

    async def _release(self) -> None:
        """Give the Lease back, so that another need not wait."""
        self._standing = Standing()
        self._on_change(False)
        if self._lease is None:
            return
        version = self._lease["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": ""}}
        with suppress(Fault):
            await self._cluster.patch(LEASE, self._key, patch)


async def _stop(task: "asyncio.Future[Any]") -> None:
    """Cancel a task and wait until it has stopped."""
    task.cancel()
    await asyncio.wait({task})
