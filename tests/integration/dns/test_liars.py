"""Name servers that are dead, broken or lie: the resolver says what happened and never fails."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import pytest

from dns_liars import CUT_AT, LIES, NAME, PTR, Say, answer
from dns_servers import free_port
from liqo.adapters.dns import NameServers
from liqo.api.reasons import Reason
from liqo.discovery.announcement import STRING_MAX, STRINGS_MAX
from liqo.discovery.dns import Answer, Type


@asynccontextmanager
async def server(
    udp: Say, tcp: Say = lambda _query: None, closed: Callable[[], None] = lambda: None
) -> AsyncIterator[NameServers]:
    """Run a server that answers one question on each stream, and tells when the other side has closed one."""

    class Udp(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
            said = udp(data)
            if said is not None:
                self.transport.sendto(said, address)  # type: ignore[attr-defined]

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            length = int.from_bytes(await reader.readexactly(2))
            said = tcp(await reader.readexactly(length))
            if said is not None:
                writer.write(len(said).to_bytes(2) + said)
                await writer.drain()
                await reader.read()
                closed()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    port = free_port()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Udp, local_addr=("127.0.0.1", port))
    listener = await asyncio.start_server(stream, "127.0.0.1", port)
    resolver = NameServers.of(f"127.0.0.1:{port}")
    try:
        yield resolver
    finally:
        await resolver.close()
        transport.close()
        listener.close()
        await listener.wait_closed()


@pytest.mark.parametrize("lie", LIES)
async def test_what_a_server_may_do_instead_of_answering(lie: str) -> None:
    say, reason = LIES[lie]
    async with server(say) as resolver:
        said = await resolver.ask(NAME, Type.PTR)
    assert (said.fault, list(said.records)) == (reason, [])


HEAD_ONLY = bytes.fromhex("8380") + bytes(8)
CUT: dict[str, Say] = {
    "with the sign of it": lambda query: answer(query, truncated=True),
    "with the sign of it, in the middle of a record": lambda query: answer(query, PTR, truncated=True)[
        :CUT_AT
    ],
    "without a sign, in the middle of a record": lambda query: answer(query, PTR)[:CUT_AT],
    "with the sign of it, and no question": lambda query: query[:2] + HEAD_ONLY,
    "in the middle of its head": lambda query: answer(query, PTR)[:7],
    "in the middle of the question": lambda query: answer(query, PTR)[:15],
}


@pytest.mark.parametrize("how", CUT)
async def test_a_datagram_that_is_cut_off_is_asked_for_over_tcp(how: str) -> None:
    async with server(CUT[how], lambda query: answer(query, PTR)) as resolver:
        said = await resolver.ask(NAME, Type.PTR)
    assert (said.records, said.fault) == (["a.example"], None)


async def test_of_an_answer_that_is_cut_off_over_tcp_too_nobody_knows_the_rest() -> None:
    async with server(
        CUT["with the sign of it"], lambda query: answer(query, PTR, truncated=True)
    ) as resolver:
        said = await resolver.ask(NAME, Type.PTR)
    assert (said.records, said.fault, said.silent) == (["a.example"], Reason.BAD_ANSWER, True)


async def test_a_stream_that_went_dead_is_given_up_for_a_new_one() -> None:
    async with server(CUT["with the sign of it"], lambda query: answer(query, PTR)) as resolver:
        faults = [(await resolver.ask(NAME, Type.PTR)).fault for _ in range(3)]
    assert faults == [None, Reason.SERVER_AWAY, None]


async def test_a_stream_on_which_nobody_asks_any_more_is_closed() -> None:
    closed = asyncio.Event()
    async with server(CUT["with the sign of it"], lambda query: answer(query, PTR), closed.set) as resolver:
        assert (await resolver.ask(NAME, Type.PTR)).fault is None
        async with asyncio.timeout(30):
            await closed.wait()
        assert (await resolver.ask(NAME, Type.PTR)).fault is None


async def test_aliases_without_end_come_to_an_end() -> None:
    count = 0

    def on(query: bytes) -> bytes:
        nonlocal count
        count += 1
        name = dns.message.from_wire(query).question[0].name
        return answer(query, f"{name} 60 IN CNAME n{count}.example.")

    async with server(on) as resolver:
        said = await resolver.ask(NAME, Type.A)
    assert said.fault is Reason.CNAME_LOOP
    assert count < 20


async def test_a_guess_before_the_answer_is_passed_over() -> None:
    """Somebody who does not see the question may guess; the true answer counts."""
    port = free_port()
    loop = asyncio.get_running_loop()

    class Two(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
            lie = answer(data, f"{NAME}. 60 IN PTR evil.example.")
            self.transport.sendto(bytes([lie[0] ^ 1]) + lie[1:], address)  # type: ignore[attr-defined]
            self.transport.sendto(answer(data, PTR), address)  # type: ignore[attr-defined]

    transport, _ = await loop.create_datagram_endpoint(Two, local_addr=("127.0.0.1", port))
    resolver = NameServers.of(f"127.0.0.1:{port}")
    said = await resolver.ask(NAME, Type.PTR)
    await resolver.close()
    transport.close()
    assert said.records == ["a.example"]


async def test_64_kib_of_text_are_bounded() -> None:
    text = " ".join(f'"{"x" * 250}{n:03}"' for n in range(240))

    def long(query: bytes) -> bytes:
        return answer(query, f"{NAME}. 60 IN TXT {text}")

    async with server(lambda query: answer(query, truncated=True), long) as resolver:
        said: Answer = await resolver.ask(NAME, Type.TXT)
    assert said.fault is None
    assert len(said.records) == STRINGS_MAX
    assert all(isinstance(r, bytes) and len(r) <= STRING_MAX for r in said.records)


async def test_a_slow_server_delays_nobody_else() -> None:
    """Two names on one server: one is never answered, the other at once."""

    def slow(query: bytes) -> bytes | None:
        return None if b"never" in query else answer(query, PTR)

    async with server(slow) as resolver:
        never = asyncio.ensure_future(resolver.ask("never.example", Type.PTR))
        said = await resolver.ask(NAME, Type.PTR)
        assert not never.done()
        assert said.records == ["a.example"]
        assert (await never).fault is Reason.SERVER_AWAY
