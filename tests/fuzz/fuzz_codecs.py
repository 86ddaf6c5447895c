"""Feeds the codecs that read strangers' bytes with what a fuzzer makes up.

    pip install atheris && python tests/fuzz/fuzz_codecs.py tests/fuzz/codecs -max_total_time=600

What was found interesting is kept in tests/fuzz/codecs; every test run replays it (test_corpus.py), without atheris.
"""

import sys
from contextlib import suppress
from datetime import UTC, datetime

import dns.message

from liqo.adapters.dns import _read, encode_domain
from liqo.adapters.dns_address import parse_servers
from liqo.adapters.dns_server import Silent, read
from liqo.api.reasons import Reason
from liqo.discovery.announcement import parse_announcement, show
from liqo.discovery.dns import Type
from liqo.errors import Fault
from liqo.identity.document import parse_document
from liqo.identity.kubeconfig import parse_credentials
from liqo.identity.trust import parse_bundle, parse_server_url

NOW = datetime(2026, 11, 23, tzinfo=UTC)
QUESTION = dns.message.make_query("x.example", "PTR")


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
    wire = b"\0\0\x81\x80\0\1" + rest[:6].ljust(6, b"\0") + QUESTION.to_wire()[12:27] + rest[6:]
    for kind in Type:
        answer = read(wire, QUESTION)
        if answer is not None:
            _read(answer, "x.example", kind, Reason.PLAIN_DNS)


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
