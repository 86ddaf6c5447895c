"""How a connection to another cluster is verified, and to which addresses one is made at all."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from liqo.errors import NotTrusted
from liqo.identity.trust import Verdict

RESOLVE_WITHIN = timedelta(seconds=2)
PINNED_NAME = "kubernetes.default.svc"  # every API server's certificate has it
AddressCheck = Callable[[str], Verdict]
"""IP address → may we connect to it."""


@dataclass(frozen=True, slots=True)
class PeerTrust:
    """How the certificate of one cluster is verified now."""

    mark: str  # differs when anything about it does
    context: ssl.SSLContext
    name: str | None  # to verify instead of the host of its own URL


def system_context(trusted_pem: str) -> ssl.SSLContext:
    """Return a context that trusts the system's roots and the certificates a person added; takes some 20 ms."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an intermediate that a person added is enough
    if trusted_pem:
        context.load_verify_locations(cadata=trusted_pem)
    return context


def pinned_context(ca_pem: str) -> ssl.SSLContext:
    """Return a context that trusts these certificates alone; verify the name PINNED_NAME with it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=ca_pem)
    return context


def unverified_context() -> ssl.SSLContext:
    """Return a context that verifies nothing: only for reading a document that proves itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class CheckedResolver(AbstractResolver):
    """Resolves names and drops the addresses that we may not connect to, so that a name cannot get around it."""

    def __init__(self, check: AddressCheck) -> None:
        self._check = check
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the allowed addresses.

        Raises:
            OSError: none is allowed, or the name does not resolve.
        """
        found = await self._inner.resolve(host, port, family)
        verdicts: list[tuple[Any, Verdict]] = [(f, self._check(f["host"])) for f in found]
        allowed = [f for f, verdict in verdicts if verdict.trusted]
        if not allowed:
            reasons = "; ".join(sorted({v.message for _, v in verdicts}))
            raise OSError(f"{host} resolves to no address that we connect to: {reasons}")
        return allowed

    async def close(self) -> None:
        """Close what it holds."""
        await self._inner.close()


def check_literal(server: str, check: AddressCheck) -> None:
    """Check the host of a URL if it is an address, since no resolver is asked for one.

    Raises:
        NotTrusted: with reason AddressRefused.
    """
    host = urlsplit(server).hostname or ""
    if ":" in host or host.replace(".", "").isdigit():
        verdict = check(host)
        if not verdict.trusted:
            raise NotTrusted(verdict.message, reason="AddressRefused")


async def resolve_host(host: str) -> frozenset[str]:
    """Return the addresses of a host; the host itself where it has none that anybody tells in time."""
    try:
        async with asyncio.timeout(RESOLVE_WITHIN.total_seconds()):
            found = await ThreadedResolver().resolve(host, 0, socket.AF_UNSPEC)
    except (OSError, TimeoutError):
        return frozenset({host})
    return frozenset(f["host"] for f in found)
