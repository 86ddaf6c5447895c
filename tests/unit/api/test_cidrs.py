"""Pod networks, told and believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqo.api.cidrs import believed_cidrs, is_inside, own_cidrs


def test_what_a_cluster_tells_is_as_short_as_can_be() -> None:
    nodes = [{"spec": {"podCIDRs": [f"10.1.{n}.0/24", f"fd00:{n}::/64"]}} for n in range(2)]
    assert own_cidrs([*nodes, {"spec": {}}, {}]) == ["10.1.0.0/23", "fd00::/64", "fd00:1::/64"]


@pytest.mark.parametrize(
    "told",
    [
        "127.0.0.0/8",
        "169.254.0.0/16",
        "0.0.0.0/0",
        "224.0.0.0/8",
        "10.0.0.0/7",
        "10.1.0.0/16",  # our own pods
        "192.168.0.0/16",  # one of our nodes is there
        "::/0",
        "no network",
    ],
)
def test_what_would_lead_somewhere_else_is_not_believed(told: str) -> None:
    assert believed_cidrs([told, "10.2.0.0/16"], ["10.1.0.0/16", "192.168.0.7"]) == ["10.2.0.0/16"]


def test_an_address_is_inside_or_not() -> None:
    assert is_inside("10.2.0.9", ["10.1.0.0/16", "10.2.0.0/16"])
    assert not is_inside("10.3.0.9", ["10.1.0.0/16", "fd00::/8"])
    assert not is_inside("nonsense", ["10.1.0.0/16"])


@given(st.lists(st.text(max_size=50), max_size=5))
def test_any_text_is_survived(told: list[str]) -> None:
    assert isinstance(believed_cidrs(told, told), list)
