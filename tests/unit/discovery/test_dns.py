"""The pure parts of DNS discovery: what servers a setting names, the order of SRV records, what a TXT record says."""

from collections import Counter
from contextlib import suppress

import dns.flags
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqo.adapters.dns import encode_domain
from liqo.adapters.dns_address import Address, parse_servers
from liqo.adapters.dns_message import Question, Silent, read
from liqo.api.reasons import Reason
from liqo.discovery.announcement import Announcement, forge_announcement, parse_announcement, show
from liqo.discovery.dns import Draw, Service, Type, draws, order, shuffle
from liqo.errors import Invalid, Malformed

ID = "a" * 32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8.8.8.8:53", [Address("dns", "8.8.8.8", 53)]),
        ("8.8.8.8", [Address("dns", "8.8.8.8", 53)]),
        ("[2001:db8::1]:5353", [Address("dns", "2001:db8::1", 5353)]),
        ("192.0.2.1, 192.0.2.2:54", [Address("dns", "192.0.2.1", 53), Address("dns", "192.0.2.2", 54)]),
        ("tls://9.9.9.9#dns.quad9.net", [Address("tls", "9.9.9.9", 853, name="dns.quad9.net")]),
        (
            "https://dns.example/dns-query",
            [Address("https", "dns.example", 443, url="https://dns.example/dns-query")],
        ),
    ],
)
def test_what_a_setting_names(text: str, expected: list[Address]) -> None:
    assert parse_servers(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "dns.example", "ftp://8.8.8.8", "8.8.8.8:99999", "tls://dns.example", "u:p@8.8.8.8", "8.8.8.8/x"],
)
def test_what_names_no_server(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_servers(text)
    assert refused.value.reason == Reason.BAD_SERVER
    assert "8.8.8.8:53" in refused.value.hint


@given(st.text(max_size=100))
def test_any_setting_is_read_or_refused(text: str) -> None:
    try:
        found = parse_servers(text)
    except Invalid:
        return
    assert all(a.host for a in found)


@pytest.mark.parametrize(
    ("text", "ascii_form"),
    [
        ("MyDomain.com", "mydomain.com"),
        ("mydomain.com.", "mydomain.com"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
    ],
)
def test_a_domain_in_ascii(text: str, ascii_form: str) -> None:
    assert encode_domain(text) == ascii_form


@pytest.mark.parametrize("text", ["", ".", "a..b", "x" * 64, "a b.example", "-☃-.example\u200d"])
def test_no_domain(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        encode_domain(text)
    assert refused.value.reason == Reason.BAD_DOMAIN


@given(st.text(max_size=300))
def test_any_domain_is_encoded_or_refused(text: str) -> None:
    with suppress(Invalid):
        assert encode_domain(text).isascii()


SERVICES = st.builds(
    Service,
    st.integers(0, 3),
    st.integers(0, 65_535),
    st.integers(1, 65_535),
    st.sampled_from(["a", "b", "c"]),
)


@given(st.lists(SERVICES, max_size=20), st.text(max_size=5))
def test_the_order_keeps_all_and_follows_priority(services: list[Service], seed: str) -> None:
    found = order(services, draws(seed))
    assert Counter(found) == Counter(set(services))
    assert [s.priority for s in found] == sorted(s.priority for s in found)
    assert found == order(list(reversed(services)), draws(seed))


def drawn(*numbers: int) -> Draw:
    """Return chance that is none: these numbers, one after another."""
    left = list(numbers)

    def draw(most: int) -> int:
        assert 0 <= left[0] <= most
        return left.pop(0)

    return draw


A, B, C = Service(0, 1, 1, "a"), Service(0, 2, 1, "b"), Service(0, 3, 1, "c")
ZERO, NULL = Service(0, 0, 1, "zero"), Service(0, 0, 1, "null")


@pytest.mark.parametrize(
    ("services", "numbers", "expected"),
    [
        # The running sums of a, b and c are 1, 3 and 6: the first that is beyond the number drawn counts.
        ([A, B, C], (0, 0, 0), [A, B, C]),
        ([A, B, C], (1, 0, 0), [B, A, C]),
        ([A, B, C], (2, 3, 0), [B, C, A]),
        ([A, B, C], (3, 1, 0), [C, B, A]),
        ([A, B, C], (5, 2, 0), [C, B, A]),
        # Weight 0 is taken only if 0 is drawn; among several of those, a second number decides.
        ([A, ZERO], (1, 0, 0), [A, ZERO]),
        ([A, ZERO], (0, 0, 0), [ZERO, A]),
        ([A, ZERO, NULL], (0, 1, 0, 0, 0), [ZERO, NULL, A]),
        ([ZERO, NULL], (0, 0, 0, 0), [NULL, ZERO]),
        ([ZERO, NULL], (0, 1, 0, 0), [ZERO, NULL]),
    ],
)
def test_the_numbers_drawn_give_the_order_of_rfc_2782(
    services: list[Service], numbers: tuple[int, ...], expected: list[Service]
) -> None:
    assert order(services, drawn(*numbers)) == expected


def first(services: list[Service]) -> Counter[str]:
    """Return which server is tried first by how many of a thousand clusters."""
    return Counter(order(services, draws(f"cluster {n}"))[0].target for n in range(1_000))


def test_weights_spread_clusters_over_servers() -> None:
    spread = first([Service(0, 90, 1, "heavy"), Service(0, 10, 1, "light")])
    assert 850 < spread["heavy"] < 950


def test_equal_weights_spread_clusters_evenly_be_they_0() -> None:
    for weight in (0, 1, 100, 65_535):
        spread = first([Service(0, weight, 1, name) for name in "abcd"])
        assert all(200 < spread[name] < 300 for name in "abcd"), weight


def test_weight_0_comes_first_for_few() -> None:
    spread = first([Service(0, 100, 1, "some"), Service(0, 0, 1, "none")])
    assert 0 < spread["none"] < 30  # 1 of 101


def test_one_cluster_keeps_its_order() -> None:
    services = [Service(0, 0, 1, name) for name in "abcdefgh"]
    assert order(services, draws("x")) == order(services, draws("x"))


@given(st.lists(st.ip_addresses(v=4).map(str), unique=True), st.integers(0, 20))
def test_addresses_that_a_server_turns_keep_their_order(addresses: list[str], turn: int) -> None:
    turned = addresses[turn:] + addresses[:turn]
    found = shuffle(turned, draws("seed"))
    assert found == shuffle(addresses, draws("seed"))
    assert sorted(found) == sorted(addresses)


def test_addresses_spread_clusters_evenly() -> None:
    first = Counter(shuffle(["192.0.2.1", "192.0.2.2"], draws(f"{n}"))[0] for n in range(1_000))
    assert 400 < first["192.0.2.1"] < 600


@given(st.binary(max_size=600))
def test_any_datagram_is_read_or_refused(data: bytes) -> None:
    with suppress(Silent):
        read(data, Question.of("x.example", "PTR"))


@pytest.mark.parametrize("kind", list(Type))
def test_a_question_is_what_dnspython_would_send(kind: Type) -> None:
    theirs = dns.message.make_query("a-b.x.example", kind, use_edns=0, payload=1232, id=7)
    theirs.flags |= dns.flags.AD
    assert Question.of("a-b.x.example", kind).numbered(7) == theirs.to_wire()


@given(st.lists(st.binary(max_size=300), max_size=80))
def test_any_txt_record_is_read_or_refused(strings: list[bytes]) -> None:
    told = ""
    try:
        assert len(parse_announcement(strings).cluster_id) in {32, 36}
    except Malformed as fault:
        told = fault.message
    assert told.isascii()


NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


@given(NAMES, st.booleans(), st.sampled_from(["", "https://a.example:6443"]))
def test_what_is_written_is_read_again(namespace: str, untrusted: bool, url: str) -> None:
    said = Announcement(cluster_id=ID, namespace=namespace, untrusted_ca=untrusted, url=url)
    strings = [f"{key}={value}".encode() for key, value in forge_announcement(said)]
    assert parse_announcement(strings) == said
    assert parse_announcement(reversed(strings)) == said


@given(st.text())
def test_what_is_shown_is_short_and_plain(text: str) -> None:
    shown = show(text)
    assert len(shown) <= 64
    assert shown.isascii()
    assert shown.isprintable() or not shown
