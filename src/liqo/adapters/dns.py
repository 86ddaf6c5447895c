"""Implements `discovery.dns.Resolver`: several servers in turn, aliases followed, and what an answer means."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import idna

from liqo.adapters.dns_address import Address, parse_servers
from liqo.adapters.dns_message import Message, Question, Silent
from liqo.adapters.dns_server import Server, connect
from liqo.api.reasons import Reason
from liqo.discovery.announcement import STRING_MAX, STRINGS_MAX, show
from liqo.discovery.dns import Answer, Record, Service, Type
from liqo.errors import Invalid

ALIASES_MAX = 16  # CNAMEs on the way to one answer
RECORDS_MAX = 10_000  # of one answer; 64 KiB hold fewer PTR records than that
NEGATIVE = timedelta(seconds=30)  # where no SOA says how long a negative answer holds
NEGATIVE_MOST = timedelta(minutes=5)
_RCODES = {
    dns.rcode.SERVFAIL: Reason.SERVER_FAILED,
    dns.rcode.REFUSED: Reason.SERVER_REFUSED,
    dns.rcode.NXDOMAIN: Reason.NO_SUCH_DOMAIN,
}


def encode_domain(text: str) -> str:
    """Return a domain in ASCII, lower case, without the last dot (IDNA 2008, UTS 46).

    Raises:
        Invalid: it is no domain name.
    """
    bare = text.rstrip(".")
    try:
        encoded = bare.lower() if bare.isascii() else idna.encode(bare, uts46=True).decode()
        dns.name.from_text(encoded)
    except (idna.IDNAError, dns.exception.DNSException, UnicodeError):
        encoded = ""
    if not encoded or any(c.isspace() for c in encoded):
        raise Invalid(f"{show(text) or 'nothing'} is no domain name", reason=Reason.BAD_DOMAIN)
    return encoded


def has_ipv6() -> bool:
    """Return whether this host has a way to IPv6 addresses; nothing is sent."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect(("2001:db8::1", 1))
    except OSError:
        return False
    return True


Count = Callable[[str], None]
"""Told how each question ended: answered, or a reason."""


@dataclass(slots=True)
class NameServers:
    """The servers of `dnsServer`; the one that answered last is asked first.

    Args:
        addresses: of the servers, in their owner's order.
        count: told of each question.
        ipv6: whether this host reaches IPv6 addresses.
    """

    addresses: Sequence[Address]
    count: Count = lambda _result: None
    ipv6: bool = field(default_factory=lambda: has_ipv6())  # noqa: PLW0108  it stands below
    _servers: dict[Address, Server] = field(default_factory=dict)
    _first: int = 0

    @classmethod
    def of(cls, text: str, count: Count = lambda _result: None) -> "NameServers":
        """Return the servers that a setting names.

        Raises:
            Invalid: it names none.
        """
        return cls(parse_servers(text), count)

    async def close(self) -> None:
        """Close all connections."""
        for server in self._servers.values():
            await server.close()
        self._servers.clear()

    async def ask(self, name: str, kind: Type) -> Answer:
        """Return what is said about a name, at the end of all aliases."""
        answer = await self._ask(name, kind)
        self.count("answered" if answer.fault is None else str(answer.fault))
        return answer

    async def _ask(self, name: str, kind: Type) -> Answer:
        seen: set[str] = set()
        shortest: timedelta | None = None
        while name not in seen and len(seen) < ALIASES_MAX:
            seen.add(name)
            try:
                question = Question.of(name, kind)
            except dns.exception.DNSException:
                return Answer(fault=Reason.NO_SUCH_DOMAIN, ttl=NEGATIVE)  # no such name can be
            try:
                message, server = await self._exchange(question)
            except Silent as silent:
                return Answer(fault=silent.reason)
            answer, alias = read_answer(message, question, _proof(message, server))
            shortest = answer.ttl if shortest is None else min(shortest, answer.ttl)
            if not alias:
                return Answer(records=answer.records, ttl=shortest, fault=answer.fault, proof=answer.proof)
            name = alias
        return Answer(fault=Reason.CNAME_LOOP, ttl=NEGATIVE)

    async def _exchange(self, question: Question) -> tuple[Message, Address]:
        """Ask the servers in turn; one that cannot say counts only if no other can."""
        said: tuple[Message, Address] | None = None
        reason = Reason.SERVER_AWAY
        for number in range(len(self.addresses)):
            at = (self._first + number) % len(self.addresses)
            address = self.addresses[at]
            server = self._servers.get(address)
            if server is None:
                server = self._servers[address] = connect(address)
            try:
                message = await server.exchange(question)
            except Silent as silent:
                reason = silent.reason
                continue
            if message.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
                self._first = at
                return message, address
            said = said or (message, address)
        if said is None:
            raise Silent(reason)
        return said


