"""A name server that is far away: passes datagrams and streams on, each answer so much later.

python bench/delay.py LISTEN_PORT SERVER SERVER_PORT SECONDS
"""

import asyncio
import sys


class Far(asyncio.DatagramProtocol):
    """Takes questions on loopback."""

    def __init__(self, server: tuple[str, int], seconds: float) -> None:
        self.server, self.seconds = server, seconds
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        task = asyncio.ensure_future(self._pass(data, address))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _pass(self, data: bytes, address: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()

        class Near(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, _address: object) -> None:
                if not answer.done():
                    answer.set_result(data)

        transport, _ = await loop.create_datagram_endpoint(Near, remote_addr=self.server)
        transport.sendto(data)
        try:
            found = await asyncio.wait_for(answer, 5)
        finally:
            transport.close()
        loop.call_later(self.seconds, self.transport.sendto, found, address)  # type: ignore[attr-defined]


async def main(port: int, server: tuple[str, int], seconds: float) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: Far(server, seconds), local_addr=("127.0.0.1", port))

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*server)

        async def forth() -> None:
            while data := await reader.read(65_536):
                back.write(data)

        task = asyncio.ensure_future(forth())
        while data := await there.read(65_536):
            loop.call_later(seconds, writer.write, data)
        task.cancel()
        loop.call_later(seconds, writer.close)

    await asyncio.start_server(stream, "127.0.0.1", port)
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main(int(sys.argv[1]), (sys.argv[2], int(sys.argv[3])), float(sys.argv[4])))
