"""How one name server is asked: UDP and then TCP, TLS, or HTTPS.

Many questions share a socket, which is replaced after some, so that whoever wants to lie to us from afar has to guess a
port and an id (RFC 5452 §9).
"""

import asyncio
import secrets
import ssl
import struct
from contextlib import suppress
from datetime import timedelta
from typing import Protocol

import aiohttp
import dns.flags

from liqo.adapters.dns_address import Address
from liqo.adapters.dns_message import Message, Question, Silent, read
from liqo.api.reasons import Reason

TRY = timedelta(seconds=1)  # for one answer over UDP
TRIES = 2
STREAM = timedelta(seconds=4)  # for one answer over TCP, TLS or HTTPS, the handshake included
# Searches are further apart than this, and a firewall forgets an idle connection without a word (RFC 7766 §6.2.3).
IDLE = timedelta(seconds=2)
ANSWER_MAX = 65_535
SOCKET_QUESTIONS = 64  # after so many a new port is taken


class Server(Protocol):
    """One server that can be asked."""

    async def exchange(self, question: Question) -> Message:
        """Return its answer to a question.

        Raises:
            Silent: there is none that can be used.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


def connect(address: Address) -> Server:
    """Return a connection to a server; nothing is sent before the first question."""
    match address.scheme:
        case "tls":
            context = ssl.create_default_context()
            return StreamServer(address, context)
        case "https":
            return HttpsServer(address)
        case _:
            return PlainServer(address)


class PlainServer:
    """UDP, and TCP where an answer is cut off (RFC 7766), be it so that it cannot be read."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._stream = StreamServer(address, None)
        self._port: _Port | None = None
        self._opening = asyncio.Lock()

    async def exchange(self, question: Question) -> Message:
        """Return the server's answer."""
        for _ in range(TRIES):
            try:
                async with asyncio.timeout(TRY.total_seconds()):
                    answer = await self._once(question)
            except Silent as unread:
                return await self._whole(question, unread)
            except (OSError, TimeoutError):
                continue
            return await self._whole(question) if answer.flags & dns.flags.TC else answer
        raise Silent(Reason.SERVER_AWAY)

    async def _whole(self, question: Question, unread: Silent | None = None) -> Message:
        """Return over TCP what a datagram did not hold; of that nothing is used (RFC 2181 §9).

        Args:
            question: to ask again.
            unread: what is wrong with the datagram, which says more than that nobody is there on TCP.

        Raises:
            Silent: nor is there an answer over TCP.
        """
        try:
            return await self._stream.exchange(question)
        except Silent:
            if unread is None:
                raise
            raise unread from None

    async def _once(self, question: Question) -> Message:
        async with self._opening:
            port = self._port
            if port is None or port.asked >= SOCKET_QUESTIONS or port.lost:
                if port is not None:
                    port.retire()
                port = self._port = await _Port.open(self._address)
            port.asked += 1
        return await port.ask(question)

    async def close(self) -> None:
        """Close all connections."""
        if self._port is not None:
            self._port.retire()
        await self._stream.close()


class _Port(asyncio.DatagramProtocol):
    """A UDP socket that is connected to the server, so that nobody else's packets come in."""

    def __init__(self) -> None:
        self.asked, self.lost = 0, False
        self._retired = False
        self._waiting: dict[int, tuple[Question, asyncio.Future[Message]]] = {}
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls, address: Address) -> "_Port":
        loop = asyncio.get_running_loop()
        _, port = await loop.create_datagram_endpoint(cls, remote_addr=(address.host, address.port))
        return port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    async def ask(self, question: Question) -> Message:
        """Send a question under an id that no other one on this socket has."""
        assert self._transport is not None
        number = secrets.randbelow(65_536)
        while number in self._waiting:
            number = secrets.randbelow(65_536)
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (question, future)
        try:
            self._transport.sendto(question.numbered(number))
            return await future
        finally:
            del self._waiting[number]
            self._end()

    def datagram_received(self, data: bytes, _address: object) -> None:
        found = self._waiting.get(int.from_bytes(data[:2])) if len(data) >= 2 else None  # noqa: PLR2004  an id
        if found is None or found[1].done():
            return  # somebody guesses, or an answer that nobody waits for any more
        question, future = found
        try:
            answer = read(data, question)
        except Silent as silent:
            future.set_exception(silent)
            return
        if answer is not None:
            future.set_result(answer)

    def error_received(self, exc: Exception) -> None:
        """Tell all who wait that nobody is there (ICMP)."""
        for _, future in self._waiting.values():
            if not future.done():
                future.set_exception(exc)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.lost = True
        self.error_received(ConnectionError("the socket is closed"))

    def retire(self) -> None:
        """Close as soon as nobody waits for an answer."""
        self._retired = True
        self._end()

    def _end(self) -> None:
        if self._retired and not self._waiting and self._transport is not None:
            self._transport.close()


