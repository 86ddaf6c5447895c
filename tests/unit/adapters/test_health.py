"""What the answers of another cluster add up to, as a table."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from liqo.adapters.health import Tally
from liqo.errors import Absent, Fault, Forbidden, NotTrusted, Unauthorized, Unreachable
from liqo.runtime.ports import Health

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
END = START + timedelta(hours=1)
GOOD = None
AWAY, NO, GONE = Unreachable("no route"), Forbidden("no"), Unauthorized("who?")

LINE = "a line of a watch"

CASES: dict[str, tuple[Sequence[tuple[int, Fault | str | None]], Health]] = {
    "nothing heard yet": ([], Health.AWAY),
    "a good answer": ([(0, GOOD)], Health.READY),
    "not there is an answer too": ([(0, Absent("?"))], Health.READY),
    "one miss is none": ([(0, GOOD), (1, AWAY)], Health.READY),
    "three misses in a row": ([(0, GOOD), (1, AWAY), (2, AWAY), (3, AWAY)], Health.AWAY),
    "a good answer between misses": ([(0, AWAY), (1, AWAY), (2, GOOD), (3, AWAY)], Health.READY),
    "back after being away": ([(0, AWAY), (1, AWAY), (2, AWAY), (3, GOOD)], Health.READY),
    "refused once": ([(0, GOOD), (1, NO)], Health.READY),
    "refused twice at once": ([(0, GOOD), (1, NO), (2, NO)], Health.READY),
    "refused twice, ten seconds apart": ([(0, GOOD), (1, NO), (11, GONE)], Health.REFUSED),
    "refused after the token's end": ([(0, GOOD), (3600, GONE)], Health.EXPIRED),
    "a line of a watch that was opened before": ([(0, AWAY), (1, AWAY), (2, AWAY), (3, LINE)], Health.READY),
    "such a line between two refusals": ([(0, GOOD), (1, NO), (5, LINE), (11, GONE)], Health.REFUSED),
    "such a line after refusals": ([(0, GOOD), (1, NO), (11, GONE), (60, LINE)], Health.REFUSED),
    "such a line after the token's end": ([(0, GOOD), (3600, GONE), (3660, LINE)], Health.EXPIRED),
    "a good answer after refusals": ([(0, GOOD), (1, NO), (11, GONE), (60, GOOD)], Health.READY),
    "a certificate that does not verify any more": (
        [(0, GOOD), *((n, NotTrusted("bad certificate", reason="CANotTrusted")) for n in (1, 2, 3))],
        Health.AWAY,
    ),
}


@pytest.mark.parametrize("sentence", CASES)
def test_health(sentence: str) -> None:
    answers, expected = CASES[sentence]
    tally = Tally(expires=END, made=START)
    last = 0
    for seconds, answer in answers:
        now = START + timedelta(seconds=seconds)
        if isinstance(answer, str):
            tally.alive(now)
        else:
            tally.note(answer, now)
        last = seconds
    assert tally.health(START + timedelta(seconds=last)) is expected


def test_only_a_change_is_told() -> None:
    tally = Tally(expires=END, made=START)
    assert tally.note(GOOD, START)
    assert not tally.note(GOOD, START)
    assert tally.note(AWAY, START)
    assert not tally.note(AWAY, START)
    assert tally.note(AWAY, START)
