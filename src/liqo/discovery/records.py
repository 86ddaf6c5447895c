"""The records with which a cluster is published in a domain, as the seed has them; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from liqo.discovery.announcement import Announcement, forge_announcement

HTTPS_PORT = 443
TTL = 300  # seconds


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One record: owner and target are whole names without the last dot."""

    owner: str
    kind: str
    data: str

    def line(self) -> str:
        """Return it as a zone file has it (RFC 1035 §5)."""
        return f"{self.owner}.  {TTL}  IN  {self.kind}  {self.data}"


def forge_entries(said: Announcement, *, name: str, domain: str, service: str, server: str) -> list[Entry]:
    """Return the records of one cluster.

    Args:
        said: of it.
        name: of the cluster: a DNS label.
        domain: in which it is published.
        service: `_liqo._tcp`.
        server: the URL of its API server; where its host is an address, that gets a name in the domain.
    """
    parts = urlsplit(server)
    host, port = parts.hostname or "", parts.port or HTTPS_PORT
    literal = _is_address(host)
    target = f"apiserver-{name}.{domain}" if literal else host
    instance = f"{name}.{service}.{domain}"
    pairs = " ".join(f'"{key}={value}"' for key, value in forge_announcement(said))
    found = [
        Entry(domain, "PTR", f"{instance}."),
        Entry(f"{service}.{domain}", "PTR", f"{instance}."),
        Entry(instance, "SRV", f"0 0 {port} {target}."),
        Entry(instance, "TXT", pairs),
    ]
    if literal:  # a host that has a name already has its own address records, which are not ours to write
        found.append(Entry(target, "AAAA" if ":" in host else "A", host))
    return found


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one record of a domain."""

    record: Entry
    message: str


def compare(wanted: Iterable[Entry], there: Sequence[Entry]) -> list[Finding]:
    """Return what is missing or different; what others publish in the domain is left out.

    Args:
        wanted: records.
        there: all records that DNS shows for the same owners and kinds.
    """
    found = []
    for entry in wanted:
        same = [e for e in there if (e.owner.lower(), e.kind) == (entry.owner.lower(), entry.kind)]
        if any(_plain(e) == _plain(entry) for e in same):
            continue
        if entry.kind == "PTR" or not same:
            found.append(Finding(entry, "missing"))
        else:
            found.append(Finding(entry, f"wrong: it is {', '.join(sorted(e.data for e in same))[:200]}"))
    return found


def _plain(entry: Entry) -> object:
    """Return a record such that order and case do not matter where DNS says so."""
    if entry.kind == "TXT":
        return frozenset(entry.data.split('" "')[i].strip('"') for i in range(len(entry.data.split('" "'))))
    return entry.data.lower()
