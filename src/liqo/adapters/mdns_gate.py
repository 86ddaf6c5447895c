"""Lets only so many packets a second through to the mDNS parser, and notes whom each is from."""

import asyncio
from collections.abc import Callable

PER_SENDER = 300  # packets a second; a LAN's noisiest honest host sends a few dozen
TOTAL = 1_500  # about a third of a second of one core
QUIET = 10  # packets a second that a sender may always send, so that a crowd of liars does not silence him
SENDERS_MAX = 4_096
MAPPED = "::ffff:"  # before an IPv4 address on a socket of both families (RFC 4291 §2.5.5.2)


class Meter:
    """Counts packets by sender in windows of one second; pure but for what it is told."""

    def __init__(self) -> None:
        self._window = -1
        self._counts: dict[str, int] = {}
        self._total = 0

    def allows(self, sender: str, at: float) -> bool:
        """Return whether a packet is parsed; `at` is in seconds on any steady clock."""
        if int(at) != self._window:
            self._window, self._total = int(at), 0
            self._counts.clear()
        count = self._counts.get(sender, 0)
        if count == 0 and len(self._counts) >= SENDERS_MAX:
            return False
        self._counts[sender] = count + 1
        allowed = count < QUIET or (count < PER_SENDER and self._total < TOTAL)
        self._total += allowed
        return allowed


class Gate(asyncio.DatagramProtocol):
    """Stands before the listener of one socket.

    Args:
        inner: the listener.
        meter: shared by all sockets.
        note: told the sender of each packet before it is parsed.
        dropped: told of each packet that is not.
    """

    def __init__(
        self,
        inner: asyncio.DatagramProtocol,
        meter: Meter,
        note: Callable[[str], None],
        dropped: Callable[[], None],
    ) -> None:
        self._inner, self._meter, self._note, self._dropped = inner, meter, note, dropped

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Pass a packet on, or count it."""
        sender = addr[0].removeprefix(MAPPED)
        if not self._meter.allows(sender, asyncio.get_running_loop().time()):
            self._dropped()
            return
        self._note(sender)
        self._inner.datagram_received(data, addr)

    def error_received(self, exc: Exception) -> None:
        """Pass on."""
        self._inner.error_received(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on."""
        self._inner.connection_lost(exc)
