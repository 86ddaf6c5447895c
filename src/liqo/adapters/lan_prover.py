"""Asks an API server on the LAN who it is; implements `discovery.lan_ports.Prover`."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from liqo.adapters.contact import HttpContact
from liqo.api.reasons import Reason
from liqo.discovery.lan_ports import Proof
from liqo.errors import Fault, Unreachable

WITHIN_SECONDS = 2.0
AT_ONCE = 32  # questions; each holds a socket


@dataclass(slots=True)
class LanProver:
    """Reads the well-known document as a stranger, trusting nothing but what it proves by itself."""

    contact: HttpContact
    _seats: asyncio.Semaphore

    async def ask(self, endpoint: str, namespace: str, cluster_id: str) -> Proof:
        """Read the document once; any answer that is not another cluster's is one."""
        try:
            async with self._seats, asyncio.timeout(WITHIN_SECONDS):
                await self.contact.meet([endpoint], namespace, expected=cluster_id, allow_untrusted=True)
        except (TimeoutError, Unreachable):
            return Proof.SILENT
        except Fault as fault:
            if fault.reason == Reason.WRONG_CLUSTER_ID:
                return Proof.OTHER
            return Proof.SILENT if fault.reason == Reason.ADDRESS_REFUSED else Proof.ANSWERED
        return Proof.PROVED

    async def first_proved(self, endpoints: Sequence[str], namespace: str, cluster_id: str) -> str:
        """Ask all at once; one that is silent holds up nobody."""

        async def one(endpoint: str) -> str:
            return endpoint if await self.ask(endpoint, namespace, cluster_id) is Proof.PROVED else ""

        asking = [asyncio.ensure_future(one(endpoint)) for endpoint in endpoints]
        try:
            for answer in asyncio.as_completed(asking):
                if proved := await answer:
                    return proved
            return ""
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)


def make_prover(contact: HttpContact) -> LanProver:
    """Return a prover with seats of its own."""
    return LanProver(contact, asyncio.Semaphore(AT_ONCE))
