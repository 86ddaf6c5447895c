"""A hostile neighbour: run on a host of the lab, it sends fake instances and rubbish, and ends by itself.

    python neighbour.py ADDRESS INSTANCES SECONDS [CLUSTER_ID]

With a CLUSTER_ID every tenth instance claims that id for an address where nobody is.
"""

import random
import socket
import struct
import sys
import time

GROUP, PORT = "224.0.0.251", 5353
BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
FLUSH = 0x8001


def name(text: str) -> bytes:
    return b"".join(bytes([len(part)]) + part.encode() for part in text.rstrip(".").split(".")) + b"\0"


def record(owner: str, kind: int, klass: int, ttl: int, data: bytes) -> bytes:
    return name(owner) + struct.pack("!HHIH", kind, klass, ttl, len(data)) + data


def announcement(instance: str, cluster_id: str, address: str, ttl: int = 4500) -> bytes:
    """Return a whole, valid announcement."""
    full, host = f"{instance}._liqo._tcp.local.", f"{instance}-host.local."
    txt = [f"id={cluster_id}", "namespace=liqo", "untrusted-ca=true"]
    strings = b"".join(bytes([len(t)]) + t.encode() for t in txt)
    answers = [
        record("_liqo._tcp.local.", 12, 1, ttl, name(full)),
        record(full, 33, FLUSH, ttl, struct.pack("!HHH", 0, 0, 6443) + name(host)),
        record(full, 16, FLUSH, ttl, strings),
        record(host, 1, FLUSH, ttl, socket.inet_aton(address)),
    ]
    return struct.pack("!6H", 0, 0x8400, 0, len(answers), 0, 0) + b"".join(answers)


def rubbish(dice: random.Random) -> bytes:
    """Return a packet that is wrong in one of several ways."""
    whole = announcement("wrong", "a" * 32, "10.77.0.99")
    return dice.choice(
        [
            dice.randbytes(dice.randrange(1, 1400)),
            whole[: dice.randrange(len(whole))],
            whole + b"\xc0\x0c" * 300,
            struct.pack("!6H", 0, 0x8400, 0, 65535, 65535, 65535) + b"\xc0\x0c" * 600,  # a loop of pointers
            struct.pack("!6H", 0, 0x8400, 0, 1, 0, 0)
            + name("x" * 63)
            + b"\0\x10\0\1\0\0\1\0\xff\xff"
            + b"\xff" * 1300,
            whole + bytes(8000),
        ]
    )


def main(own: str, instances: int, seconds: float, claimed: str) -> None:
    """Send everything, evenly over the time."""
    dice = random.Random(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        out.bind((own, PORT))
        began = time.monotonic()
        for number in range(instances):
            ahead = began + seconds * number / instances - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            mine = claimed if claimed and number % 10 == 0 else "".join(dice.choices(BASE32, k=32))
            address = f"10.77.0.{100 + number % 150}"
            out.sendto(announcement(f"fake-{number}", mine, address), (GROUP, PORT))
            if number % 5 == 0:
                out.sendto(rubbish(dice), (GROUP, PORT))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), "".join(sys.argv[4:5]))
