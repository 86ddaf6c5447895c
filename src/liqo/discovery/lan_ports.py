"""What LAN discovery asks of the world beyond `runtime.ports`."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol


class Proof(StrEnum):
    """What an address says when it is asked which cluster is there."""

    PROVED = "Proved"  # its document is signed with the key of that id
    OTHER = "Other"  # its document is another cluster's
    ANSWERED = "Answered"  # somebody is there who proves nothing
    SILENT = "Silent"  # nobody answers, or it is an address that we do not connect to


class Prover(Protocol):
    """Asks an API server who it is."""

    async def ask(self, endpoint: str, namespace: str, cluster_id: str) -> Proof:
        """Read the well-known document once, within two seconds; never fails."""
        ...

    async def first_proved(self, endpoints: Sequence[str], namespace: str, cluster_id: str) -> str:
        """Ask all at once; return the first that proves the id, "" if none does within two seconds."""
        ...
