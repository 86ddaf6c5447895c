"""Who has a place of his own, and what strangers can have stored and called at once."""

from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.meta import Wire
from liqo.peering.places import SAME_ADDRESS_MAX, CallBacks, exceeds, has_own_place, is_listed, tenants

ID, OTHER = "a" * 32, "b" * 32


def foreign(*sources: Wire, incoming: Wire | None = None, **spec: Any) -> ForeignCluster:
    status: Wire = {"sources": list(sources)} | ({"incoming": incoming} if incoming else {})
    return ForeignCluster.parse(
        {
            "metadata": {"name": "x"},
            "spec": {"clusterID": ID, "discoveryType": "WAN", **spec},
            "status": status,
        }
    )


def source(*, authenticated: bool = True, conflict: str = "", name: str = "dns/partners") -> Wire:
    return {"name": name, "authenticated": authenticated, "conflict": conflict}


LISTED = {
    "its id": (ID, [], True),
    "another id": (OTHER, [], False),
    "a domain that proves it": ("domain:partners", [foreign(source())], True),
    "a domain that does not prove it": ("domain:partners", [foreign(source(authenticated=False))], False),
    "another domain": ("domain:others", [foreign(source())], False),
    "a domain that two claim": ("domain:partners", [foreign(source(conflict="two"))], False),
    "a LAN that is called like a domain": ("domain:lan", [foreign(source(name="lan"))], False),
    "a domain of which nothing is known": ("domain:partners", [], False),
}


@pytest.mark.parametrize("case", LISTED)
def test_a_list_names_ids_and_domains_that_prove_what_they_say(case: str) -> None:
    entry, known, listed = LISTED[case]
    assert is_listed([entry], ID, known) is listed


OWN = {
    "nobody knows it": ([], False),
    "found by a search": ([foreign(source())], False),
    "asked before, and never accepted": (
        [foreign(incoming={"lastRequest": "2026-11-23T12:00:00Z"}, discoveryType="IncomingPeering")],
        False,
    ),
    "entered by a person": ([foreign(discoveryType="Manual")], True),
    "joined": ([foreign(join=True)], True),
    "a tenant": ([foreign(incoming={"phase": "Offered"}, discoveryType="IncomingPeering")], True),
}


@pytest.mark.parametrize("case", OWN)
def test_whom_a_person_knows_takes_no_stranger_s_place(case: str) -> None:
    known, own = OWN[case]
    assert has_own_place(ID, known, ClusterConfigSpec(), invited=False) is own


def test_an_invite_a_word_and_the_allow_list_give_a_place() -> None:
    allowed = ClusterConfigSpec.parse({"peeringConfig": {"allowedClusters": [ID]}})
    word = ForeignCluster.parse(
        {
            "metadata": {"name": "x"},
            "spec": {"clusterID": ID, "discoveryType": "IncomingPeering", "incoming": "Allow"},
        }
    )
    assert has_own_place(ID, [], ClusterConfigSpec(), invited=True)
    assert has_own_place(ID, [], allowed, invited=False)
    assert has_own_place(ID, [word], ClusterConfigSpec(), invited=False)


def waiting(cluster_id: str, came: int) -> Wire:
    created = f"2026-11-23T12:00:{came:02}Z"
    metadata = {"name": f"{cluster_id}-j{came}", "creationTimestamp": created}
    return {"metadata": metadata, "spec": {"clusterID": cluster_id}}


@given(st.lists(st.sampled_from("abcdefgh"), max_size=20), st.integers(0, 6))
def test_as_many_strangers_wait_as_may_and_those_that_came_first(order: list[str], most: int) -> None:
    stored = [waiting(name * 32, came) for came, name in enumerate(order)]
    first = list(dict.fromkeys(order))
    kept = [name for name in first if not exceeds(name * 32, stored, most)]
    assert kept == first[:most]


def test_one_address_is_called_by_few_strangers_at_once() -> None:
    calls = CallBacks()
    one = frozenset({"192.0.2.1"})
    with ExitStack() as stack:
        for number in range(SAME_ADDRESS_MAX):
            assert stack.enter_context(calls.place(f"r{number}", one, most=16))
        assert not stack.enter_context(calls.place("late", one | {"192.0.2.2"}, most=16))
        assert stack.enter_context(calls.place("elsewhere", frozenset({"192.0.2.2"}), most=16))
    with calls.place("late", one, most=16) as free:
        assert free


def test_as_many_are_called_back_as_may_become_tenants() -> None:
    calls = CallBacks()
    with calls.place("a", frozenset({"192.0.2.1"}), most=1) as first:
        assert first
        with calls.place("b", frozenset({"192.0.2.2"}), most=1) as second:
            assert not second
    with calls.place("b", frozenset({"192.0.2.2"}), most=0) as third:
        assert not third


def test_whoever_was_accepted_counts_before_he_has_a_namespace() -> None:
    namespace = {"metadata": {"name": "n", "labels": {"liqo.io/cluster-id": OTHER}}}
    assert tenants([namespace], [{"spec": {"clusterID": ID}}]) == {ID, OTHER}
