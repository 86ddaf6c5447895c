"""mDNS (RFC 6762) by python-zeroconf: its sockets, its responder and its parser; what it hears becomes our records.

Not used of it: ServiceBrowser and its cache's word on what is there. The cache evicts what runs out soonest, which
in a flood is the honest SRV record; `discovery.lan_table` keeps what counts, within bounds of its own.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import cast

import ifaddr
from zeroconf import Error as ZeroconfError
from zeroconf import IPVersion, RecordUpdate, RecordUpdateListener, ServiceInfo, Zeroconf
from zeroconf._dns import DNSAddress, DNSPointer, DNSQuestion, DNSRecord, DNSService, DNSText
from zeroconf._protocol.outgoing import DNSOutgoing
from zeroconf.asyncio import AsyncZeroconf
from zeroconf.const import (
    _CLASS_IN,
    _FLAGS_QR_QUERY,
    _TYPE_A,
    _TYPE_AAAA,
    _TYPE_PTR,
    _TYPE_SRV,
    _TYPE_TXT,
)

from liqo.adapters.mdns_gate import Gate, Meter
from liqo.discovery.lan_records import HostAddress, Pointer, Question, Record, Service, Text
from liqo.errors import Invalid, Unavailable

# Networks of pods and of virtual machines: no neighbour is there.
VIRTUAL = ("lo", "cni", "flannel", "veth", "cali", "docker", "br-", "virbr", "kube-", "lxc", "cilium")
RECEIVE_BUFFER = 1 << 20  # bytes; the kernel drops what comes faster than it is read
STRINGS_MAX = 64
OTHER_TTL = timedelta(minutes=75)  # of PTR and TXT (RFC 6762 §10)

Hear = Callable[[Sequence[Record], str], None]
"""(the records of one packet, its sender)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is announced of us; equal ones are one announcement.

    Args:
        service_type: such as `_liqo._tcp.local.`.
        name: of the instance; somebody else's equal one makes it NAME-2.
        host: the SRV record's target, a name of our own.
        addresses: of the host.
        port: of the API server.
        pairs: of the TXT record.
        ttl: of SRV and address records.
    """

    service_type: str
    name: str
    host: str
    addresses: tuple[str, ...]
    port: int
    pairs: tuple[tuple[str, str], ...]
    ttl: timedelta


Interfaces = Mapping[str | int, int]
"""IPv4 addresses, and interface numbers for IPv6, each with the number of its interface."""


def choose_interfaces(names: Sequence[str]) -> Interfaces:
    """Return what the named interfaces have; what all real ones have if none is named.

    Raises:
        Invalid: there is no such interface, or it has no address.
    """
    found, missing = _present(names)
    if missing:
        raise Invalid(
            f"no interface {', '.join(missing)} with an address", hint="ip -brief address shows them"
        )
    return found


def _present(names: Sequence[str]) -> tuple[Interfaces, Sequence[str]]:
    """Return what the interfaces have, and which of the names none has."""
    found: dict[str | int, int] = {}
    present: set[str] = set()
    for adapter in ifaddr.get_adapters():
        wanted = adapter.name in names or (not names and not adapter.name.startswith(VIRTUAL))
        if wanted and adapter.index is not None:
            present.add(adapter.name)
            found |= {str(ip.ip): adapter.index for ip in adapter.ips if ip.is_IPv4}
            if any(ip.is_IPv6 for ip in adapter.ips):
                found[adapter.index] = adapter.index
    return found, sorted(set(names) - present)


class Mdns(RecordUpdateListener):
    """One set of sockets, to announce and to listen.

    Args:
        hear: told what each packet says.
        dropped: told of each packet beyond the rate.
        interfaces: names; all real ones if empty.
    """

    def __init__(self, hear: Hear, dropped: Callable[[], None], interfaces: Sequence[str] = ()) -> None:
        super().__init__()
        self._hear, self._dropped, self._names = hear, dropped, interfaces
        self._meter, self._sender = Meter(), ""
        self._zeroconf: AsyncZeroconf | None = None
        self._chosen: Interfaces = {}
        self._info: ServiceInfo | None = None
        self._said: Said | None = None
        self._sending: set[asyncio.Future[object]] = set()
        self._announcing: asyncio.Future[object] | None = None

    async def open(self) -> None:
        """Open the sockets.

        Raises:
            Unavailable: there is no interface, or the kernel does not let us.
        """
        self._chosen = choose_interfaces(self._names)
        if not self._chosen:
            raise Unavailable("no network interface has an address", hint="name one with --interface")
        try:
            self._zeroconf = _open(list(self._chosen))
            await self._zeroconf.zeroconf.async_wait_for_start()
        except (OSError, ZeroconfError) as exc:
            raise Unavailable(
                f"mDNS cannot be used: {exc}", hint="UDP port 5353 has to be shared (SO_REUSEPORT)"
            ) from exc
        self._zeroconf.zeroconf.async_add_listener(self, None)
        self._guard()

    async def close(self) -> None:
        """Say goodbye and close."""
        if self._zeroconf is not None:
            with suppress(OSError):
                await self._zeroconf.async_unregister_all_services()
            for sending in self._sending:
                sending.cancel()
            await asyncio.gather(*self._sending, return_exceptions=True)
            with suppress(OSError):
                await self._zeroconf.async_close()

    async def follow_interfaces(self) -> None:
        """Take up interfaces and addresses that came or went, and those that could not be used before.

        A new IPv6 address cannot for a second or two, in which the kernel asks whether somebody has it (RFC 4862 §5.4).
        """
        chosen, _ = _present(self._names)
        if self._zeroconf is None or not chosen:
            return
        update = self._zeroconf.zeroconf.async_update_interfaces
        # An interface made anew with an old address is not in the multicast group that the old one was in.
        anew = {each for each, index in chosen.items() if self._chosen.get(each, index) != index}
        with suppress(OSError, ZeroconfError):
            if anew:
                await update([each for each in chosen if each not in anew])
            await update(list(chosen))
            self._chosen = chosen
            self._guard()

    async def announce(self, said: Said | None) -> str:
        """Announce that and nothing else, None is goodbye; return the name that the instance got.

        Raises:
            Unavailable: it could not be sent.
        """
        assert self._zeroconf is not None
        if said == self._said:
            return self._info.get_name() if self._info else ""
        old, self._said = self._said, None
        if self._announcing is not None:  # a late copy of what was would undo what is, or a goodbye
            self._announcing.cancel()
        try:
            if said is None:
                await self._withdraw()
                return ""
            if old is not None and self._info is not None and _is_same_instance(old, said):
                self._info = _forge_info(said, self._info.name)
                self._announcing = self._keep(await self._zeroconf.zeroconf.async_update_service(self._info))
            else:
                await self._withdraw()
                self._info = _forge_info(said, f"{said.name}.{said.service_type}")
                registering = self._zeroconf.zeroconf.async_register_service
                self._announcing = self._keep(await registering(self._info, allow_name_change=True))
        except (OSError, ZeroconfError) as exc:
            raise Unavailable(f"the announcement cannot be sent: {exc}") from exc
        self._said = said
        return self._info.get_name()

    def browse(self, service_type: str) -> None:
        """Ask once who is there."""
        self._send([DNSQuestion(service_type, _TYPE_PTR, _CLASS_IN)])

    def ask(self, questions: Sequence[Question]) -> None:
        """Ask once for SRV and TXT records of instances, and for their hosts' addresses."""
        found = []
        for question in questions:
            found += [DNSQuestion(question.instance, kind, _CLASS_IN) for kind in (_TYPE_SRV, _TYPE_TXT)]
            if question.host:
                found += [DNSQuestion(question.host, kind, _CLASS_IN) for kind in (_TYPE_A, _TYPE_AAAA)]
        if found:
            self._send(found)

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        """Take what a packet said; zeroconf also tells here what its cache has dropped, which is not news."""
        del zc
        news = [r for update in records if (r := _translate(update.new, now)) is not None]
        if news:
            self._hear(news, self._sender)

    # Inside.

    def _note(self, sender: str) -> None:
        self._sender = sender

    def _guard(self) -> None:
        """Put a gate before each socket's listener that has none yet."""
        assert self._zeroconf is not None
        for reader in self._zeroconf.zeroconf.engine.readers:
            with suppress(OSError):
                reader.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            listener = reader.transport.get_protocol()
            if not isinstance(listener, Gate):
                inner = cast("asyncio.DatagramProtocol", listener)
                reader.transport.set_protocol(Gate(inner, self._meter, self._note, self._dropped))

    def _send(self, questions: Sequence[DNSQuestion]) -> None:
        assert self._zeroconf is not None
        out = DNSOutgoing(_FLAGS_QR_QUERY)
        for question in questions:
            out.add_question(question)
        with suppress(OSError, ZeroconfError):  # a link that is down; we ask again
            self._zeroconf.zeroconf.async_send(out)

    async def _withdraw(self) -> None:
        if self._info is not None and self._zeroconf is not None:
            info, self._info = self._info, None
            zeroconf = self._zeroconf.zeroconf
            self._keep(await zeroconf.async_unregister_service(info))
            for answers in (zeroconf.out_queue, zeroconf.out_delay_queue):
                answers.queue.clear()  # they wait for up to a second, and would bring it back after the goodbye

    def _keep(self, copies: Awaitable[object]) -> "asyncio.Future[object]":
        """Let the copies of an announcement go out while we go on (RFC 6762 §8.3)."""

        def done(future: "asyncio.Future[object]") -> None:
            self._sending.discard(future)
            if not future.cancelled():
                future.exception()

        sending = asyncio.ensure_future(copies)
        self._sending.add(sending)
        sending.add_done_callback(done)
        return sending


