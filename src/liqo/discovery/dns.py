"""What this room asks of DNS, and the order in which servers are tried; pure."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import accumulate, count
from typing import Protocol

from liqo.api.reasons import Reason

SILENT = frozenset({Reason.SERVER_FAILED, Reason.SERVER_REFUSED, Reason.SERVER_AWAY, Reason.BAD_ANSWER})
"""Faults after which nobody knows what is in the zone, so that nobody is removed."""


class Type(StrEnum):
    """The types of records that are asked for."""

    PTR = "PTR"
    SRV = "SRV"
    TXT = "TXT"
    A = "A"
    AAAA = "AAAA"


@dataclass(frozen=True, slots=True)
class Service:
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str  # without the last dot; "" for the root, which says that the service is not there


Record = str | bytes | Service
"""PTR: a name without its last dot. TXT: one string. A, AAAA: an address. SRV: a Service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What DNS says to one question, at the end of all aliases.

    Args:
        records: none where the name has none of that type.
        ttl: how long that holds; of a negative answer, how long to believe it.
        fault: why there is no answer; None where there is one, be it that there is nothing.
        proof: DNSSEC, ENCRYPTED or PLAIN_DNS.
    """

    records: Sequence[Record] = ()
    ttl: timedelta = timedelta()
    fault: Reason | None = None
    proof: Reason = Reason.PLAIN_DNS

    @property
    def silent(self) -> bool:
        """Whether nobody knows what is there."""
        return self.fault in SILENT


class Resolver(Protocol):
    """Asks the configured name servers."""

    @property
    def ipv6(self) -> bool:
        """Whether this host reaches IPv6 addresses."""
        ...

    async def ask(self, name: str, kind: Type) -> Answer:
        """Return what is said about a name; never fails.

        Args:
            name: ASCII labels, without the last dot.
            kind: of the records.
        """
        ...


Draw = Callable[[int], int]
"""Draws a whole number from 0 to the one that is given, both included, all alike."""


def order(services: Collection[Service], draw: Draw) -> list[Service]:
    """Return SRV records in the order in which they are tried: by priority, and by weight within one.

    RFC 2782: of what is left of a priority, a number up to the sum of the weights is drawn, and the first record
    counts whose running sum reaches it. 0 is drawn only where there are records of weight 0, and leads to those, of
    which chance takes any: else the first of all would be favoured.
    """
    found: list[Service] = []
    for priority in sorted({s.priority for s in services}):
        left = sorted(
            {s for s in services if s.priority == priority}, key=lambda s: (s.weight, s.target, s.port)
        )
        while left:
            total, idle = sum(s.weight for s in left), [s for s in left if not s.weight]
            at = draw(total) if idle else 1 + draw(total - 1)
            chosen = _reach(left, at) if at else idle[draw(len(idle) - 1)]
            left.remove(chosen)
            found.append(chosen)
    return found


def shuffle(addresses: Collection[str], draw: Draw) -> list[str]:
    """Return addresses in an order that chance decides, and not the server, which turns them with each answer."""
    left = sorted(set(addresses))
    return [left.pop(draw(len(left) - 1)) for _ in range(len(left))]


def _reach(services: Sequence[Service], at: int) -> Service:
    """Return the first whose running sum of weights is at least that."""
    sums = accumulate(s.weight for s in services)
    return next(s for s, reached in zip(services, sums, strict=True) if reached >= at)


def draws(seed: str) -> Draw:
    """Return chance that follows from a text.

    RFC 2782 draws anew for each connection. Here the text is our id and the instance, so that many clusters spread over
    the servers as the weights say, while each of them keeps its order: an order that changed with each search would
    be a write to the ForeignCluster each time, and moved live connections from server to server.
    """
    numbers = count()

    def draw(most: int) -> int:
        digest = hashlib.sha256(f"{seed}/{next(numbers)}".encode()).digest()
        return int.from_bytes(digest[:8]) % (most + 1)

    return draw
