"""What LAN discovery asks of the world beyond `runtime.ports`."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Proof(StrEnum):
    """What an address says when it is asked which cluster is there."""

    PROVED = "Proved"  # its document is signed with the key of that id
    OTHER = "Other"  # its document is another cluster's
    ANSWERED = "Answered"  # somebody is there who proves nothing
    SILENT = "Silent"  # nobody answers, or it is an address that we do not connect to


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: is that cluster at that URL?"""

    endpoint: str
    namespace: str
    cluster_id: str
    door: str = (
        ""  # where its document is, if the API server takes no strangers; "": at the default port beside it
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question that was asked at that instant."""

    proof: Proof
    at: datetime


class Prover(Protocol):
    """Asks API servers who they are, in the background: a reconcile never waits for a neighbour."""

    def known(self, asked: Asked) -> Answer | None:
        """Return the last answer, None if there is none yet."""
        ...

    def ask(self, asked: Asked, sender: str) -> None:
        """Have a question asked, unless it is being asked or its sender has asked too many; wake its cluster's key.

        Args:
            asked: the question.
            sender: who made us ask, and whose share of the questions it counts for.
        """
        ...
