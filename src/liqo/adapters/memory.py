"""Memory that is free again, which a C library keeps after a burst."""

import ctypes
from datetime import timedelta

from liqo.runtime.ports import Clock

EVERY = timedelta(minutes=1)


async def give_back(clock: Clock) -> None:
    """Give freed memory back to the kernel once a minute, where the C library can (glibc's malloc_trim).

    A partition leaves a hundred connections open for half a minute, and what they took lies in pieces between what
    is still in use.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:
        await clock.sleep(EVERY)
        trim(0)
