"""Two connections made one: what comes from either goes to the other, no faster than that one reads."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

CHUNK = 64 * 1024  # bytes read at once
IDLE_MAX = timedelta(hours=4)  # without a byte either way, as a kubelet's --streaming-connection-idle-timeout
LINGER = timedelta(seconds=1)  # for a caller to see the end in what he was sent, and close
CLOSE_WITHIN = timedelta(seconds=60)  # for who reads slowly to get what was sent last


async def splice(
    near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    *,
    both_ways: bool,
) -> None:
    """Carry bytes until one side ends or fails, or nothing comes for IDLE_MAX; closes neither.

    TLS has no half close, so that the end of one side is the end. With `both_ways` false only what the far side sends
    goes on, and anything from the near side but its end is an end too.
    """
    async with asyncio.TaskGroup() as group:
        with suppress(TimeoutError):
            async with asyncio.timeout(IDLE_MAX.total_seconds()) as idle:

                def heard() -> None:
                    idle.reschedule(asyncio.get_running_loop().time() + IDLE_MAX.total_seconds())

                back = group.create_task(_carry(far[0], near[1], heard))
                there = group.create_task(_carry(near[0], far[1], heard) if both_ways else ended(near[0]))
                try:
                    await asyncio.wait({back, there}, return_when=asyncio.FIRST_COMPLETED)
                    if there.done() and not there.result():
                        await asyncio.wait({back})  # it reads no more, but what it has said still goes on
                finally:
                    back.cancel()
                    there.cancel()
    if not there.done() or there.cancelled() or not there.result():
        await _linger(near[0])


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: Callable[[], None]
) -> bool:
    """Carry bytes one way; return whether the reader ended, False if the writer did."""
    while chunk := await _read(reader):
        heard()
        try:
            writer.write(chunk)
            await writer.drain()
        except OSError:
            return False
    return True


async def _linger(reader: asyncio.StreamReader) -> None:
    """Read on for a moment: to close a socket with something unread in it is a reset, and takes back what was sent."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER.total_seconds()):
            while await _read(reader):
                pass


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(CHUNK)
    except OSError:  # a side that fails has ended
        return b""


async def ended(reader: asyncio.StreamReader) -> bool:
    """Wait until a side ends, or says what nobody asked it; return True."""
    await _read(reader)
    return True


async def carry_exactly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, length: int) -> None:
    """Carry that many bytes, or fewer if the reader ends before."""
    while length > 0 and (chunk := await reader.read(min(CHUNK, length))):
        length -= len(chunk)
        writer.write(chunk)
        await writer.drain()


async def close(writer: asyncio.StreamWriter) -> None:
    """Close one side, when all is written or CLOSE_WITHIN is over."""
    writer.close()
    try:
        async with asyncio.timeout(CLOSE_WITHIN.total_seconds()):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        writer.transport.abort()
