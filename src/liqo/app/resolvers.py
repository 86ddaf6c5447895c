"""The name servers that the settings name, kept as long as they do."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from liqo.discovery.dns import Resolver


class Closing(Resolver, Protocol):
    """A resolver that can be closed."""

    async def close(self) -> None:
        """Close all connections."""
        ...


class Resolvers:
    """Answers with the resolver of a setting; one that is no longer asked for is closed.

    The DNS library is loaded when the first domain is searched: 9 MB that a cluster which searches none saves.

    Args:
        count: told how each question ended.
    """

    def __init__(self, count: Callable[[str], None]) -> None:
        self._count = count
        self._text: str | None = None
        self._current: Closing | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def of(self, text: str) -> Resolver:
        """Return the resolver for `dnsServer`.

        Raises:
            Invalid: it names no server.
        """
        from liqo.adapters.dns import NameServers  # noqa: PLC0415  see above

        if self._current is None or text != self._text:
            fresh = NameServers.of(text, self._count)
            self._retire()
            self._text, self._current = text, fresh
        return self._current

    @staticmethod
    def encode(domain: str) -> str:
        """Return a domain in ASCII.

        Raises:
            Invalid: it is none.
        """
        from liqo.adapters.dns import encode_domain  # noqa: PLC0415  see above

        return encode_domain(domain)

    def _retire(self) -> None:
        if self._current is not None:
            task = asyncio.ensure_future(self._current.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            self._current = None

    async def close(self) -> None:
        """Close all connections."""
        self._retire()
        await asyncio.gather(*self._closing)
