"""Asks API servers on the LAN who they are; implements `discovery.lan_ports.Prover`.

A neighbour decides whom we ask, so he gets a share, and we never become his hammer: at most SHARE questions of his
are open, and one that is open for PATIENCE gives way to a newer one. So he makes us open at most
SHARE / PATIENCE = 16 connections a second, and all neighbours together AT_ONCE / PATIENCE = 128, while the question
about an honest cluster, which is answered within milliseconds, always finds a seat.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from liqo.adapters.contact import HttpContact
from liqo.api.reasons import Reason
from liqo.discovery.lan_ports import Answer, Asked, Proof
from liqo.errors import Fault, Unreachable
from liqo.runtime.ports import Clock

WITHIN_SECONDS = 2.0
AT_ONCE = 32  # questions; each holds a socket or two
SHARE = 4  # of those, for one sender
PATIENCE = timedelta(milliseconds=250)  # a LAN's API server answers within a tenth of that
REMEMBERED_MAX = 1_024  # answers; as many as there are instances


@dataclass(frozen=True, slots=True)
class _Seat:
    """A question that is open."""

    task: "asyncio.Task[None]"
    sender: str
    since: datetime


@dataclass(slots=True, kw_only=True)
class LanProver:
    """Reads the well-known document as a stranger, trusting nothing but what it proves by itself.

    Args:
        contact: reads documents.
        clock: the time.
        heard: told the id of each cluster about which there is an answer.
    """

    contact: HttpContact
    clock: Clock
    heard: Callable[[str], None]
    _answers: dict[Asked, Answer] = field(default_factory=dict)
    _seats: dict[Asked, _Seat] = field(default_factory=dict)
    _leaving: set["asyncio.Task[None]"] = field(default_factory=set)

    def known(self, asked: Asked) -> Answer | None:
        """Return the last answer, None if there is none yet."""
        return self._answers.get(asked)

    def ask(self, asked: Asked, sender: str) -> None:
        """Have a question asked, unless it is being asked or its sender has asked too many."""
        now = self.clock.now()
        if asked in self._seats or not self._make_room(sender, now):
            return
        task = asyncio.ensure_future(self._find_out(asked, now))
        self._seats[asked] = _Seat(task, sender, now)

    async def close(self) -> None:
        """Give up all questions."""
        leaving = {*self._leaving, *(seat.task for seat in self._seats.values())}
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)

    def _make_room(self, sender: str, now: datetime) -> bool:
        counts = Counter(seat.sender for seat in self._seats.values())
        if counts[sender] < SHARE and len(self._seats) < AT_ONCE:
            return True
        crowd = sender if counts[sender] >= SHARE else max(counts, key=lambda s: counts[s])
        oldest, seat = next((a, s) for a, s in self._seats.items() if s.sender == crowd)
        if now - seat.since < PATIENCE:
            return False
        del self._seats[oldest]
        seat.task.cancel()
        self._leaving.add(seat.task)
        seat.task.add_done_callback(self._leaving.discard)
        return True

    async def _find_out(self, asked: Asked, at: datetime) -> None:
        proof = await self._read(asked)
        self._answers.pop(asked, None)
        while len(self._answers) >= REMEMBERED_MAX:
            del self._answers[next(iter(self._answers))]
        self._answers[asked] = Answer(proof, at)
        del self._seats[asked]
        self.heard(asked.cluster_id)

    async def _read(self, asked: Asked) -> Proof:
        """Read the document once; any answer that is not another cluster's is one."""
        try:
            async with asyncio.timeout(WITHIN_SECONDS):
                await self.contact.meet(
                    [asked.endpoint],
                    asked.namespace,
                    expected=asked.cluster_id,
                    allow_untrusted=True,
                    door=asked.door,
                )
        except TimeoutError:
            return Proof.SILENT
        except Unreachable as fault:
            return Proof.ANSWERED if fault.answered else Proof.SILENT
        except Fault as fault:
            if fault.reason in {Reason.WRONG_CLUSTER_ID, Reason.CA_NOT_SHOWN}:
                return Proof.OTHER  # another cluster, or one who copied the honest one's document
            return Proof.SILENT if fault.reason == Reason.ADDRESS_REFUSED else Proof.ANSWERED
        return Proof.PROVED
