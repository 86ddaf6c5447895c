"""Connections to another cluster's API server that carry something else than our own requests."""

import asyncio
import socket
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import urlsplit

from liqo.adapters.status import clean
from liqo.adapters.tls import AddressCheck, CheckedResolver, PeerTrust, check_literal
from liqo.adapters.transport import CONNECT_TIMEOUT, KEEPALIVE
from liqo.errors import Fault, NotTrusted, Unreachable
from liqo.runtime.ports import Stream
from liqo.runtime.secret import Secret

HTTPS_PORT = 443
LIMIT = (
    4 * 2**20
)  # bytes that wait for us: a TLS transport that is paused when its connection ends loses what it holds
SHUTDOWN = timedelta(seconds=1)


async def open_stream(
    servers: Sequence[str], name: str | None, trust: PeerTrust, token: Secret, check: AddressCheck
) -> Stream:
    """Return a connection to the first of these URLs that takes one.

    Args:
        servers: the one in use first.
        name: to verify in its certificate, whatever address is tried.
        trust: how that is verified.
        token: ours there.
        check: may we connect to an address.

    Raises:
        NotTrusted: none proves what it should, or none may be connected to.
        Unreachable: none answers.
    """
    last: Fault = Unreachable("the other cluster has no address")
    for server in servers:
        try:
            return await _open(server, name, trust, token, check)
        except (Unreachable, NotTrusted) as fault:
            last = fault
    raise last


async def _open(
    server: str, name: str | None, trust: PeerTrust, token: Secret, check: AddressCheck
) -> Stream:
    check_literal(server, check)
    url = urlsplit(server)
    if url.scheme != "https" or not url.hostname:
        raise NotTrusted(f"{clean(server)} is not https")
    port = url.port or HTTPS_PORT
    resolver = CheckedResolver(check)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT.total_seconds()):
            found = await resolver.resolve(url.hostname, port)
            loop = asyncio.get_running_loop()
            reader = asyncio.StreamReader(limit=LIMIT)
            transport, protocol = await loop.create_connection(
                lambda: _ToTheLastByte(reader),
                found[0]["host"],
                port,
                ssl=trust.context,
                server_hostname=name,
                ssl_shutdown_timeout=SHUTDOWN.total_seconds(),
            )
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    except TimeoutError as exc:
        raise Unreachable(f"{server} does not answer in time") from exc
    except OSError as exc:  # TLS failures are among them
        raise Unreachable(clean(f"{server} does not answer: {exc.strerror or exc}")) from exc
    finally:
        await resolver.close()
    _keep_alive(writer)
    return Stream(reader=reader, writer=writer, host=url.netloc, prefix=url.path.rstrip("/"), token=token)


class _ToTheLastByte(asyncio.StreamReaderProtocol):
    """A reset is an end: what came before it is still read, which a reader that is told of an error refuses.

    One that has sent all it had and closes, while we still tell it how much we read, resets.
    """

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the reader that nothing more comes."""
        super().connection_lost(None if isinstance(exc, OSError) else exc)


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Notice a peer that died without a word, though nothing may be said for hours."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE.items():
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
