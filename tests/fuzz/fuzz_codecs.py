"""Feeds the codecs that read strangers' bytes with what a fuzzer makes up.

    pip install atheris && python tests/fuzz/fuzz_codecs.py tests/fuzz/codecs -max_total_time=600

What was found interesting is kept in tests/fuzz/codecs; every test run replays it (test_corpus.py), without atheris.
"""

import sys
from contextlib import suppress
from datetime import UTC, datetime

import dns.exception
import dns.message
import dns.rdatatype

from liqo.adapters.dns import encode_domain, read_answer
from liqo.adapters.dns_address import parse_servers
from liqo.adapters.dns_message import Question, Silent, read
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.reasons import Reason
from liqo.api.search_domain import SearchDomainStatus
from liqo.discovery.announcement import parse_announcement, show
from liqo.discovery.dns import Answer, Type
from liqo.discovery.domain import Known, conditions, judge, list_up, status_fields, sum_up, unanswered
from liqo.discovery.sighting import dns_finder, forge_foreign, forge_source
from liqo.discovery.zone import Said, targets
from liqo.errors import Fault
from liqo.identity.document import parse_document
from liqo.identity.kubeconfig import parse_credentials
from liqo.identity.trust import parse_bundle, parse_server_url

NOW = datetime(2026, 11, 23, tzinfo=UTC)
QUESTION = Question.of("x.example", "PTR")


def one_input(data: bytes) -> None:
    """Read bytes in every way in which we read strangers' bytes; anything but a Fault is a bug."""
    how, rest = data[:1], data[1:]
    text = rest.decode("utf-8", "replace")
    with suppress(Fault, Silent):
        match how:
            case b"t":
                parse_announcement(rest.split(b"\0"))
            case b"d":
                _dns(rest)
            case b"z":
                _zone(rest)
            case b"n":
                encode_domain(text)
            case b"s":
                parse_servers(text)
            case b"u":
                parse_server_url(text)
            case b"b":
                parse_bundle(text)
            case b"k":
                parse_credentials(rest)
            case b"w":
                parse_document(text, NOW)
            case _:
                assert show(text).isascii()


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
    told = [c.wire() for c in conditions(listed, found)]
    SearchDomainStatus.parse(status_fields(sightings, problems) | {"conditions": told})
    for seen in sightings.values():
        wire = forge_foreign(seen, "WAN", join=False, accept_untrusted=True)
        sources = [forge_source(dns_finder("x.example"), seen, NOW)]
        ForeignCluster.parse(wire | {"status": {"sources": sources}})


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


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
