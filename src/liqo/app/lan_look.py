"""Looks at the LAN without a cluster: what is announced there, and what is wrong with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from liqo.adapters.clock import SystemClock
from liqo.adapters.mdns import Mdns
from liqo.discovery.lan_records import Record
from liqo.discovery.lan_table import LanTable, Listing

SERVICE_TYPE = "_liqo._tcp.local."
TICK = timedelta(milliseconds=250)
ASK_EVERY = 4  # ticks
SLOWLY_EVERY = 40
FAST_TICKS = 20
QUESTIONS_MAX = 20


async def look(
    *,
    seconds: float | None,
    interfaces: Sequence[str],
    changed: Callable[[Sequence[Listing], datetime], None],
) -> None:
    """Ask the LAN, and hand over what it shows.

    Args:
        seconds: how long to wait for answers, and then tell once; None: tell after each change, and each second,
            since what is heard also runs out, until cancelled.
        interfaces: names; all real ones if empty.
        changed: told all that is there.

    Raises:
        Unavailable: the LAN cannot be used.
    """
    clock, table, news = SystemClock(), LanTable(SERVICE_TYPE), True

    def hear(records: Sequence[Record], sender: str) -> None:
        nonlocal news
        table.hear(records, sender, clock.now())
        news = True

    mdns = Mdns(hear, lambda: None, interfaces)
    await mdns.open()
    try:
        ticks = 0
        while seconds is None or ticks * TICK.total_seconds() < seconds:
            now = clock.now()
            if ticks % (ASK_EVERY if ticks < FAST_TICKS else SLOWLY_EVERY) == 0:
                mdns.browse(SERVICE_TYPE)
            mdns.ask(table.due(now, lambda _: True, QUESTIONS_MAX))
            table.forget_old(now)
            if seconds is None and (news or ticks % ASK_EVERY == 0):
                news = False
                changed(table.list(now), now)
            ticks += 1
            await clock.sleep(TICK)
        if seconds is not None:
            changed(table.list(clock.now()), clock.now())
    finally:
        await mdns.close()


class Change(StrEnum):
    """What became of an instance, in the words of a watch on an API server."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(slots=True)
class Changes:
    """Remembers what was there, to tell what is new; that a life runs on is not."""

    _before: dict[str, tuple[dict[str, Any], Listing]] = field(default_factory=dict)

    def since(self, listings: Sequence[Listing], now: datetime) -> list[tuple[Change, Listing]]:
        """Return what changed since the last call, by instance; of one that went, what was last known of it."""
        there = {x.instance: ({**forge_json(x, now), "secondsLeft": None}, x) for x in listings}
        found: list[tuple[Change, Listing]] = []
        for name in sorted({*self._before, *there}):
            before, after = self._before.get(name), there.get(name)
            if before is None and after is not None:
                found.append((Change.ADDED, after[1]))
            elif before is not None and after is None:
                found.append((Change.DELETED, before[1]))
            elif before is not None and after is not None and before[0] != after[0]:
                found.append((Change.MODIFIED, after[1]))
        self._before = there
        return found


def row(listing: Listing, now: datetime) -> tuple[str, ...]:
    """Return one line of the table: instance, id, namespace, endpoints, mode, seconds left, what is wrong."""
    if listing.claim is None:
        return (listing.instance, "-", "-", "-", "-", "-", f"{listing.problem}: {listing.message}")
    sighting = listing.claim.sighting
    return (
        listing.instance,
        sighting.cluster_id,
        sighting.namespace,
        " ".join(sighting.endpoints),
        "untrusted" if sighting.untrusted_ca else "trusted",
        f"{max(int((listing.claim.until - now).total_seconds()), 0)}s",
        "",
    )


def forge_json(listing: Listing, now: datetime) -> dict[str, Any]:
    """Return one instance as JSON."""
    if listing.claim is None:
        return {"instance": listing.instance, "problem": listing.problem, "message": listing.message}
    sighting = listing.claim.sighting
    return {
        "instance": listing.instance,
        "clusterID": sighting.cluster_id,
        "namespace": sighting.namespace,
        "endpoints": list(sighting.endpoints),
        "untrustedCA": sighting.untrusted_ca,
        "doorUrl": sighting.door_url,
        "ttlSeconds": int(sighting.ttl.total_seconds()),
        "secondsLeft": max(int((listing.claim.until - now).total_seconds()), 0),
    }
