"""A question as it goes to a name server, and its answer as it comes back; messages are dnspython's (RFC 1035, 6891).

A domain of a thousand clusters is four thousand questions, so a question is put together without dnspython's
message, which takes eight times as long, and of an answer that holds records only these are read.
"""

import struct
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype

from liqo.api.reasons import Reason

PAYLOAD = 1_232  # bytes (DNS Flag Day 2020): no fragments
HEAD = 12  # bytes: id, flags, and how many records there are in each of four sections
_HEADER = struct.pack("!6H", 0, dns.flags.RD | dns.flags.AD, 1, 0, 0, 1)  # AD: tell us (RFC 6840 §5.7)
_OPT = struct.pack("!BHHIH", 0, dns.rdatatype.OPT, PAYLOAD, 0, 0)  # EDNS 0 without options (RFC 6891 §6.1.2)

Message = dns.message.Message


class Silent(Exception):  # noqa: N818  it is classed by what it says, not by being an error
    """A server gave no answer that can be used."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a name server, in class IN.

    Args:
        name: about which.
        kind: of the records.
        wire: the message under id 0.
    """

    name: dns.name.Name
    kind: dns.rdatatype.RdataType
    wire: bytes

    @classmethod
    def of(cls, name: str, kind: str) -> "Question":
        """Return the question.

        Raises:
            DNSException: no such name can be.
        """
        absolute, number = dns.name.from_text(name), dns.rdatatype.from_text(kind)
        named = absolute.to_wire() or b""  # None is for those who have it written to a file
        section = named + struct.pack("!HH", number, dns.rdataclass.IN)
        return cls(absolute, number, _HEADER + section + _OPT)

    def numbered(self, number: int) -> bytes:
        """Return the message under that id."""
        return number.to_bytes(2) + self.wire[2:]

    def is_that_of(self, answer: Message) -> bool:
        """Return whether a message is about the same."""
        if len(answer.question) != 1:
            return False
        (asked,) = answer.question
        return asked.rdtype == self.kind and asked.rdclass == dns.rdataclass.IN and asked.name == self.name


def read(wire: bytes, question: Question) -> Message | None:
    """Return the answer to a question in a message that came under its id; None if it is one to another question.

    Raises:
        Silent: it cannot be read.
    """
    try:
        answer = dns.message.from_wire(_without_rest(wire), ignore_trailing=True)
    except (dns.exception.DNSException, ValueError, IndexError, struct.error, RecursionError):
        raise Silent(Reason.BAD_ANSWER) from None
    if not answer.flags & dns.flags.QR:
        return None
    cut_short = answer.flags & dns.flags.TC and not answer.question
    return answer if cut_short or question.is_that_of(answer) else None


def _without_rest(wire: bytes) -> bytes:
    """Return a message that ends after its answer section, if there is something in that.

    Where there is nothing, what says why stands behind it: SOA (RFC 2308), and OPT with the rest of the code.
    """
    return wire[:8] + bytes(4) + wire[HEAD:] if len(wire) >= HEAD and wire[6:8] != b"\0\0" else wire
