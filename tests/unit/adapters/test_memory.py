"""What large blocks took goes back to the kernel."""

import ctypes
import subprocess
import sys

import pytest

# Each line of a large block and a small one that stays; the first large one that is freed raises glibc's bound.
PROGRAM = """
import os, sys
from pathlib import Path
from liqo.adapters.memory import keep_large_apart

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20

if sys.argv[1] == "apart":
    keep_large_apart()
bytes([1]) * 2**21
before = resident()
blocks = [(bytes([1]) * 2**18, bytes([1]) * 2**10) for _ in range(200)]
kept = [small for _, small in blocks]
del blocks
print(resident() - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="a C library without that knob")
def test_what_large_blocks_took_goes_back_though_small_ones_between_them_stay() -> None:
    assert grown("apart") < 5
    assert grown("as ever") > 40


def grown(how: str) -> int:
    """Return by how many MiB a process grew that freed 50 of them."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, timeout=60, check=True
    )
    return int(done.stdout)
