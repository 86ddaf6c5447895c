"""Feeds the codecs that read strangers' bytes with what a fuzzer makes up.

    pip install atheris && python tests/fuzz/fuzz_codecs.py tests/fuzz/codecs -max_total_time=600

What was found interesting is kept in tests/fuzz/codecs; every test run replays it (test_corpus.py), without atheris.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import dns.exception
import dns.message
import dns.rdatatype
from zeroconf import RecordUpdate, Zeroconf
from zeroconf._protocol.incoming import DNSIncoming

from liqo.adapters.dns import encode_domain, read_answer
from liqo.adapters.dns_address import parse_servers
from liqo.adapters.dns_message import Question, Silent, read
from liqo.adapters.mdns import Mdns
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.model import Model
from liqo.api.reasons import Reason
from liqo.api.search_domain import SearchDomainStatus
from liqo.app.lan_look import Changes, forge_json, row
from liqo.discovery.announcement import parse_announcement, show
from liqo.discovery.dns import Answer, Type
from liqo.discovery.domain import Known, conditions, judge, list_up, status_fields, sum_up, unanswered
from liqo.discovery.lan import CLAIMS_MAX, choose, is_contested, merge
from liqo.discovery.lan_records import Record
from liqo.discovery.lan_table import INSTANCES_MAX, PER_SENDER_MAX, Claim, LanTable
from liqo.discovery.sighting import LAN, dns_finder, forge_foreign, forge_source
from liqo.discovery.zone import Said, targets
from liqo.errors import Fault, Malformed
from liqo.identity.document import parse_document
from liqo.identity.kubeconfig import parse_credentials
from liqo.identity.trust import parse_bundle, parse_server_url

NOW = datetime(2026, 11, 23, tzinfo=UTC)
QUESTION = Question.of("x.example", "PTR")
LAN_TYPE = "_liqo._tcp.local."
SENDERS = 4  # so that some packets are of one sender


def _dns(rest: bytes) -> None:
    """Read a message as the answer to a question that it may choose itself."""
    for kind in Type:
        _answer(rest, kind)
    wire = b"\0\0\x81\x80\0\1" + rest[:6].ljust(6, b"\0") + QUESTION.wire[12:27] + rest[6:]
    for kind in Type:
        answer = read(wire, QUESTION)
        if answer is not None:
            read_answer(answer, Question.of("x.example", kind), Reason.PLAIN_DNS)


def _zone(rest: bytes) -> None:
    """Read messages, each after its length as over TCP, as the answers to all that is asked of a domain.

    Whatever they say, it has to come to a status and to objects that our own kinds take.
    """
    wires = _split(rest)
    lists = {name: _said(wires, Type.PTR) for name in ("x.example", "_liqo._tcp.x.example")}
    listed = list_up(lists, {"x.example": ["a.x.example"]})
    found: dict[str, Known] = {}
    for instance in listed.instances[:4]:
        services, texts = _said(wires, Type.SRV), _said(wires, Type.TXT)
        addresses = {name: (_said(wires, Type.A), _said(wires, Type.AAAA)) for name in targets(services)}
        said = Said(instance=instance, services=services, texts=texts, addresses=addresses)
        found[instance] = judge(said, seed="", now=NOW)
        if said.silent is not None:
            found[instance] = unanswered(instance, said.silent, found[instance], NOW)
    sightings, problems = sum_up(listed, found, home_id="")
    told = [c.wire() for c in conditions(listed, found, problems)]
    _take(SearchDomainStatus, status_fields(sightings, problems) | {"conditions": told})
    for seen in sightings.values():
        wire = forge_foreign(seen, "WAN", join=False, accept_untrusted=True)
        sources = [forge_source(dns_finder("x.example"), seen, NOW)]
        _take(ForeignCluster, wire | {"status": {"sources": sources}})


def _take(kind: type[Model], wire: dict[str, Any]) -> None:
    """See that what we made of strangers' bytes is what our own kinds take; else the API server would refuse it."""
    try:
        kind.parse(wire)
    except Malformed as fault:
        raise AssertionError(f"{fault}: {wire}") from fault


