"""What becomes of a cluster that the LAN shows: places, conflicts, and who is asked; with a prover in plain sight."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.kinds import FOREIGN_CLUSTER
from liqo.api.meta import Key, Wire
from liqo.discovery.lan import (
    CLAIMS_MAX,
    PLACES_MAX,
    UNPROVED_MAX,
    UNPROVED_PER_SENDER,
    choose,
    is_contested,
    is_place_free,
    merge,
)
from liqo.discovery.lan_ports import Answer, Asked, Proof
from liqo.discovery.lan_records import HostAddress, Pointer, Record, Service, Text
from liqo.discovery.lan_table import Claim, LanTable
from liqo.discovery.loop_lan import RETRY_PROOF, LanClusters
from liqo.discovery.sighting import Sighting
from liqo.runtime.loop import Outcome
from liqo.runtime.store import Store
from manual_clock import START, ManualClock
from memory_cluster import MemoryCluster

TYPE = "_liqo._tcp.local."
ID, OTHER, OWN = "a" * 32, "b" * 32, "c" * 32
TTL = timedelta(seconds=120)
SECOND = timedelta(seconds=1)


def claim(instance: str, *endpoints: str, sender: str = "10.0.0.2", since: int = 0) -> Claim:
    said = Sighting(
        cluster_id=ID,
        namespace="liqo",
        endpoints=endpoints or ("https://10.0.0.2:6443",),
        instance=instance,
        ttl=TTL,
    )
    return Claim(sighting=said, sender=sender, since=START + since * SECOND, until=START + TTL)


@pytest.mark.parametrize(
    ("places", "unproved", "of_sender", "proved", "free"),
    [
        (0, 0, 0, False, True),
        (PLACES_MAX - 1, 0, 0, True, True),
        (PLACES_MAX, 0, 0, True, False),
        (100, UNPROVED_MAX, 0, False, False),
        (100, UNPROVED_MAX, UNPROVED_PER_SENDER, True, True),
        (10, 10, UNPROVED_PER_SENDER - 1, False, True),
        (10, 10, UNPROVED_PER_SENDER, False, False),
    ],
)
def test_a_place_is_free(places: int, unproved: int, of_sender: int, proved: bool, free: bool) -> None:
    assert is_place_free(places=places, unproved=unproved, of_sender=of_sender, proved=proved) is free


def test_instances_that_lead_to_one_place_are_no_conflict() -> None:
    same = [claim("milan"), claim("milan-2")]
    assert not is_contested(same)
    assert merge(same).conflict == ""


def test_instances_that_lead_elsewhere_are_one_and_the_first_counts() -> None:
    both = [claim("milan"), claim("fake", "https://10.0.0.66:6443")]
    assert is_contested(both)
    assert merge(both).instance == "milan"
    assert merge(both).conflict == "also claimed by fake at https://10.0.0.66:6443"


def test_a_sender_with_many_claims_does_not_keep_another_from_being_asked() -> None:
    crowd = [claim(f"fake-{n}", sender="10.0.0.66", since=n + 1) for n in range(50)]
    asked = choose([claim("milan"), *crowd])
    assert len(asked) == CLAIMS_MAX
    assert [c.sighting.instance for c in asked[:3]] == ["fake-49", "milan", "fake-48"]


# The loop.


@dataclass
class PlainProver:
    """Implements `Prover`: the test answers."""

    answers: dict[Asked, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def known(self, asked: Asked) -> Answer | None:
        return self.answers.get(asked)

    def ask(self, asked: Asked, sender: str) -> None:
        del sender
        self.asked.append(asked.endpoint)

    def answer(self, address: str, proof: Proof, at: datetime, cluster_id: str = ID) -> None:
        self.answers[Asked(f"https://{address}:6443", "liqo", cluster_id)] = Answer(proof, at)


class Silence:
    def emit(self, *_: object, **__: object) -> None:
        """Do nothing."""


@dataclass
class Bench:
    """One agent's room, without a network."""

    clock: ManualClock = field(default_factory=ManualClock)
    home: MemoryCluster = field(default_factory=MemoryCluster)
    prover: PlainProver = field(default_factory=PlainProver)
    table: LanTable = field(default_factory=lambda: LanTable(TYPE))
    foreigns: Store = field(
        default_factory=lambda: Store(indexes={"cluster-id": lambda w: [w["spec"]["clusterID"]]})
    )
    config: ClusterConfigSpec = field(default_factory=ClusterConfigSpec)
    dropped: list[str] = field(default_factory=list)
    rooms: LanClusters = field(init=False)

    def __post_init__(self) -> None:
        self.foreigns.replace([], "1")
        self.restart()

    def restart(self) -> None:
        self.table = LanTable(TYPE)
        self.rooms = LanClusters(
            home=self.home,
            foreigns=self.foreigns,
            table=self.table,
            prover=self.prover,
            config=lambda: self.config,
            home_id=OWN,
            events=Silence(),
            clock=self.clock,
            lost=lambda: None,
            dropped=self.dropped.append,
        )

    def hear(
        self, instance: str, address: str, cluster_id: str = ID, ttl: timedelta = TTL, *more: bytes
    ) -> None:
        full, host = f"{instance}.{TYPE}", f"{instance}-host.local."
        records: list[Record] = [
            Pointer(full, ttl),
            Service(full, host, 6443, ttl),
            Text(full, (b"id=" + cluster_id.encode(), b"namespace=liqo", *more), ttl),
            HostAddress(host, address, ttl, flush=True),
        ]
        self.table.hear(records, address, self.clock.now())

    async def reconcile(self, cluster_id: str = ID) -> Outcome:
        return await self.rooms.reconcile(Key("", cluster_id))

    def source(self, cluster_id: str = ID) -> Wire | None:
        found = self.home.seen(FOREIGN_CLUSTER, cluster_id)
        return next(iter((found or {}).get("status", {}).get("sources", [])), None)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_one_that_is_shown_is_there_at_once_and_nobody_is_asked(bench: Bench) -> None:
    bench.hear("milan", "10.0.0.2")
    assert (await bench.reconcile()).writes == 2
    assert (bench.source() or {})["endpoints"] == ["https://10.0.0.2:6443"]
    assert bench.prover.asked == []


