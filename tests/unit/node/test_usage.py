"""Counters made of rates, and the page that says them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqo.api.quantity import UNIT
from liqo.node.usage import (
    BYTES_MAX,
    CORES_MAX,
    NANOS_MIN,
    Counters,
    Name,
    Usage,
    advance,
    format_counters,
    parse_usage,
)

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
MIB = 2**20
WEB, DB = ("shop", "web-1", "main"), ("shop", "db-1", "main")


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def told(
    cpu: str = "500m", memory: str = "64Mi", *, pod: str = "web-1", name: str = "main"
) -> dict[str, Any]:
    usage = {"cpu": cpu, "memory": memory}
    return {"metadata": {"name": pod}, "containers": [{"name": name, "usage": usage}]}


def test_usage_is_read_of_the_containers_that_are_ours() -> None:
    items = [told(), told(pod="stranger"), told(name="stranger"), told("12345678n", "3Ki", pod="db-1")]
    found = parse_usage(items, "shop", lambda pod, name: "stranger" not in (pod, name))
    assert found == {WEB: Usage(UNIT // 2, 64 * MIB), DB: Usage(12_345_678, 3072)}


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"metadata": "web-1"},
        {"metadata": {"name": "web-1"}, "containers": "main"},
        {"metadata": {"name": "web-1"}, "containers": ["main"]},
        {
            "metadata": {"name": ["web-1"]},
            "containers": [{"name": "main", "usage": {"cpu": "1", "memory": "1"}}],
        },
        {"metadata": {"name": "web-1"}, "containers": [{"name": "main"}]},
        told("NaN"),
        told(memory="plenty"),
        {"metadata": {"name": "web-1"}, "containers": [{"name": "main", "usage": {"cpu": "1"}}]},
    ],
)
def test_what_makes_no_sense_is_left_out_and_the_rest_counts(item: dict[str, Any]) -> None:
    found = parse_usage([item, told(pod="db-1")], "shop", lambda _pod, _name: True)
    assert found.keys() == {DB}


def test_what_nobody_can_use_is_bounded() -> None:
    (most,) = parse_usage([told("9E", "9E")], "shop", lambda _pod, _name: True).values()
    assert most == Usage(CORES_MAX, BYTES_MAX)
    (least,) = parse_usage([told("-5", "-5")], "shop", lambda _pod, _name: True).values()
    assert least == Usage(0, 0)


def test_two_answers_make_the_rate_that_was_told() -> None:
    first = advance(None, {WEB: Usage(UNIT, MIB)}, START)
    second = advance(first, {WEB: Usage(UNIT // 4, 2 * MIB)}, after(15))
    assert rate(first, second, WEB) == 0.25
    assert second.containers[WEB].bytes == 2 * MIB
    assert second.containers[WEB].since == START


def test_a_container_that_was_away_begins_anew() -> None:
    first = advance(None, {WEB: Usage(UNIT, MIB)}, START)
    gone = advance(first, {}, after(15))
    back = advance(gone, {WEB: Usage(UNIT, MIB)}, after(30))
    assert (back.containers[WEB].since, back.containers[WEB].nanos) == (after(30), NANOS_MIN)
    assert back.node.since == START


def test_the_node_uses_what_its_containers_use() -> None:
    used = {WEB: Usage(UNIT, MIB), DB: Usage(2 * UNIT, 3 * MIB)}
    both = advance(advance(None, used, START), used, after(10))
    assert both.node.nanos == NANOS_MIN + 30 * UNIT
    assert both.node.bytes == 4 * MIB


def test_nothing_used_is_still_told_for_a_zero_would_be_taken_for_missing() -> None:
    idle = {WEB: Usage(0, 0)}
    page = format_counters(advance(advance(None, idle, START), idle, after(10)))
    values = [float(line.split()[1]) for line in page.splitlines() if not line.startswith("#")]
    assert len(values) == 5
    assert all(value > 0 for value in values)


def test_the_page_is_that_of_a_kubelet() -> None:
    used = {WEB: Usage(UNIT // 2, 64 * MIB)}
    at = int(after(15).timestamp() * 1000)
    labels = '{container="main",namespace="shop",pod="web-1"}'
    assert format_counters(advance(advance(None, used, START), used, after(15))) == (
        "# TYPE container_cpu_usage_seconds_total counter\n"
        f"container_cpu_usage_seconds_total{labels} 7.500001000 {at}\n"
        "# TYPE container_memory_working_set_bytes gauge\n"
        f"container_memory_working_set_bytes{labels} {64 * MIB} {at}\n"
        "# TYPE container_start_time_seconds gauge\n"
        f"container_start_time_seconds{labels} {START.timestamp():.3f} {at}\n"
        "# TYPE node_cpu_usage_seconds_total counter\n"
        f"node_cpu_usage_seconds_total 7.500001000 {at}\n"
        "# TYPE node_memory_working_set_bytes gauge\n"
        f"node_memory_working_set_bytes {64 * MIB} {at}\n"
    )


USAGES = st.builds(Usage, st.integers(0, CORES_MAX), st.integers(0, BYTES_MAX))
ANSWERS = st.dictionaries(st.sampled_from([WEB, DB]), USAGES)
STEPS = st.lists(st.tuples(st.integers(-20, 120), ANSWERS), min_size=1, max_size=12)


@given(STEPS)
def test_whatever_is_told_and_however_the_clock_goes_no_counter_falls_but_by_beginning_anew(
    steps: Sequence[tuple[int, dict[Name, Usage]]],
) -> None:
    before: Counters | None = None
    now = START
    for seconds, used in steps:
        now += timedelta(seconds=seconds)
        fresh = advance(before, used, now)
        assert fresh.containers.keys() == used.keys()
        if before is not None:
            assert fresh.node.nanos >= before.node.nanos
            for name in fresh.containers.keys() & before.containers.keys():
                assert fresh.containers[name].nanos >= before.containers[name].nanos
                assert fresh.containers[name].since == before.containers[name].since
                if seconds > 0:
                    assert rate(before, fresh, name) == pytest.approx(used[name].nanocores / UNIT, abs=1e-3)
        before = fresh


def rate(before: Counters, after: Counters, name: Name) -> float:
    """Return the cores that metrics-server makes of two pages."""
    nanos = after.containers[name].nanos - before.containers[name].nanos
    return nanos / UNIT / (after.at - before.at).total_seconds()
