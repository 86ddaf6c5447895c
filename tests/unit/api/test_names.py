"""Names that are made of what others chose."""

import re

from hypothesis import given
from hypothesis import strategies as st

from liqo.api.bounds import DNS_LABEL
from liqo.api.names import remote_namespace

OURS = "abcdefghijklmnopqrstuvwxyz234567"
LEGACY = "7fd0c2f1-2b3a-4c5d-8e9f-0a1b2c3d4e5f"
NAMES = st.from_regex(DNS_LABEL.replace("*", "{0,61}"), fullmatch=True).filter(lambda n: len(n) <= 63)


def test_a_namespace_abroad_is_named_by_home_s_and_its_cluster() -> None:
    assert remote_namespace("shop", OURS) == f"shop-{OURS}"


@given(NAMES, st.sampled_from([OURS, LEGACY]))
def test_it_is_a_dns_label_that_ends_in_the_id(name: str, home_id: str) -> None:
    found = remote_namespace(name, home_id)
    assert len(found) <= 63
    assert re.fullmatch(DNS_LABEL, found)
    assert found.endswith(f"-{home_id}")


def test_two_long_names_with_one_beginning_stay_two() -> None:
    assert remote_namespace("a" * 62 + "b", OURS) != remote_namespace("a" * 62 + "c", OURS)