def _lan(rest: bytes) -> None:
    """Read messages as what neighbours send by multicast, one after another.

    The first byte of each says who sends it, and how many seconds after the one before. Whatever they say, the
    table keeps its bounds, and what it shows can be printed and comes to objects that our own kinds take.
    """
    table, changes, now, senders = LanTable(LAN_TYPE), Changes(), NOW, set[str]()
    for packet in _split(rest):
        sender = f"10.0.0.{packet[0] % SENDERS}" if packet else ""
        now += timedelta(seconds=packet[0] // SENDERS if packet else 0)
        senders.add(sender)
        touched = table.hear(_records(packet[1:]), sender, now)
        for claims in (table.claims(cluster_id, now) for cluster_id in touched):
            _claimed(claims, now)
        for listing in table.list(now):
            shown = " ".join(row(listing, now))
            assert shown.isascii(), shown
            assert shown.isprintable(), shown
            assert forge_json(listing, now)["instance"] == listing.instance
        changes.since(table.list(now), now)
        questions = table.due(now, lambda _: True, INSTANCES_MAX)
        assert len(questions) <= len(table) <= len(senders) * PER_SENDER_MAX
    end = now + timedelta(days=1)
    table.forget_old(end)
    assert table.list(end) == []


def _records(data: bytes) -> list[Record]:
    """Return what the adapter makes of one packet."""
    packet = DNSIncoming(data, now=1.0)  # milliseconds on zeroconf's own clock
    heard: list[Record] = []
    if packet.valid:
        mdns = Mdns(lambda records, _sender: heard.extend(records), lambda: None)
        updates = [RecordUpdate(record, None) for record in packet.answers()]
        mdns.async_update_records(cast("Zeroconf", None), packet.now, updates)
    return heard


def _claimed(claims: Sequence[Claim], now: datetime) -> None:
    """See what becomes of a cluster that these instances claim to be."""
    asked = choose(claims)
    assert len(asked) == min(len(claims), CLAIMS_MAX)
    if claims:
        seen = merge(claims)
        assert is_contested(claims) or not seen.conflict
        wire = forge_foreign(seen, "LAN", join=False, accept_untrusted=True)
        _take(ForeignCluster, wire | {"status": {"sources": [forge_source(LAN, seen, now)]}})


def _split(rest: bytes) -> list[bytes]:
    """Return the messages, at most 16."""
    found: list[bytes] = []
    while rest and len(found) < 16:
        end = 2 + int.from_bytes(rest[:2])
        found.append(rest[2:end])
        rest = rest[end:]
    return found


def _said(wires: list[bytes], kind: Type) -> Answer:
    """Return the next message's answer, as the resolver has it."""
    try:
        return _answer(wires.pop(0), kind) if wires else Answer(fault=Reason.SERVER_AWAY)
    except Silent as silent:
        return Answer(fault=silent.reason)


def _answer(wire: bytes, kind: Type) -> Answer:
    try:
        (asked, *_) = dns.message.from_wire(wire, question_only=True).question
        question = Question.of(asked.name.to_text(), dns.rdatatype.to_text(asked.rdtype))
    except (dns.exception.DNSException, ValueError):
        raise Silent(Reason.BAD_ANSWER) from None
    message = read(wire, question)
    if message is None:
        raise Silent(Reason.SERVER_AWAY)
    answer, alias = read_answer(message, Question.of(asked.name.to_text(), kind), Reason.PLAIN_DNS)
    if alias:
        with suppress(dns.exception.DNSException):
            Question.of(alias, kind)
    return answer


def _text(rest: bytes) -> str:
    return rest.decode("utf-8", "replace")


def _show(rest: bytes) -> None:
    assert show(_text(rest)).isascii()


READERS: dict[bytes, Callable[[bytes], object]] = {
    b"t": lambda rest: parse_announcement(rest.split(b"\0")),
    b"d": _dns,
    b"z": _zone,
    b"l": _lan,
    b"n": lambda rest: encode_domain(_text(rest)),
    b"s": lambda rest: parse_servers(_text(rest)),
    b"u": lambda rest: parse_server_url(_text(rest)),
    b"b": lambda rest: parse_bundle(_text(rest)),
    b"k": parse_credentials,
    b"w": lambda rest: parse_document(_text(rest), NOW),
}


def one_input(data: bytes) -> None:
    """Read bytes in the way that the first of them says; anything but a Fault is a bug."""
    with suppress(Fault, Silent):
        READERS.get(data[:1], _show)(data[1:])


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
