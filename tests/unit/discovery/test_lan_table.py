"""What is on the wire, record by record: bounds, shares, conflicts, expiry and goodbye."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqo.api.foreign_cluster import ENDPOINTS_MAX
from liqo.api.reasons import Reason
from liqo.discovery.lan_records import HostAddress, Pointer, Record, Service, Text
from liqo.discovery.lan_table import (
    ADDRESSES_MAX,
    ASK_INCOMPLETE,
    INSTANCES_MAX,
    PER_SENDER_MAX,
    TTL_MAX,
    WAIT_FOR_REST,
    LanTable,
)
from manual_clock import START

TYPE = "_liqo._tcp.local."
ID, OTHER = "a" * 32, "b" * 32
TTL = timedelta(seconds=120)
SECOND = timedelta(seconds=1)
GOODBYE = timedelta(0)
SENDER = "10.0.0.2"


def full(instance: str) -> str:
    return f"{instance}.{TYPE}"


def packet(
    instance: str = "milan",
    cluster_id: str = ID,
    *addresses: str,
    host: str = "",
    ttl: timedelta = TTL,
    port: int = 6443,
    more: tuple[bytes, ...] = (),
) -> list[Record]:
    """Return a whole announcement."""
    host = host or f"{instance}-host.local."
    text = (b"id=" + cluster_id.encode(), b"namespace=liqo", *more)
    return [
        Pointer(full(instance), ttl),
        Service(full(instance), host, port, ttl),
        Text(full(instance), text, ttl),
        *(HostAddress(host, a, ttl, flush=True) for a in addresses or ("10.0.0.2",)),
    ]


@pytest.fixture
def table() -> LanTable:
    return LanTable(TYPE)


def endpoints(table: LanTable, cluster_id: str = ID) -> list[tuple[str, ...]]:
    return [c.sighting.endpoints for c in table.claims(cluster_id, START)]


def test_a_whole_announcement_is_a_claim(table: LanTable) -> None:
    assert table.hear(packet(), SENDER, START) == {ID}
    (claim,) = table.claims(ID, START)
    assert claim.sighting.instance == claim.sighting.cluster_name == "milan"
    assert claim.sighting.endpoints == ("https://10.0.0.2:6443",)
    assert (claim.sender, claim.until, claim.sighting.ttl) == (SENDER, START + TTL, TTL)


@pytest.mark.parametrize("left_out", [Service, Text, HostAddress])
def test_a_part_of_an_announcement_is_none(table: LanTable, left_out: type[Record]) -> None:
    table.hear([r for r in packet() if not isinstance(r, left_out)], SENDER, START)
    assert table.claims(ID, START) == []
    assert table.list(START)[0].problem in {Reason.NO_SRV, Reason.NO_TXT, Reason.NO_ADDRESS}


def test_the_records_may_come_one_by_one_in_any_order(table: LanTable) -> None:
    for record in reversed(packet()):
        table.hear([record], SENDER, START)
    assert endpoints(table) == [("https://10.0.0.2:6443",)]


def test_the_name_is_the_same_in_any_case(table: LanTable) -> None:
    table.hear(packet("Milan"), SENDER, START)
    table.hear(packet("MILAN"), SENDER, START)
    assert len(table) == 1


def test_another_service_is_not_ours(table: LanTable) -> None:
    table.hear([Service("milan._http._tcp.local.", "milan.local.", 80, TTL)], SENDER, START)
    assert len(table) == 0


@pytest.mark.parametrize(
    "address", ["169.254.1.1", "fe80::1", "fe80::1%eth0", "224.0.0.1", "0.0.0.0", "::", "no address"]
)
def test_an_address_that_means_nothing_elsewhere_is_no_endpoint(table: LanTable, address: str) -> None:
    table.hear(packet("milan", ID, address), SENDER, START)
    assert table.claims(ID, START) == []
    assert table.list(START)[0].problem == Reason.NO_ADDRESS


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_port_that_is_none_is_no_endpoint(table: LanTable, port: int) -> None:
    table.hear(packet(port=port), SENDER, START)
    assert table.claims(ID, START) == []


def test_ipv4_comes_before_ipv6_and_a_url_before_both(table: LanTable) -> None:
    table.hear(packet("milan", ID, "2001:db8::2", "10.0.0.2"), SENDER, START)
    assert endpoints(table) == [("https://10.0.0.2:6443", "https://[2001:db8::2]:6443")]
    table.hear(packet("milan", ID, "10.0.0.2", more=(b"url=https://milan.example",)), SENDER, START)
    assert endpoints(table)[0][0] == "https://milan.example"


def test_a_new_address_with_flush_replaces_the_old_one_of_its_family(table: LanTable) -> None:
    table.hear(packet("milan", ID, "10.0.0.2", "2001:db8::2"), SENDER, START)
    later = START + 5 * SECOND
    table.hear([HostAddress("milan-host.local.", "10.0.0.3", TTL, flush=True)], SENDER, later)
    (claim,) = table.claims(ID, later)
    assert claim.sighting.endpoints == ("https://10.0.0.3:6443", "https://[2001:db8::2]:6443")


def test_addresses_of_the_same_second_stay_together(table: LanTable) -> None:
    table.hear(packet("milan", ID, "10.0.0.2"), SENDER, START)
    table.hear([HostAddress("milan-host.local.", "10.0.0.3", TTL, flush=True)], SENDER, START + SECOND)
    (claim,) = table.claims(ID, START + SECOND)
    assert len(claim.sighting.endpoints) == 2


def test_news_of_a_host_is_news_of_its_clusters(table: LanTable) -> None:
    table.hear(packet("milan", ID, host="shared.local."), SENDER, START)
    table.hear(packet("turin", OTHER, host="shared.local."), SENDER, START)
    assert table.hear([HostAddress("SHARED.local.", "10.0.0.9", TTL)], SENDER, START) == {ID, OTHER}


# Goodbye and expiry.


@pytest.mark.parametrize("kind", [Pointer, Service])
def test_a_goodbye_ends_it(table: LanTable, kind: type[Pointer | Service]) -> None:
    table.hear(packet(), SENDER, START)
    gone = [r for r in packet(ttl=GOODBYE) if isinstance(r, kind)]
    assert table.hear(gone, SENDER, START) == {ID}
    assert table.claims(ID, START) == []
    assert table.said_goodbye(ID)
    table.hear(packet(), SENDER, START)
    assert not table.said_goodbye(ID)


def test_a_goodbye_of_one_of_two_is_not_the_clusters(table: LanTable) -> None:
    table.hear(packet("milan"), SENDER, START)
    table.hear(packet("fake"), "10.0.0.66", START)
    table.hear([Pointer(full("fake"), GOODBYE)], "10.0.0.66", START)
    assert not table.said_goodbye(ID)
    assert len(table.claims(ID, START)) == 1


def test_a_goodbye_of_what_is_not_there_is_nothing(table: LanTable) -> None:
    assert table.hear(packet(ttl=GOODBYE), SENDER, START) == set()
    assert len(table) == 0


def test_what_runs_out_is_no_claim_and_no_goodbye(table: LanTable) -> None:
    table.hear(packet(), SENDER, START)
    assert table.claims(ID, START + TTL) == []
    assert table.forget_old(START + TTL) == {ID}
    assert len(table) == 0
    assert not table.said_goodbye(ID)


def test_a_life_is_bounded(table: LanTable) -> None:
    table.hear(packet(ttl=timedelta(days=20_000)), SENDER, START)
    assert table.claims(ID, START)[0].until == START + TTL_MAX


def test_a_name_without_records_is_forgotten_soon(table: LanTable) -> None:
    table.hear([Pointer(full("milan"), TTL)], SENDER, START)
    table.forget_old(START + WAIT_FOR_REST - SECOND)
    assert len(table) == 1
    table.forget_old(START + WAIT_FOR_REST)
    assert len(table) == 0


def test_another_service_type_begins_anew(table: LanTable) -> None:
    table.hear(packet(), SENDER, START)
    assert table.restart("_mine._tcp.local.") == {ID}
    assert len(table) == 0
    assert table.said_goodbye(ID)


# What is asked again.


def test_what_is_incomplete_is_asked_for_a_few_times(table: LanTable) -> None:
    table.hear([Pointer(full("milan"), TTL)], SENDER, START)
    asked = [
        question.instance
        for seconds in range(8)
        for question in table.due(START + seconds * SECOND, lambda _: True, 20)
    ]
    assert asked == [full("milan")] * ASK_INCOMPLETE


def test_what_is_wanted_is_asked_again_before_it_runs_out(table: LanTable) -> None:
    table.hear(packet(), SENDER, START)
    asked = [seconds for seconds in range(119) if table.due(START + seconds * SECOND, lambda i: i == ID, 20)]
    assert len(asked) == 4
    assert asked[0] == 97


def test_what_nobody_wants_is_not_asked_again(table: LanTable) -> None:
    table.hear(packet(), SENDER, START)
    assert not any(table.due(START + s * SECOND, lambda _: False, 20) for s in range(119))


def test_the_newest_are_asked_first_and_only_so_many(table: LanTable) -> None:
    for number in range(30):
        table.hear([Pointer(full(f"n{number}"), TTL)], SENDER, START)
    assert [q.instance for q in table.due(START, lambda _: True, 2)] == [full("n29"), full("n28")]


# Bounds and shares.


def test_a_sender_has_a_share_and_pushes_out_only_his_own(table: LanTable) -> None:
    table.hear(packet(), SENDER, START)
    for number in range(PER_SENDER_MAX + 50):
        table.hear(packet(f"fake-{number}", f"{number:a>32}".replace("0", "a")), "10.0.0.66", START)
    assert len(table) == PER_SENDER_MAX + 1
    assert table.dropped == 50
    assert len(table.claims(ID, START)) == 1


def test_a_crowd_of_senders_pushes_out_the_loudest(table: LanTable) -> None:
    table.hear(packet(), SENDER, START)
    for number in range(INSTANCES_MAX * 2):
        table.hear([Pointer(full(f"fake-{number}"), TTL)], f"10.1.0.{number % 40}", START)
    assert len(table) <= INSTANCES_MAX
    assert len(table.claims(ID, START)) == 1


def test_a_host_has_only_so_many_addresses_and_a_cluster_so_many_endpoints(table: LanTable) -> None:
    many = [f"10.0.{n}.1" for n in range(ADDRESSES_MAX * 2)]
    table.hear(packet("milan", ID, *many), SENDER, START)
    assert len(endpoints(table)[0]) == min(ADDRESSES_MAX, ENDPOINTS_MAX)


def test_two_that_claim_one_id_are_told_the_first_heard_first(table: LanTable) -> None:
    table.hear(packet("milan", ID, "10.0.0.2"), SENDER, START)
    table.hear(packet("fake", ID, "10.0.0.66"), "10.0.0.66", START + SECOND)
    claims = table.claims(ID, START + SECOND)
    assert [c.sighting.instance for c in claims] == ["milan", "fake"]


def test_an_instance_that_takes_another_id_lets_the_old_one_go(table: LanTable) -> None:
    table.hear(packet("milan", ID), SENDER, START)
    assert table.hear(packet("milan", OTHER), SENDER, START) == {ID, OTHER}
    assert table.claims(ID, START) == []
    assert len(table.claims(OTHER, START)) == 1


# Whatever comes.

NAMES = st.sampled_from(
    [full("milan"), full("MILAN"), full("b.c"), full("\x00\x1b[2J"), full("é" * 60), TYPE, "x.", ""]
)
HOSTS = st.sampled_from(["a.local.", "A.local.", "", "\x00.local.", "b" * 255])
TTLS = st.sampled_from([GOODBYE, SECOND, TTL, timedelta(seconds=2**31), timedelta(seconds=2**32 - 1)])
STRINGS = st.one_of(
    st.binary(max_size=300),
    st.sampled_from(
        [
            b"id=" + ID.encode(),
            b"id=" + OTHER.encode(),
            b"namespace=liqo",
            b"v=1",
            b"v=9",
            b"url=https://x",
            b"url=\xff",
        ]
    ),
)
ADDRESSES = st.one_of(
    st.ip_addresses().map(str), st.sampled_from(["", "fe80::1%eth0", "10.0.0.2", "::ffff:10.0.0.2", "1.2.3"])
)
RECORDS = st.one_of(
    st.builds(Pointer, NAMES, TTLS),
    st.builds(Service, NAMES, HOSTS, st.integers(-1, 70_000), TTLS),
    st.builds(Text, NAMES, st.lists(STRINGS, max_size=80).map(tuple), TTLS),
    st.builds(HostAddress, HOSTS, ADDRESSES, TTLS, st.booleans()),
)
PACKETS = st.tuples(
    st.lists(RECORDS, max_size=12),
    st.sampled_from(["10.0.0.2", "10.0.0.3", "fe80::3%2"]),
    st.integers(0, 400),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(PACKETS, max_size=25))
def test_any_sequence_of_packets_keeps_every_bound_and_raises_nothing(
    packets: list[tuple[list[Record], str, int]],
) -> None:
    table, now = LanTable(TYPE), START
    for records, sender, seconds in packets:
        now += seconds * SECOND
        touched = table.hear(records, sender, now)
        for cluster_id in {ID, OTHER, *touched}:
            for claim in table.claims(cluster_id, now):
                sighting = claim.sighting
                assert sighting.cluster_id == cluster_id
                assert 0 < len(sighting.endpoints) <= ENDPOINTS_MAX
                assert sighting.instance.isprintable()
                assert now < claim.until <= now + TTL_MAX
                assert sighting.ttl <= TTL_MAX
        listings = table.list(now)
        assert all(entry.claim is not None or entry.problem for entry in listings)
        assert all(entry.instance.isprintable() and entry.message.isprintable() for entry in listings)
        assert len(table.due(now, lambda _: True, 3)) <= 3
        assert len(table) <= INSTANCES_MAX
        table.forget_old(now)
    table.forget_old(now + TTL_MAX + WAIT_FOR_REST)
    assert len(table) == 0
    assert not table.claims(ID, now)
