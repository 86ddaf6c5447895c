"""What is on the wire: the records of DNS-SD instances, as they come and run out; pure.

Every table has a bound, and one sender cannot take more than his share of it, so that a neighbour who floods the
LAN pushes out his own instances and nobody else's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address

from liqo.api.foreign_cluster import ENDPOINTS_MAX
from liqo.api.reasons import Reason
from liqo.discovery.announcement import Announcement, instance_label, parse_announcement, show
from liqo.discovery.lan_records import HostAddress, Pointer, Question, Record, Service, Text
from liqo.discovery.sighting import Sighting
from liqo.errors import Malformed

INSTANCES_MAX = 1_024  # four times as many as there are places for ForeignClusters
PER_SENDER_MAX = 64  # instances and host names, of one address on the LAN; a reflector speaks for a whole LAN
ADDRESSES_MAX = 16  # of one host; a node with many networks has fewer
TTL_MAX = timedelta(minutes=75)  # RFC 6762 §10 recommends no longer one
FLUSH_AFTER = timedelta(seconds=1)  # what came in the same second belongs together (RFC 6762 §10.2)
PORT_MAX = 65_535
ASK_INCOMPLETE = 3  # times; who does not answer then has nothing to say
ASK_AGAIN = timedelta(seconds=1)
FADING = 0.2  # of a life is left when it is asked again (RFC 6762 §5.2)
WAIT_FOR_REST = timedelta(seconds=10)  # for the records of an instance of which only the name is known
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class _Instance:
    """One instance, as far as it was heard."""

    name: str
    sender: str
    since: datetime
    service: Service | None = None
    service_until: datetime | None = None
    text: Text | None = None
    text_until: datetime | None = None
    asked: int = 0
    ask_at: datetime = NEVER


@dataclass(slots=True)
class _Host:
    """The addresses of one host name, with when each was heard and until when it counts."""

    sender: str
    addresses: dict[str, tuple[datetime, datetime, timedelta]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A whole instance that says which cluster it is.

    Args:
        sighting: what it says.
        sender: the address that its records came from.
        since: when it was first heard.
        until: when the first of the records that it needs runs out.
    """

    sighting: Sighting
    sender: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One instance as a person debugging wants to see it; `problem` is "" where nothing is wrong."""

    instance: str
    claim: Claim | None
    problem: str = ""
    message: str = ""


class LanTable:
    """Instances by their full name in lower case, and hosts likewise.

    Args:
        service_type: such as `_liqo._tcp.local.`.
    """

    def __init__(self, service_type: str) -> None:
        self._suffix = f".{service_type.lower()}"
        self._instances: dict[str, _Instance] = {}
        self._hosts: dict[str, _Host] = {}
        self._claimed: dict[str, dict[str, None]] = {}  # cluster id → instances
        self._goodbyes: dict[str, None] = {}
        self.dropped = 0  # instances that gave way to newer ones

    def hear(self, records: Sequence[Record], sender: str, now: datetime) -> set[str]:
        """Take the records of one packet; return the ids of clusters of which something may have changed."""
        touched: set[str] = set()
        hosts: set[str] = set()
        for record in records:
            if isinstance(record, HostAddress):
                host = record.host.lower()
                self._address(record, sender, now, records)
                hosts.add(host)
            elif record.instance.lower().endswith(self._suffix):
                touched |= self._record(record, sender, now)
        if hosts:
            for instance in self._instances.values():
                if instance.service is not None and instance.service.host.lower() in hosts:
                    touched |= self._ids(instance)
        return touched

    def claims(self, cluster_id: str, now: datetime) -> list[Claim]:
        """Return the instances that claim an id and are whole, the first heard first."""
        found = [self._instances[n] for n in self._claimed.get(cluster_id, {}) if n in self._instances]
        claims = [claim for instance in found if (claim := self._claim(instance, now)) is not None]
        return sorted(claims, key=lambda c: (c.since, c.sighting.instance))

    def said_goodbye(self, cluster_id: str) -> bool:
        """Return whether the last that was heard of a cluster is that it goes."""
        return cluster_id in self._goodbyes

    def sender(self, cluster_id: str) -> str:
        """Return who spoke of a cluster; "" if nobody."""
        found = (self._instances.get(n) for n in self._claimed.get(cluster_id, {}))
        return next((i.sender for i in found if i is not None), "")

    def due(self, now: datetime, wanted: Callable[[str], bool], limit: int) -> list[Question]:
        """Return what has to be asked again now, and note that it was asked.

        What is incomplete is asked for three times, a second apart; what is wanted after 80, 85, 90 and 95 % of its
        life (RFC 6762 §5.2). The newest come first, since a flood is old by then.

        Args:
            now: the instant.
            wanted: whether the cluster with an id is one that we keep.
            limit: of questions at once.
        """
        found: list[Question] = []
        for instance in reversed(self._instances.values()):
            if len(found) >= limit:
                break
            whole = self._claim(instance, now) is not None
            if not whole and instance.asked < ASK_INCOMPLETE and now >= instance.ask_at:
                instance.asked += 1
                instance.ask_at = now + ASK_AGAIN
            elif whole and self._is_fading(instance, now) and any(map(wanted, self._ids(instance))):
                assert instance.service is not None
                instance.ask_at = now + instance.service.ttl * 0.05
            else:
                continue
            found.append(Question(instance.name, instance.service.host if instance.service else ""))
        return found

    def _is_fading(self, instance: _Instance, now: datetime) -> bool:
        claim = self._claim(instance, now)
        return (
            claim is not None and now >= instance.ask_at and claim.until - now < claim.sighting.ttl * FADING
        )

    def restart(self, service_type: str) -> set[str]:
        """Begin anew with another service type; return the ids of clusters that are no longer shown."""
        gone = set(self._claimed)
        self._suffix = f".{service_type.lower()}"
        self._instances.clear()
        self._hosts.clear()
        self._claimed.clear()
        for cluster_id in gone:
            self._say_goodbye(cluster_id)
        return gone

    def list(self, now: datetime) -> list[Listing]:
        """Return all instances with what is wrong with each, by name."""
        return [self._listing(i, now) for _, i in sorted(self._instances.items())]

    def forget_old(self, now: datetime) -> set[str]:
        """Drop what has run out; return the ids of clusters that it spoke of."""
        touched: set[str] = set()
        for name, instance in list(self._instances.items()):
            ends = [u for u in (instance.service_until, instance.text_until) if u is not None]
            if all(end <= now for end in (ends or [instance.since + WAIT_FOR_REST])):
                touched |= self._ids(instance)
                self._remove(name)
        for name, host in list(self._hosts.items()):
            host.addresses = {a: h for a, h in host.addresses.items() if h[1] > now}
            if not host.addresses:
                del self._hosts[name]
        return touched

    def __len__(self) -> int:
        return len(self._instances)

    # Inside.

    def _record(self, record: Service | Text | Pointer, sender: str, now: datetime) -> set[str]:
        name = record.instance.lower()
        known = self._instances.get(name)
        if not record.ttl:
            return self._goodbye(name) if known is not None and not isinstance(record, Text) else set()
        if known is None:
            self._make_room(sender)
            known = self._instances[name] = _Instance(record.instance, sender, now)
        before = self._ids(known)
        until = now + min(record.ttl, TTL_MAX)
        match record:
            case Service():
                known.service, known.service_until = record, until
            case Text():
                known.text, known.text_until = record, until
                for cluster_id in before:
                    self._unclaim(cluster_id, name)
                for cluster_id in self._ids(known):
                    self._claimed.setdefault(cluster_id, {})[name] = None
            case Pointer():
                return set()
        after = self._ids(known)
        for cluster_id in after:
            self._goodbyes.pop(cluster_id, None)
        return before | after

    def _goodbye(self, name: str) -> set[str]:
        gone = self._ids(self._instances[name])
        self._remove(name)
        for cluster_id in gone:
            if not self._claimed.get(cluster_id):
                self._say_goodbye(cluster_id)
        return gone

    def _address(self, record: HostAddress, sender: str, now: datetime, packet: Sequence[Record]) -> None:
        name = record.host.lower()
        host = self._hosts.get(name)
        if host is None:
            if not record.ttl:
                return
            self._make_room_for_host(sender)
            host = self._hosts[name] = _Host(sender)
        if not record.ttl:
            host.addresses.pop(record.address, None)
            return
        if record.flush:
            together = {r.address for r in packet if isinstance(r, HostAddress) and r.host.lower() == name}
            family = ":" in record.address
            host.addresses = {
                a: heard
                for a, heard in host.addresses.items()
                if a in together or (":" in a) != family or now - heard[0] <= FLUSH_AFTER
            }
        if record.address in host.addresses or len(host.addresses) < ADDRESSES_MAX:
            ttl = min(record.ttl, TTL_MAX)
            host.addresses[record.address] = (now, now + ttl, ttl)

    def _make_room(self, sender: str) -> None:
        """Make room for one more instance: of the same sender's if he has his share, else of whoever has most."""
        mine = [n for n, i in self._instances.items() if i.sender == sender]
        if len(mine) >= PER_SENDER_MAX:
            self.dropped += 1
            self._remove(mine[0])
        elif len(self._instances) >= INSTANCES_MAX:
            self.dropped += 1
            self._remove(_of_the_loudest({n: i.sender for n, i in self._instances.items()}))

    def _make_room_for_host(self, sender: str) -> None:
        mine = [n for n, h in self._hosts.items() if h.sender == sender]
        if len(mine) >= PER_SENDER_MAX:
            del self._hosts[mine[0]]
        elif len(self._hosts) >= INSTANCES_MAX:
            del self._hosts[_of_the_loudest({n: h.sender for n, h in self._hosts.items()})]

    def _remove(self, name: str) -> None:
        instance = self._instances.pop(name)
        for cluster_id in self._ids(instance):
            self._unclaim(cluster_id, name)

    def _unclaim(self, cluster_id: str, name: str) -> None:
        names = self._claimed.get(cluster_id, {})
        names.pop(name, None)
        if not names:
            self._claimed.pop(cluster_id, None)

    def _say_goodbye(self, cluster_id: str) -> None:
        self._goodbyes[cluster_id] = None
        while len(self._goodbyes) > INSTANCES_MAX:
            del self._goodbyes[next(iter(self._goodbyes))]

    def _ids(self, instance: _Instance) -> set[str]:
        said, _ = _read(instance)
        return {said.cluster_id} if said is not None else set()

    def _claim(self, instance: _Instance, now: datetime) -> Claim | None:
        said, _ = _read(instance)
        if said is None or instance.service is None:
            return None
        endpoints, ends, lives = self._endpoints(instance, said, now)
        until = min(e for e in (instance.service_until, instance.text_until, ends) if e is not None)
        if not endpoints or until <= now:
            return None
        label = instance.name[: -len(self._suffix)]
        sighting = Sighting(
            cluster_id=said.cluster_id,
            cluster_name=instance_label(label),
            namespace=said.namespace,
            untrusted_ca=said.untrusted_ca,
            endpoints=endpoints,
            door_url=said.door_url,
            instance=show(label),
            ttl=min(instance.service.ttl, lives, TTL_MAX),
        )
        return Claim(sighting=sighting, sender=instance.sender, since=instance.since, until=until)

    def _endpoints(
        self, instance: _Instance, said: Announcement, now: datetime
    ) -> tuple[tuple[str, ...], datetime | None, timedelta]:
        """Return the URLs, until when they count, and the TTL of the addresses in them."""
        assert instance.service is not None
        host, port = self._hosts.get(instance.service.host.lower()), instance.service.port
        heard = [(a, h) for a, h in (host.addresses if host else {}).items() if h[1] > now]
        usable = sorted((":" in a, a, h) for a, h in heard if _is_usable(a))
        urls = [said.url] if said.url else []
        if 0 < port <= PORT_MAX:
            urls += [f"https://[{a}]:{port}" if six else f"https://{a}:{port}" for six, a, _ in usable]
        ends = max((h[1] for *_, h in usable), default=None)
        lives = max((h[2] for *_, h in usable), default=TTL_MAX)
        return tuple(dict.fromkeys(urls))[:ENDPOINTS_MAX], ends, lives

    def _listing(self, instance: _Instance, now: datetime) -> Listing:
        label = show(instance.name[: -len(self._suffix)])
        claim = self._claim(instance, now)
        if claim is not None:
            return Listing(instance=label, claim=claim)
        if instance.service is None:
            return Listing(instance=label, claim=None, problem=Reason.NO_SRV, message=Reason.NO_SRV.sentence)
        said, fault = _read(instance)
        if said is None:
            reason, message = (
                (fault.reason, fault.message) if fault else (Reason.NO_TXT, "no TXT record came")
            )
            return Listing(instance=label, claim=None, problem=reason, message=message)
        return Listing(
            instance=label, claim=None, problem=Reason.NO_ADDRESS, message=Reason.NO_ADDRESS.sentence
        )


def _read(instance: _Instance) -> tuple[Announcement | None, Malformed | None]:
    if instance.text is None:
        return None, None
    try:
        return parse_announcement(instance.text.strings), None
    except Malformed as fault:
        return None, fault


def _is_usable(address: str) -> bool:
    """Return whether an address means the same on every host: a link-local one does not."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.scope_id:
        return False
    return not (parsed.is_link_local or parsed.is_multicast or parsed.is_unspecified)


def _of_the_loudest(senders: dict[str, str]) -> str:
    """Return the oldest entry of the sender who has most."""
    counts: dict[str, int] = {}
    for sender in senders.values():
        counts[sender] = counts.get(sender, 0) + 1
    loudest = max(counts, key=lambda s: counts[s])
    return next(name for name, sender in senders.items() if sender == loudest)
