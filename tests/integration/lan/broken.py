"""A neighbour who makes mistakes: answers whoever asks with one announcement for each, and ends when nobody does.

python broken.py ADDRESS
"""

import socket
import struct
import sys
from contextlib import suppress

from neighbour import FLUSH, GROUP, PORT, name, record  # type: ignore[import-not-found]  # beside this script

ID = "a" * 32
ALONE_SECONDS = 60.0
RESPONSE = 0x80  # of the flags' first byte: not a question (RFC 1035 §4.1.1)


def announcement(
    instance: str,
    strings: list[bytes],
    *,
    port: int = 6443,
    address: str = "10.77.0.99",
    ttl: int = 60,
) -> bytes:
    """Return an announcement with that TXT record, for ttl seconds; without an SRV record for port -1."""
    full, host = f"{instance}._liqo._tcp.local.", f"{instance}-host.local."
    answers = [
        record("_liqo._tcp.local.", 12, 1, ttl, name(full)),
        record(full, 16, FLUSH, ttl, b"".join(bytes([len(s)]) + s for s in strings) or b"\0"),
    ]
    if port >= 0:
        answers.append(record(full, 33, FLUSH, ttl, struct.pack("!HHH", 0, 0, port) + name(host)))
    if address:
        answers.append(record(host, 1, FLUSH, ttl, socket.inet_aton(address)))
    return struct.pack("!6H", 0, 0x8400, 0, len(answers), 0, 0) + b"".join(answers)


def main(own: str) -> None:
    right = [b"id=" + ID.encode(), b"namespace=liqo"]
    packets = [
        announcement("right", right),
        announcement("no-txt", []),
        announcement("no-id", [b"namespace=liqo"]),
        announcement("bad-id", [b"id=../../etc\x1b[2J", b"namespace=liqo"]),
        announcement("no-namespace", right[:1]),
        announcement("bad-namespace", [right[0], b"namespace=Not A Label"]),
        announcement("bad-url", [*right, b"url=http://plain.example"]),
        announcement("future", [*right, b"v=9"]),
        announcement("no-srv", right, port=-1),
        announcement("no-address", right, address=""),
        announcement("link-local", right, address="169.254.7.7"),
    ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        out.setsockopt(
            socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + socket.inet_aton(own)
        )
        out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(own))
        out.bind(("", PORT))
        out.settimeout(ALONE_SECONDS)
        print("ready", flush=True)  # noqa: T201  the test waits for it
        with suppress(TimeoutError):
            while True:
                question, (asker, _) = out.recvfrom(9_000)
                if asker != own and len(question) > 2 and not question[2] & RESPONSE:
                    for packet in packets:
                        out.sendto(packet, (GROUP, PORT))


if __name__ == "__main__":
    main(sys.argv[1])
