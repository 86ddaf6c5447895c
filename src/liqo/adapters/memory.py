"""Where the C library puts large blocks of memory."""

import ctypes

M_MMAP_THRESHOLD = -3  # malloc.h
LARGE = 128 * 1024  # bytes; what glibc begins with, before it raises that by itself


def keep_large_apart() -> None:
    """Have large blocks taken from the kernel one by one, so that each goes back to it when it is freed.

    glibc raises the bound after the first large block that is freed, and puts such ones between small ones from then
    on. uvloop takes 256 KiB for each TLS connection: docs/decisions/0006. Other C libraries have no such knob.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE)
