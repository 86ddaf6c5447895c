"""The lab's name server: all of DNS for it is `lab.`, with the address of each API server, and what is added; pure."""

from collections.abc import Mapping
from pathlib import Path

from liqo.lab.component import Component
from liqo.lab.spec import DNS_HOST, Mode

ZONE = "lab."
HOST = "dns"  # its name among the lab's hosts
FOLDER = "dns"
ZONE_FILE = "zone"
RECORDS_FILE = "records"  # further ones, of whoever uses the lab
RELOAD = "1s"  # how soon a new serial is noticed


def address(subnet: str, mode: Mode) -> tuple[str, int]:
    """Return where it answers; an ordinary user may not take port 53 of the machine itself."""
    return f"{subnet}.{DNS_HOST}", 1053 if mode is Mode.LOOPBACK else 53


def forge_zone(hosts: Mapping[str, str], serial: int, further: str = "") -> str:
    """Return the zone.

    Args:
        hosts: IPv4 addresses by name.
        serial: has to grow for the server to take notice (RFC 1035 §3.3.13).
        further: records in zone-file syntax; a name without a dot at its end is in `lab.`.
    """
    records = "".join(f"{name} 5 IN A {host}\n" for name, host in sorted(hosts.items()))
    soa = f"@ 5 IN SOA dns.{ZONE} hostmaster.{ZONE} {serial} 60 60 3600 5\n@ 5 IN NS dns.{ZONE}\n"
    return f"$ORIGIN .\n{soa}$ORIGIN {ZONE}\n{records}{further}\n"


def coredns(folder: Path, subnet: str, mode: Mode) -> Component:
    """Return the server.

    Args:
        folder: of the lab.
        subnet: the first three octets of the LAN.
        mode: of the lab.
    """
    host, port = address(subnet, mode)
    zone = folder / FOLDER / ZONE_FILE
    reload = f"file {zone} {{\n        reload {RELOAD}\n    }}"
    corefile = f".:{port} {{\n    bind {host}\n    errors\n    {reload}\n}}\n"
    return Component(
        name="coredns",
        program="coredns",
        args=("-conf", str(folder / FOLDER / "Corefile")),
        files={"Corefile": corefile},
    )