def _proof(message: Message, server: Address) -> Reason:
    """Return what proves an answer; a server's word on DNSSEC counts where nobody could have changed it."""
    if server.private and message.flags & dns.flags.AD:
        return Reason.DNSSEC
    return Reason.ENCRYPTED if server.scheme != "dns" else Reason.PLAIN_DNS


def read_answer(message: Message, question: Question, proof: Reason) -> tuple[Answer, str]:
    """Return what a message says, and the name at which to go on if it ends in an alias.

    One that is cut off even over TCP (more than 64 KiB) says some of what there is, and that nobody knows the rest.
    """
    rcode = message.rcode()
    if rcode not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return Answer(fault=_RCODES.get(rcode, Reason.BAD_ANSWER), proof=proof), ""
    if message.flags & dns.flags.TC:
        some = _find(message, question.name, question.kind)
        return Answer(records=_records(some) if some else (), fault=Reason.BAD_ANSWER, proof=proof), ""
    at, ttl, steps = question.name, None, 0
    seen = {at}
    while steps < ALIASES_MAX:
        found = _find(message, at, question.kind)
        if found is not None:
            return Answer(
                records=_records(found), ttl=timedelta(seconds=_least(ttl, found.ttl)), proof=proof
            ), ""
        alias = _find(message, at, dns.rdatatype.CNAME)
        if alias is None:
            break
        at, ttl, steps = next(iter(alias)).target, _least(ttl, alias.ttl), steps + 1
        if at in seen:
            return Answer(fault=Reason.CNAME_LOOP, ttl=NEGATIVE, proof=proof), ""
        seen.add(at)
    if steps and rcode == dns.rcode.NOERROR and not _has_soa(message):
        return Answer(ttl=timedelta(seconds=ttl or 0), proof=proof), at.to_text(omit_final_dot=True)
    fault = Reason.NO_SUCH_DOMAIN if rcode == dns.rcode.NXDOMAIN else None
    return Answer(fault=fault, ttl=_negative_ttl(message), proof=proof), ""


def _has_soa(message: Message) -> bool:
    """Return whether a message says that there is nothing (RFC 2308 §2.2), not only who knows."""
    return any(found.rdtype == dns.rdatatype.SOA for found in message.authority)


def _least(first: int | None, second: int) -> int:
    return second if first is None else min(first, second)


def _find(message: Message, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.rrset.RRset | None:
    return next(
        (
            found
            for found in message.answer
            if found.rdtype == kind and found.rdclass == dns.rdataclass.IN and found.name == name
        ),
        None,
    )


def _negative_ttl(message: Message) -> timedelta:
    """Return how long a negative answer holds (RFC 2308 §5)."""
    for found in message.authority:
        if found.rdtype == dns.rdatatype.SOA:
            soa = next(iter(found))
            return min(timedelta(seconds=min(found.ttl, soa.minimum)), NEGATIVE_MOST)
    return NEGATIVE


def _records(found: dns.rrset.RRset) -> list[Record]:
    records: list[Record] = []
    for rdata in list(found)[:RECORDS_MAX]:
        match found.rdtype:
            case dns.rdatatype.PTR:
                records.append(rdata.target.to_text(omit_final_dot=True).lower())
            case dns.rdatatype.SRV:
                target = "" if rdata.target == dns.name.root else rdata.target.to_text(omit_final_dot=True)
                records.append(Service(rdata.priority, rdata.weight, rdata.port, target.lower()))
            case dns.rdatatype.TXT:
                records += [bytes(s[:STRING_MAX]) for s in rdata.strings[:STRINGS_MAX]]
            case _:
                records.append(rdata.address)
    return records
