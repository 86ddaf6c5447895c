"""Announces a cluster as an agent does, with none behind it, until SIGTERM; takes up interfaces as they come.

python speaker.py NAME ADDRESS [INTERFACE]
"""

import asyncio
import signal
import sys
from contextlib import suppress
from datetime import timedelta

from liqo.adapters.mdns import Mdns, Said

LOOK_AGAIN = 0.2  # seconds; an agent takes half a minute


async def main(name: str, address: str, *interfaces: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    mdns = Mdns(lambda *_: None, lambda: None, interfaces)
    await mdns.open()
    await mdns.announce(
        Said(
            service_type="_liqo._tcp.local.",
            name=name,
            host=f"liqo-{name}.local.",
            addresses=(address,),
            port=6443,
            pairs=(("id", name[0] * 32), ("namespace", "liqo")),
            ttl=timedelta(seconds=120),
        )
    )
    print("announced", flush=True)  # noqa: T201  the test waits for it
    while not stop.is_set():
        await mdns.follow_interfaces()
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_AGAIN)
    await mdns.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
