"""What this room asks of DNS, and the order in which servers are tried; pure."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
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


def order(services: Sequence[Service], seed: str) -> list[Service]:
    """Return SRV records in the order in which they are tried: by priority, and by weight within one.

    RFC 2782 draws by weight anew each time. Here the draw follows from `seed` (our id and the instance), so that many
    clusters spread over the servers as the weights say, while each of them keeps its order and writes nothing.
    """
    found: list[Service] = []
    for priority in sorted({s.priority for s in services}):
        left = sorted(
            {s for s in services if s.priority == priority}, key=lambda s: (s.weight, s.target, s.port)
        )
        draws = _draws(f"{seed}/{priority}")
        while left:
            total = sum(s.weight for s in left)
            at, reached = next(draws) * total, 0
            for service in left:
                reached += service.weight
                if reached >= at:
                    break
            left.remove(service)
            found.append(service)
    return found


def _draws(seed: str) -> Iterator[float]:
    """Yield numbers in [0, 1) that follow from a text."""
    count = 0
    while True:
        digest = hashlib.sha256(f"{seed}/{count}".encode()).digest()
        yield int.from_bytes(digest[:8]) / 2**64
        count += 1
