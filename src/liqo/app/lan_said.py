"""What this cluster says of itself on the LAN."""

import asyncio
import socket
from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from liqo.adapters.mdns import Said
from liqo.api.cluster_config import DiscoveryConfig
from liqo.discovery.announcement import STRING_MAX, Announcement, forge_announcement
from liqo.errors import Invalid, Unavailable

LOCAL = "local."
HTTPS = 443


def service_type(config: DiscoveryConfig) -> str:
    """Return the service type to announce and to browse; "" where the domain is not multicast DNS's (RFC 6762 §3)."""
    return f"{config.service}.{LOCAL}" if config.domain.rstrip(".").lower() == "local" else ""


async def forge_said(
    config: DiscoveryConfig,
    server: str,
    home_id: str,
    namespace: str,
    of_type: str,
    ttl: timedelta,
    *,
    door_url: str,
) -> Said:
    """Return what is announced.

    Args:
        config: the settings in force.
        server: where others reach our API server.
        home_id: our ClusterID.
        namespace: Liqo's.
        of_type: the service type.
        ttl: of SRV and address records.
        door_url: where strangers ask; "" if they ask at the API server.

    Raises:
        Invalid: a URL is too long to be announced.
        Unavailable: the server's name has no address.
    """
    parts = urlsplit(server)
    host = parts.hostname or ""
    announcement = Announcement(
        cluster_id=home_id,
        namespace=namespace,
        untrusted_ca=config.allow_untrusted_ca,
        url="" if _is_address(host) else server.rstrip("/"),
        door_url=door_url,
    )
    pairs = tuple(forge_announcement(announcement))
    for key, value in pairs:
        if len(f"{key}={value}".encode()) > STRING_MAX:
            raise Invalid(
                f"{key}= is too long for a TXT record, whose strings have {STRING_MAX} bytes",
                hint="set spec.discoveryConfig.apiUrl of ClusterConfig to a shorter name",
            )
    return Said(
        service_type=of_type,
        name=config.cluster_name or f"cluster-{home_id[:6]}",
        host=f"liqo-{home_id[:12]}.{LOCAL}",
        addresses=await _addresses(host),
        port=parts.port or HTTPS,
        pairs=pairs,
        ttl=ttl,
    )


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def _addresses(host: str) -> tuple[str, ...]:
    """Return the addresses of our own API server's host."""
    if _is_address(host):
        return (host,)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as exc:
        raise Unavailable(
            f"our API server's name {host} has no address",
            hint="set spec.discoveryConfig.apiUrl of ClusterConfig to one that others reach",
        ) from exc
    return tuple(sorted({str(f[4][0]).partition("%")[0] for f in found}))