async def test_one_with_a_door_is_asked_there_and_its_foreign_cluster_says_where(bench: Bench) -> None:
    door = "https://10.0.0.2:16443"
    bench.hear("milan", "10.0.0.2", ID, TTL, f"door={door}".encode())
    await bench.reconcile()
    found = bench.home.seen(FOREIGN_CLUSTER, ID)
    assert found is not None
    assert (found["spec"]["apiUrl"], found["spec"]["doorUrl"]) == ("https://10.0.0.2:6443", door)
    bench.hear("fake", "10.0.0.66")
    bench.prover.answers[Asked("https://10.0.0.2:6443", "liqo", ID, door)] = Answer(
        Proof.PROVED, bench.clock.now()
    )
    await bench.reconcile()
    assert (bench.source() or {})["instance"] == "milan"


async def test_a_restarted_agent_asks_at_the_door_that_the_foreign_cluster_names(bench: Bench) -> None:
    door = "https://10.0.0.2:16443"
    bench.hear("milan", "10.0.0.2", ID, TTL, f"door={door}".encode())
    await bench.reconcile()
    bench.restart()
    await bench.reconcile()
    await bench.clock.advance(TTL)
    bench.prover.answers[Asked("https://10.0.0.2:6443", "liqo", ID, door)] = Answer(
        Proof.PROVED, bench.clock.now()
    )
    await bench.reconcile()
    assert bench.source() is not None
    assert bench.prover.asked == []


async def test_news_without_a_change_writes_nothing(bench: Bench) -> None:
    bench.hear("milan", "10.0.0.2")
    await bench.reconcile()
    await bench.clock.advance(60 * SECOND)
    bench.hear("milan", "10.0.0.2")
    assert (await bench.reconcile()).writes == 0


async def test_our_own_is_never_found(bench: Bench) -> None:
    bench.hear("rome", "10.0.0.1", OWN)
    await bench.reconcile(OWN)
    assert bench.home.objects(FOREIGN_CLUSTER) == []


async def test_of_two_the_one_that_proves_the_id_counts_whoever_was_first(bench: Bench) -> None:
    bench.hear("fake", "10.0.0.66")
    await bench.reconcile()
    await bench.clock.advance(SECOND)
    bench.hear("milan", "10.0.0.2")
    await bench.reconcile()
    assert set(bench.prover.asked) == {"https://10.0.0.2:6443", "https://10.0.0.66:6443"}
    assert (bench.source() or {})["instance"] == "fake"
    bench.prover.answer("10.0.0.2", Proof.PROVED, bench.clock.now())
    await bench.reconcile()
    assert (bench.source() or {})["instance"] == "milan"
    assert "fake" in (bench.source() or {})["conflict"]


async def test_one_that_was_there_before_stays_while_nobody_proves_anything(bench: Bench) -> None:
    bench.hear("milan", "10.0.0.2")
    await bench.reconcile()
    for number in range(5):
        bench.hear(f"fake-{number}", f"10.0.0.{60 + number}")
        await bench.reconcile()
    assert (bench.source() or {})["instance"] == "milan"


