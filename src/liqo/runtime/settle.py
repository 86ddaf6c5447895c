"""Rights that were just granted take a moment to be in force."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from liqo.api.meta import Wire
from liqo.errors import Absent, Forbidden
from liqo.runtime.ports import Clock

SETTLE = timedelta(seconds=2)  # authorizers follow a binding within some 100 ms
POLL = timedelta(milliseconds=10)


async def settled(call: Callable[[], Awaitable[Wire]], clock: Clock) -> Wire:
    """Call, and again for a moment while a right that was just granted is not in force yet."""
    end = clock.now() + SETTLE
    while True:
        try:
            return await call()
        except (Absent, Forbidden):  # a binding is refused while its role is not there
            if clock.now() >= end:
                raise
            await clock.sleep(POLL)