class StreamServer:
    """TCP or TLS (RFC 7766, RFC 7858): one connection, many questions at once."""

    def __init__(self, address: Address, context: ssl.SSLContext | None) -> None:
        self._address, self._context = address, context
        self._line: _Line | None = None
        self._opening = asyncio.Lock()

    async def exchange(self, question: Question) -> Message:
        """Return the server's answer; a connection that ended since the last one is opened once more.

        One that said nothing in time is not asked again: it may be dead, be the server ever so well.
        """
        line: _Line | None = None
        try:
            async with asyncio.timeout(STREAM.total_seconds()):
                for _ in range(TRIES):
                    try:
                        line = await self._open()
                        return await line.ask(question)
                    except (OSError, asyncio.IncompleteReadError, ssl.SSLError):
                        self._line = None
        except TimeoutError:
            if line is not None and self._line is line:
                self._line = None
                line.leave()
        raise Silent(Reason.SERVER_AWAY)

    async def _open(self) -> "_Line":
        async with self._opening:
            if self._line is None or self._line.over:
                name = (self._address.name or self._address.host) if self._context else None
                reader, writer = await asyncio.open_connection(
                    self._address.host, self._address.port, ssl=self._context, server_hostname=name
                )
                self._line = _Line(reader, writer)
            return self._line

    async def close(self) -> None:
        """Close the connection."""
        if self._line is not None:
            await self._line.close()


class _Line:
    """One connection, and who waits for what on it; it closes by itself when nobody has for a while."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._waiting: dict[int, tuple[Question, asyncio.Future[Message]]] = {}
        self._next = secrets.randbelow(65_536)
        self._task = asyncio.ensure_future(self._listen())
        self._idle: asyncio.TimerHandle | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more comes."""
        return self._task.done()

    async def ask(self, question: Question) -> Message:
        """Send a question and wait for its answer."""
        if self._idle is not None:
            self._idle.cancel()
        number = self._next = (self._next + 1) % 65_536
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (question, future)
        wire = question.numbered(number)
        try:
            self._writer.write(struct.pack("!H", len(wire)) + wire)
            await self._writer.drain()
            return await future
        finally:
            self._waiting.pop(number, None)
            if not self._waiting:
                self._idle = asyncio.get_running_loop().call_later(IDLE.total_seconds(), self.leave)

    def leave(self) -> None:
        """Close it, unless somebody waits for an answer."""
        if not self._waiting:
            self._task.cancel()

    async def _listen(self) -> None:
        try:
            while True:
                (length,) = struct.unpack("!H", await self._reader.readexactly(2))
                data = await self._reader.readexactly(length)
                found = self._waiting.get(int.from_bytes(data[:2])) if length >= 2 else None  # noqa: PLR2004
                if found is None or found[1].done():
                    continue
                try:
                    answer = read(data, found[0])
                except Silent as silent:
                    found[1].set_exception(silent)
                    continue
                if answer is not None:
                    found[1].set_result(answer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for _, future in self._waiting.values():
                if not future.done():
                    future.set_exception(ConnectionError("the name server closed the connection"))
            self._writer.close()

    async def close(self) -> None:
        """Close it."""
        if self._idle is not None:
            self._idle.cancel()
        self._task.cancel()
        await asyncio.wait({self._task})
        with suppress(OSError, ssl.SSLError):
            await self._writer.wait_closed()


class HttpsServer:
    """HTTPS (RFC 8484)."""

    def __init__(self, address: Address) -> None:
        self._url = address.url
        self._context = ssl.create_default_context()
        self._session: aiohttp.ClientSession | None = None

    async def exchange(self, question: Question) -> Message:
        """Return the server's answer."""
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=STREAM.total_seconds())
            self._session = aiohttp.ClientSession(
                timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            )
        kind = "application/dns-message"
        try:
            async with self._session.post(
                self._url,
                data=question.wire,  # under id 0: RFC 8484 §4.1
                headers={"Content-Type": kind, "Accept": kind},
                ssl=self._context,
                allow_redirects=False,
            ) as response:
                wire = b""
                while response.status == 200 and len(wire) <= ANSWER_MAX:  # noqa: PLR2004
                    chunk = await response.content.read(ANSWER_MAX)
                    if not chunk:
                        break
                    wire += chunk
        except (aiohttp.ClientError, OSError, TimeoutError):
            raise Silent(Reason.SERVER_AWAY) from None
        answer = read(wire, question)
        if answer is None:
            raise Silent(Reason.BAD_ANSWER)
        return answer

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