async def test_while_one_is_known_to_prove_the_id_a_crowd_of_claims_asks_nobody(bench: Bench) -> None:
    bench.hear("milan", "10.0.0.2")
    bench.prover.answer("10.0.0.2", Proof.PROVED, bench.clock.now())
    for number in range(50):
        bench.hear(f"fake-{number}", "10.0.0.66")
        await bench.reconcile()
    assert bench.prover.asked == []


async def test_a_contested_one_is_not_there_before_somebody_answered(bench: Bench) -> None:
    bench.hear("fake", "10.0.0.66")
    bench.hear("milan", "10.0.0.2")
    assert (await bench.reconcile()).wake is not None
    assert bench.source() is None
    for address in ("10.0.0.66", "10.0.0.2"):
        bench.prover.answer(address, Proof.SILENT, bench.clock.now())
    await bench.reconcile()
    assert (bench.source() or {})["conflict"]


async def test_who_did_not_prove_it_is_asked_again_after_a_while(bench: Bench) -> None:
    bench.hear("fake", "10.0.0.66")
    bench.hear("milan", "10.0.0.2")
    for address in ("10.0.0.66", "10.0.0.2"):
        bench.prover.answer(address, Proof.SILENT, bench.clock.now())
    await bench.reconcile()
    assert bench.prover.asked == []
    await bench.clock.advance(RETRY_PROOF + SECOND)
    await bench.reconcile()
    assert len(bench.prover.asked) == 2


async def test_a_sender_gets_a_few_places_and_then_only_for_clusters_that_prove_their_id(
    bench: Bench,
) -> None:
    ids = [letter * 32 for letter in "defghijk"]
    for number, cluster_id in enumerate(ids):
        bench.hear(f"fake-{number}", "10.0.0.66", cluster_id)
        bench.prover.answer("10.0.0.66", Proof.OTHER, bench.clock.now(), cluster_id)
        await bench.reconcile(cluster_id)
    assert len(bench.home.objects(FOREIGN_CLUSTER)) == UNPROVED_PER_SENDER
    assert bench.dropped == ["TooMany"] * (len(ids) - UNPROVED_PER_SENDER)
    bench.prover.answer("10.0.0.66", Proof.PROVED, bench.clock.now(), ids[-1])
    await bench.reconcile(ids[-1])
    assert bench.source(ids[-1]) is not None


async def test_one_that_proves_its_id_no_longer_counts_for_its_senders_share(bench: Bench) -> None:
    bench.hear("fake", "10.0.0.66")
    await bench.reconcile()
    bench.hear("milan", "10.0.0.2")
    bench.prover.answer("10.0.0.2", Proof.PROVED, bench.clock.now())
    await bench.reconcile()
    for number, letter in enumerate("defg"):
        bench.hear(f"other-{number}", "10.0.0.66", letter * 32)
        await bench.reconcile(letter * 32)
    assert len(bench.home.objects(FOREIGN_CLUSTER)) == 5


@pytest.mark.parametrize(
    ("proof", "stays"),
    [(Proof.PROVED, True), (Proof.ANSWERED, True), (Proof.OTHER, False), (Proof.SILENT, False)],
)
async def test_one_whose_records_ran_out_stays_while_its_api_server_answers(
    bench: Bench, proof: Proof, stays: bool
) -> None:
    bench.hear("milan", "10.0.0.2")
    await bench.reconcile()
    await bench.clock.advance(TTL)
    await bench.reconcile()
    assert bench.prover.asked == ["https://10.0.0.2:6443"]
    assert bench.source() is not None
    bench.prover.answer("10.0.0.2", proof, bench.clock.now())
    await bench.reconcile()
    assert (bench.source() is not None) is stays


async def test_a_goodbye_ends_it_unasked(bench: Bench) -> None:
    bench.hear("milan", "10.0.0.2")
    await bench.reconcile()
    bench.hear("milan", "10.0.0.2", ttl=timedelta(0))
    await bench.reconcile()
    assert bench.source() is None
    assert bench.prover.asked == []


async def test_what_an_earlier_life_wrote_has_a_ttl_to_show_itself(bench: Bench) -> None:
    bench.hear("milan", "10.0.0.2")
    await bench.reconcile()
    bench.restart()
    assert (await bench.reconcile()).wake == TTL
    assert bench.source() is not None
    await bench.clock.advance(TTL)
    bench.prover.answer("10.0.0.2", Proof.SILENT, bench.clock.now())
    await bench.reconcile()
    assert bench.source() is None


async def test_a_switch_ends_it(bench: Bench) -> None:
    bench.hear("milan", "10.0.0.2")
    await bench.reconcile()
    off = bench.config.discovery_config.model_copy(update={"enable_discovery": False})
    bench.config = bench.config.model_copy(update={"discovery_config": off})
    await bench.reconcile()
    assert bench.source() is None
