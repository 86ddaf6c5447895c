"""What a name server may say instead of an answer, and servers that say it.

    python dns_liars.py ADDRESS PORT DOMAIN GOOD_ADDRESS GOOD_PORT LIE…

serves each lie about a domain on a port of its own, one after another from PORT on; of all else it says what the good
server says. UDP alone.
"""

import socket
import sys
import threading
from collections.abc import Callable

import dns.flags
import dns.message
import dns.rcode

from liqo.api.reasons import Reason

Say = Callable[[bytes], bytes | None]
"""A query → what is sent back, None for silence."""

NAME = "x.example"


def answer(query: bytes, *records: str, rcode: int = 0, truncated: bool = False) -> bytes:
    message = dns.message.make_response(dns.message.from_wire(query))
    message.set_rcode(dns.rcode.Rcode(rcode))
    message.answer += dns.message.from_text("id 0\nflags QR\n;ANSWER\n" + "\n".join(records) + "\n").answer
    if truncated:
        message.flags |= dns.flags.TC
    return message.to_wire(max_size=65_535)


PTR = f"{NAME}. 60 IN PTR a.example."
CUT_AT = -18  # in the middle of the last record; 11 bytes of EDNS come after it
LOOP = bytes.fromhex("8180 0001 0001 0000 0000".replace(" ", ""))


def compression_loop(query: bytes) -> bytes:
    """Return an answer whose owner name points at itself (RFC 1035 §4.1.4)."""
    question = query[12 : query.index(b"\0", 12) + 5]
    here = 12 + len(question)
    record = (0xC000 | here).to_bytes(2) + bytes.fromhex("000c0001000000780002") + b"\xc0\x0c"
    return query[:2] + LOOP + question + record


def circle(query: bytes) -> bytes:
    name = dns.message.from_wire(query).question[0].name
    return answer(query, f"{name} 60 IN CNAME y.example.", f"y.example. 60 IN CNAME {name}")


LIES: dict[str, tuple[Say, Reason]] = {
    "silence": (lambda _query: None, Reason.SERVER_AWAY),
    "SERVFAIL": (lambda query: answer(query, rcode=2), Reason.SERVER_FAILED),
    "REFUSED": (lambda query: answer(query, rcode=5), Reason.SERVER_REFUSED),
    "NXDOMAIN": (lambda query: answer(query, rcode=3), Reason.NO_SUCH_DOMAIN),
    "not implemented": (lambda query: answer(query, rcode=4), Reason.BAD_ANSWER),
    "another id": (lambda query: bytes([query[0] ^ 255]) + answer(query, PTR)[1:], Reason.SERVER_AWAY),
    "an answer to another question": (
        lambda query: query[:2] + answer(dns.message.make_query("y.example", "PTR").to_wire(), PTR)[2:],
        Reason.SERVER_AWAY,
    ),
    "a question": (lambda query: query, Reason.SERVER_AWAY),
    "a name that points at itself": (compression_loop, Reason.BAD_ANSWER),
    "half an answer": (lambda query: answer(query, PTR)[:CUT_AT], Reason.BAD_ANSWER),
    "a header only": (lambda query: query[:2] + bytes(10), Reason.SERVER_AWAY),
    "noise": (lambda query: query[:2] + b"\xff" * 500, Reason.BAD_ANSWER),
    "aliases in a circle": (circle, Reason.CNAME_LOOP),
    "cut off, and nothing over TCP": (lambda query: answer(query, truncated=True), Reason.SERVER_AWAY),
}


def serve(address: tuple[str, int], domain: bytes, good: tuple[str, int], say: Say) -> None:
    """Answer for ever."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        here.bind(address)
        while True:
            query, asking = here.recvfrom(4096)
            said = say(query) if domain in query.lower() else ask(good, query)
            if said is not None:
                here.sendto(said, asking)


def ask(good: tuple[str, int], query: bytes) -> bytes | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.settimeout(1)
        there.sendto(query, good)
        try:
            return there.recv(4096)
        except TimeoutError:
            return None


def main(address: str, port: str, domain: str, good: str, good_port: str, *lies: str) -> None:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in domain.split("."))
    for number, lie in enumerate(lies):
        at, server = (address, int(port) + number), (good, int(good_port))
        threading.Thread(target=serve, args=(at, labels, server, LIES[lie][0])).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