def _open(chosen: list[str | int]) -> AsyncZeroconf:
    """Open sockets for both families, or for IPv4 alone where the kernel has no IPv6."""
    four = [i for i in chosen if isinstance(i, str)]
    try:
        version = IPVersion.All if len(four) < len(chosen) else IPVersion.V4Only
        return AsyncZeroconf(interfaces=list(chosen), ip_version=version)
    except OSError:
        if not four or len(four) == len(chosen):
            raise
        return AsyncZeroconf(interfaces=list(four), ip_version=IPVersion.V4Only)


def _is_same_instance(old: Said, new: Said) -> bool:
    return (old.service_type, old.name, old.host) == (new.service_type, new.name, new.host)


def _forge_info(said: Said, name: str) -> ServiceInfo:
    return ServiceInfo(
        said.service_type,
        name,
        port=said.port,
        properties=dict(said.pairs),
        server=said.host,
        host_ttl=int(said.ttl.total_seconds()),
        other_ttl=int(OTHER_TTL.total_seconds()),
        parsed_addresses=list(said.addresses),
    )


def _translate(record: DNSRecord, now: float) -> Record | None:
    ttl = timedelta(seconds=record.ttl)
    if ttl and record.is_expired(now):
        return None
    match record:
        case DNSService():
            return Service(record.name, record.server, record.port, ttl)
        case DNSText():
            return Text(record.name, _strings(record.text), ttl)
        case DNSPointer() if record.type == _TYPE_PTR:
            return Pointer(record.alias, ttl)
        case DNSAddress():
            if len(record.address) not in {4, 16}:
                return None
            return HostAddress(record.name, str(ip_address(record.address)), ttl, flush=record.unique)
        case _:
            return None


def _strings(text: bytes) -> tuple[bytes, ...]:
    """Return the strings of a TXT record (RFC 1035 §3.3.14), those after the end of the record left out."""
    found: list[bytes] = []
    at = 0
    while at < len(text) and len(found) < STRINGS_MAX:
        size = text[at]
        found.append(text[at + 1 : at + 1 + size])
        at += 1 + size
    return tuple(found)
