"""Carries TCP connections from listening sockets that it was born with to addresses where it lives.

The socket was opened in the machine's network; the process lives in a cluster's. So a cluster is reachable
at 127.0.0.1 of the machine, and nothing of the lab has an address on the machine's own network.

A program of its own, which imports nothing of ours: it starts in 0.1 s and takes 15 MB.

    python relay.py FD=HOST:PORT …
"""

import asyncio
import contextlib
import socket
import struct
import sys
from functools import partial

BUFFER = 1 << 18  # bytes that may wait for a slow reader before its writer has to
AT_ONCE = struct.pack("ii", 1, 0)  # linger for no time: a close is a reset


class End(asyncio.Protocol):
    """One end of a carried connection; what it reads goes to its peer."""

    def __init__(self, peer: "End | None" = None) -> None:
        self.peer = peer
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, when the other side has begun."""
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=BUFFER)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        if self.peer and self.peer.transport:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        """Pass on that nothing more comes this way; the other way stays open."""
        if self.peer and self.peer.transport and self.peer.transport.can_write_eof():
            with contextlib.suppress(OSError):
                self.peer.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        """Our reader is slow: stop reading from its writer."""
        if self.peer and self.peer.transport:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        """Our reader has caught up."""
        if self.peer and self.peer.transport and not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the other side too: at once after an error, else when all is written."""
        if self.peer and self.peer.transport:
            if exc:
                _reset(self.peer.transport)
            else:
                self.peer.transport.close()


class Door(End):
    """The end that somebody on the machine has opened; opens the other."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._target = (host, port)
        self._task: asyncio.Task[None] | None = None
        self._early: list[bytes] = []  # came before there was somewhere to write it
        self._ended = False  # and nothing more comes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read nothing before there is somewhere to write it."""
        super().connection_made(transport)
        assert self.transport
        self.transport.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._connect())

    def data_received(self, data: bytes) -> None:
        """Pass it on, or keep it: up to Python 3.11.2 a transport that is paused at once reads all the same."""
        if self.peer:
            super().data_received(data)
        else:
            self._early.append(data)

    def eof_received(self) -> bool:
        """Pass on that nothing more comes, now or once there is somebody to tell."""
        self._ended = True
        return super().eof_received()

    async def _connect(self) -> None:
        assert self.transport
        try:
            _, self.peer = await asyncio.get_running_loop().create_connection(
                lambda: End(self), *self._target
            )
        except OSError:
            _reset(self.transport)  # as a host does where nobody listens
            return
        if self.transport.is_closing():
            assert self.peer.transport
            self.peer.transport.close()
        else:
            assert self.peer.transport
            self.peer.transport.writelines(self._early)
            self._early.clear()
            if self._ended:
                super().eof_received()
            self.transport.resume_reading()


def _reset(transport: asyncio.Transport) -> None:
    """Close so that the other side sees an error and not an end."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    transport.abort()


async def serve(ways: list[str]) -> None:
    """Carry until killed."""
    loop = asyncio.get_running_loop()
    for way in ways:
        descriptor, _, target = way.partition("=")
        host, _, port = target.rpartition(":")
        listening = socket.socket(fileno=int(descriptor))
        listening.setblocking(False)
        await loop.create_server(partial(Door, host, int(port)), sock=listening)
    await loop.create_future()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1:]))
