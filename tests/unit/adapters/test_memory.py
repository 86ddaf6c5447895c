"""Freed memory goes back to the kernel."""

import asyncio
import ctypes
import os
from pathlib import Path

import pytest

from liqo.adapters.memory import EVERY, give_back
from manual_clock import ManualClock

MIB = 2**20
PIECE = (
    100 * 1024
)  # bytes; a C library takes more than 128 KiB from the kernel by itself, and gives that back


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not glibc")
async def test_pieces_between_what_is_in_use_are_given_back() -> None:
    clock = ManualClock()
    task = asyncio.create_task(give_back(clock))
    pieces = [bytes([1]) * PIECE for _ in range(1_000)]
    kept = pieces[::10]
    del pieces
    before = resident()
    await clock.advance(EVERY)
    assert before - resident() > 50 * MIB
    assert sum(map(len, kept)) == 100 * PIECE
    task.cancel()


def resident() -> int:
    """Return how much memory of this process is in RAM, in bytes."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
