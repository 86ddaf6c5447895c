"""A neighbour who says one thing, unasked, and is done: an announcement, or with a TTL of 0 a goodbye.

python say.py ADDRESS INSTANCE PORT TTL
"""

import socket
import sys

from broken import ID, announcement  # type: ignore[import-not-found]  # beside this script
from neighbour import GROUP, PORT  # type: ignore[import-not-found]


def main(own: str, instance: str, port: str, ttl: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(own))
        out.bind(("", PORT))
        said = [b"id=" + ID.encode(), b"namespace=liqo"]
        out.sendto(announcement(instance, said, port=int(port), ttl=int(ttl)), (GROUP, PORT))


if __name__ == "__main__":
    main(*sys.argv[1:])
