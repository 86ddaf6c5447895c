"""What the recorder of the fault tests calls wrong."""

import pytest

from recorder import ran_twice

FIRST, OTHER = "ADDED shop/a 1 home-a", "ADDED shop/b 2 home-b"


@pytest.mark.parametrize(
    "lines",
    [
        [FIRST, "MODIFIED shop/a 1 home-a", FIRST, OTHER, "DELETED shop/a 1 home-a"],
        [FIRST, "DELETED shop/a 1 home-a", "ADDED shop/a 3 home-c"],
        [FIRST, "ADDED shop/a 3 home-c"],
        ["ADDED default/own 4", "DELETED default/own 4", "ADDED default/own 5"],
    ],
)
def test_pods_that_ran_once_are_not_wrong(lines: list[str]) -> None:
    assert ran_twice(lines) == []


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ([FIRST, "ADDED other/a 3 home-a"], "beside another for home-a"),
        ([FIRST, "DELETED shop/a 1 home-a", "ADDED shop/a 3 home-a"], "again for home-a"),
        ([FIRST, "ADDED shop/a 3 home-a"], "again for home-a"),
    ],
)
def test_a_pod_that_ran_twice_is_wrong(lines: list[str], what: str) -> None:
    (said,) = ran_twice(lines)
    assert what in said
