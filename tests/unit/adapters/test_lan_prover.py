"""How many questions a neighbour makes us ask at once; with a contact that answers when the test says so."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from liqo.adapters.contact import HttpContact
from liqo.adapters.lan_prover import AT_ONCE, PATIENCE, SHARE, LanProver
from liqo.api.reasons import Reason
from liqo.discovery.lan_ports import Asked, Proof
from liqo.errors import Fault, NotTrusted, Unavailable, Unreachable
from manual_clock import ManualClock, settle

ID = "a" * 32


@dataclass
class SlowContact:
    """Answers as told, and is silent to all others until it is cancelled."""

    says: dict[str, Fault | None] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    most: int = 0

    async def meet(self, servers: Sequence[str], *_: object, **__: object) -> str:
        (server,) = servers
        self.open.append(server)
        self.most = max(self.most, len(self.open))
        try:
            if server not in self.says:
                await asyncio.get_running_loop().create_future()
            fault = self.says[server]
            if fault is not None:
                raise fault
            return server
        finally:
            self.open.remove(server)


@dataclass
class Bench:
    """A prover, its contact and its clock."""

    clock: ManualClock = field(default_factory=ManualClock)
    contact: SlowContact = field(default_factory=SlowContact)
    heard: list[str] = field(default_factory=list)
    prover: LanProver = field(init=False)

    def __post_init__(self) -> None:
        contact = cast("HttpContact", self.contact)
        self.prover = LanProver(contact=contact, clock=self.clock, heard=self.heard.append)


def asked(server: str) -> Asked:
    return Asked(server, "liqo", ID)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.prover.close()
    assert made.contact.open == []


@pytest.mark.parametrize(
    ("says", "proof"),
    [
        (None, Proof.PROVED),
        (NotTrusted("another's", reason=Reason.WRONG_CLUSTER_ID), Proof.OTHER),
        (NotTrusted("a copied document", reason=Reason.CA_NOT_SHOWN), Proof.OTHER),
        (NotTrusted("loopback", reason=Reason.ADDRESS_REFUSED), Proof.SILENT),
        (Unreachable("down"), Proof.SILENT),
        (Unavailable("no document", reason=Reason.DOCUMENT_MISSING), Proof.ANSWERED),
    ],
)
async def test_what_is_said_is_an_answer(bench: Bench, says: Fault | None, proof: Proof) -> None:
    bench.contact.says["x"] = says
    bench.prover.ask(asked("x"), "milan")
    await settle()
    answer = bench.prover.known(asked("x"))
    assert answer is not None
    assert (answer.proof, answer.at, bench.heard) == (proof, bench.clock.now(), [ID])


async def test_a_question_that_is_open_is_not_asked_twice(bench: Bench) -> None:
    for _ in range(3):
        bench.prover.ask(asked("x"), "milan")
    await settle()
    assert bench.contact.open == ["x"]


async def test_a_sender_has_a_share_and_another_still_is_answered(bench: Bench) -> None:
    for number in range(50):
        bench.prover.ask(asked(f"fake-{number}"), "liar")
    bench.contact.says["honest"] = None
    bench.prover.ask(asked("honest"), "milan")
    await settle()
    assert len(bench.contact.open) == SHARE
    assert bench.heard == [ID]


async def test_in_a_crowd_the_newest_takes_the_seat_of_the_oldest(bench: Bench) -> None:
    for number in range(AT_ONCE * 2):
        bench.prover.ask(asked(f"fake-{number}"), f"liar-{number}")
    bench.contact.says["honest"] = None
    bench.prover.ask(asked("honest"), "milan")
    await settle()
    assert bench.heard == []
    await bench.clock.advance(PATIENCE)
    bench.prover.ask(asked("honest"), "milan")
    await settle()
    assert bench.heard == [ID]
    assert bench.contact.most <= AT_ONCE + 1
    assert bench.prover.known(asked("fake-0")) is None
