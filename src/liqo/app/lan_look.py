"""Looks at the LAN without a cluster: what is announced there, and what is wrong with it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
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
        seconds: how long to wait for answers, and then tell once; None: tell each change until cancelled.
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
            if table.forget_old(now) or news:
                news = False
                if seconds is None:
                    changed(table.list(now), now)
            ticks += 1
            await clock.sleep(TICK)
        if seconds is not None:
            changed(table.list(clock.now()), clock.now())
    finally:
        await mdns.close()


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
