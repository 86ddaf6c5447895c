"""What an outgoing peering does next, as a table."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from liqo.api.advertisement import Advertisement
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.names import OUTGOING_FINALIZER
from liqo.peering.outgoing import ANSWER_WITHIN, APART, ASK_AGAIN_FIRST, ASK_AGAIN_MOST, Move, Seen, decide
from liqo.peering.tokens import LIFETIME
from liqo.runtime.ports import Cluster, Health, Session

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ID = "a" * 32
HOME = "b" * 32
HELD = [OUTGOING_FINALIZER]


def at(ago: timedelta) -> str:
    return (NOW - ago).isoformat()


def foreign(
    *,
    spec: dict[str, Any] | None = None,
    outgoing: dict[str, Any] | None = None,
    conditions: list[dict[str, Any]] | None = None,
    **metadata: Any,
) -> ForeignCluster:
    return ForeignCluster.parse(
        {
            "metadata": {
                "name": "milan",
                "generation": 1,
                "creationTimestamp": at(timedelta(hours=1)),
                **metadata,
            },
            "spec": {"clusterID": ID, "apiUrl": "https://10.0.0.2:6443", "join": True, **(spec or {})},
            "status": {
                **({"outgoing": outgoing} if outgoing is not None else {}),
                "conditions": conditions or [],
            },
        }
    )


def requested(**changes: Any) -> dict[str, Any]:
    return {
        "phase": "Requested",
        "jti": "j1",
        "requestedAt": at(timedelta(seconds=1)),
        "tokenDigest": "d1",
        "tokenRenews": (NOW + LIFETIME * 2 / 3).isoformat(),
        "tokenExpires": (NOW + LIFETIME).isoformat(),
        **changes,
    }


def offer(*, answers: str = "j1", status: dict[str, Any] | None = None, **spec: Any) -> Advertisement:
    return Advertisement.parse(
        {
            "metadata": {"name": ID, "namespace": "liqo", "uid": "u"},
            "spec": {
                "protocol": 1,
                "clusterID": ID,
                "clusterName": "milan",
                "phase": "Offered",
                "answers": answers,
                "kubeConfig": "sealed",
                **spec,
            },
            "status": status or {},
        }
    )


ACCEPTED = {"phase": "Accepted", "answers": "j1", "reason": "OfferAccepted"}


def session(health: Health, since: timedelta = timedelta(seconds=1), reason: str = "") -> Session:
    nobody: Cluster = None  # type: ignore[assignment]  # decide never calls it
    return Session(
        cluster=nobody,
        namespace="liqo-tenant",
        server="https://10.0.0.2:6443",
        health=health,
        since=NOW - since,
        heard=NOW,
        failures=0,
        reason=reason,
    )


def undelivered(*, failing: timedelta, asked: timedelta) -> ForeignCluster:
    """Return one whose requests have not got through for so long, the last of them that long ago."""
    told = {
        "type": "Requested",
        "status": "False",
        "reason": "Unreachable",
        "lastTransitionTime": at(failing),
    }
    return foreign(outgoing=requested(phase="Requesting", requestedAt=at(asked)), conditions=[told])


def seen(fc: ForeignCluster, **changes: Any) -> Seen:
    fields: dict[str, Any] = {
        "foreign": fc,
        "counts": "milan",
        "home_id": HOME,
        "server": "https://10.0.0.1:6443",
        "advertisement": None,
        "session": None,
        "node_there": False,
        **changes,
    }
    return Seen(**fields)


def established(**changes: Any) -> Seen:
    """Return a peering that stands."""
    outgoing = requested(phase="Established", **changes)
    return seen(foreign(outgoing=outgoing, finalizers=HELD), advertisement=offer(status=ACCEPTED))


def replaced(*, asked: timedelta, **metadata: Any) -> Seen:
    """Return one whose cluster has another identity now, told that long ago."""
    outgoing = requested(phase="Refused", requestedAt=at(asked), refusedGeneration=1)
    told = {"type": "IdentityVerified", "status": "False", "reason": "IdentityReplaced"}
    return seen(foreign(outgoing=outgoing, conditions=[told], **metadata))


PENDING = [
    {
        "type": "Accepted",
        "status": "Unknown",
        "reason": "Pending",
        "lastTransitionTime": at(timedelta(hours=1)),
    }
]

MOVES = {
    "we were this cluster already": (established(askedAs=HOME), Move.REST),
    "we were another cluster": (established(askedAs="c" * 32), Move.END),
    "our address is another now": (replace(established(access="a"), access="b"), Move.ASK),
    "a legacy id that shows another CA is met again": (
        replace(established(requestedAt=at(ASK_AGAIN_FIRST)), changed=True, unusable="another CA"),
        Move.ASK,
    ),
    "but not as fast as it can be met": (
        replace(established(), changed=True, unusable="another CA"),
        Move.REST,
    ),
    "foreign's account here was deleted": (replace(established(), account_there=False), Move.ASK),
    "foreign has another key to seal to": (
        replace(established(sealedTo="k1"), advertisement=offer(status=ACCEPTED, sealingKey="k2")),
        Move.HAND_OVER,
    ),
    "foreign has the key that we sealed to": (
        replace(established(sealedTo="k1"), advertisement=offer(status=ACCEPTED, sealingKey="k1")),
        Move.REST,
    ),
    "our address is the same": (replace(established(access="a"), access="a"), Move.REST),
    "a CA that has just become another is waited for": (
        replace(established(), session=session(Health.AWAY, reason="CANotTrusted")),
        Move.REST,
    ),
    "a CA that stays another is asked about": (
        replace(established(), session=session(Health.AWAY, timedelta(minutes=1), "CANotTrusted")),
        Move.ASK,
    ),
    "one that is only away is not": (
        replace(established(), session=session(Health.AWAY, timedelta(hours=1), "Unreachable")),
        Move.REST,
    ),
    "what a replaced one had goes first": (replaced(asked=ASK_AGAIN_MOST, finalizers=HELD), Move.REFUSED),
    "a replaced one is left alone for a while": (replaced(asked=timedelta(minutes=1)), Move.REST),
    "and then looked at again": (replaced(asked=ASK_AGAIN_MOST), Move.ASK),
    "a cluster that was only found costs nothing": (seen(foreign(spec={"join": False})), Move.REST),
    "a join without an id asks who is there": (
        seen(foreign(spec={"clusterID": None})),
        Move.LEARN,
    ),
    "a join begins with a request": (seen(foreign()), Move.ASK),
    "our own cluster is refused": (seen(foreign(spec={"clusterID": HOME})), Move.REST),
    "another ForeignCluster counts, nothing is asked": (seen(foreign(), counts="older"), Move.REST),
    "another one counts, ours is ended": (seen(foreign(finalizers=HELD), counts="older"), Move.END),
    "killed between intent and request: ask again": (
        seen(foreign(outgoing=requested(phase="Requesting", requestedAt=at(APART)))),
        Move.ASK,
    ),
    "but never twice within a moment": (
        seen(foreign(outgoing=requested(phase="Requesting"))),
        Move.REST,
    ),
    "a request has not got through for a minute: ask again after another": (
        seen(undelivered(failing=timedelta(seconds=119), asked=timedelta(seconds=59))),
        Move.REST,
    ),
    "and then": (
        seen(undelivered(failing=timedelta(seconds=120), asked=timedelta(seconds=60))),
        Move.ASK,
    ),
    "a request has not got through for a day": (
        seen(undelivered(failing=timedelta(days=1), asked=ASK_AGAIN_MOST)),
        Move.ASK,
    ),
    "a request is out, wait": (seen(foreign(outgoing=requested())), Move.REST),
    "no answer for long: ask again": (
        seen(foreign(outgoing=requested(requestedAt=at(ASK_AGAIN_FIRST)))),
        Move.ASK,
    ),
    "a person has to decide over there: no hurry": (
        seen(foreign(outgoing=requested(requestedAt=at(timedelta(hours=2))), conditions=PENDING)),
        Move.REST,
    ),
    "a person has not decided and our token ages: ask again": (
        seen(foreign(outgoing=requested(tokenRenews=NOW.isoformat()), conditions=PENDING)),
        Move.ASK,
    ),
    "an offer that answers an older request is none": (
        seen(foreign(outgoing=requested()), advertisement=offer(answers="j0")),
        Move.REST,
    ),
    "foreign refused": (
        seen(foreign(outgoing=requested()), advertisement=offer(phase="Refused", reason="Denied")),
        Move.REFUSED,
    ),
    "foreign ended it": (
        seen(foreign(outgoing=requested()), advertisement=offer(phase="Ending", reason="Denied")),
        Move.REFUSED,
    ),
    "refused stays refused": (
        seen(foreign(outgoing={"phase": "Refused", "jti": "j1", "refusedGeneration": 1})),
        Move.REST,
    ),
    "refused, and our part is not cleared yet": (
        seen(foreign(outgoing={"phase": "Refused", "jti": "j1", "refusedGeneration": 1}, finalizers=HELD)),
        Move.REFUSED,
    ),
    "refused, then a person changed spec": (
        seen(foreign(outgoing={"phase": "Refused", "jti": "j1", "refusedGeneration": 1}, generation=2)),
        Move.ASK,
    ),
    "accepted": (
        seen(foreign(outgoing=requested()), advertisement=offer(status=ACCEPTED)),
        Move.REST,
    ),
    "our token is two thirds through": (
        seen(
            foreign(outgoing=requested(tokenRenews=NOW.isoformat())),
            advertisement=offer(status=ACCEPTED, tokenSeen="d1"),
        ),
        Move.HAND_OVER,
    ),
    "our token nears its end and nobody acknowledged it": (
        seen(
            foreign(
                outgoing=requested(
                    tokenRenews=at(LIFETIME / 6), tokenExpires=(NOW + LIFETIME / 7).isoformat()
                )
            ),
            advertisement=offer(status=ACCEPTED, tokenSeen="d0"),
        ),
        Move.ASK,
    ),
    "their token ended": (
        seen(
            foreign(outgoing=requested()),
            advertisement=offer(status=ACCEPTED),
            session=session(Health.EXPIRED),
        ),
        Move.ASK,
    ),
    "they refuse our token just now": (
        seen(
            foreign(outgoing=requested()),
            advertisement=offer(status=ACCEPTED),
            session=session(Health.REFUSED),
        ),
        Move.REST,
    ),
    "they refuse our token for a minute": (
        seen(
            foreign(outgoing=requested()),
            advertisement=offer(status=ACCEPTED),
            session=session(Health.REFUSED, timedelta(seconds=60)),
        ),
        Move.ASK,
    ),
    "they are away: nothing is torn down": (
        seen(
            foreign(outgoing=requested()),
            advertisement=offer(status=ACCEPTED),
            session=session(Health.AWAY, timedelta(hours=5)),
        ),
        Move.REST,
    ),
    "unjoin": (seen(foreign(spec={"join": False}, outgoing=requested(), finalizers=HELD)), Move.END),
    "deleted": (
        seen(foreign(outgoing=requested(), finalizers=HELD, deletionTimestamp=NOW.isoformat())),
        Move.END,
    ),
}


@pytest.mark.parametrize("sentence", MOVES)
def test_the_next_move(sentence: str) -> None:
    observed, expected = MOVES[sentence]
    assert decide(observed, NOW).move is expected


def test_an_answered_request_that_is_accepted_is_established_and_its_credentials_are_used() -> None:
    decision = decide(seen(foreign(outgoing=requested()), advertisement=offer(status=ACCEPTED)), NOW)
    assert (decision.phase, decision.use_offer) == ("Established", True)


@pytest.mark.parametrize("phase", ["Refused", None])
def test_what_is_no_longer_joined_leaves_nothing_to_be_read(phase: str | None) -> None:
    told = [{"type": "Requested", "status": "False", "reason": "RequestRefused"}]
    left = foreign(spec={"join": False}, outgoing=requested(phase=phase), conditions=told)
    assert decide(seen(left), NOW).forget is (phase is not None)


def test_a_stale_offer_is_to_be_removed() -> None:
    decision = decide(seen(foreign(outgoing=requested()), advertisement=offer(answers="j0")), NOW)
    assert decision.stale_offer


def test_silence_names_our_own_address() -> None:
    waiting = foreign(outgoing=requested(requestedAt=at(ANSWER_WITHIN)))
    decision = decide(seen(waiting), NOW)
    (condition,) = decision.conditions
    assert condition.reason == "NoAnswer"
    assert "https://10.0.0.1:6443" in condition.message


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ((), ""),
        (("kubernetes", "10.0.0.1"), ""),
        (
            ("kubernetes", "10.96.0.1"),
            "is not for 10.0.0.1, so that who does not take our CA from us refuses it",
        ),
        (("kubernetes", "10.96.0.1"), "it is for kubernetes, 10.96.0.1."),
    ],
)
def test_silence_names_what_our_certificate_is_for_where_it_is_not_for_our_address(
    names: tuple[str, ...], told: str
) -> None:
    waiting = foreign(outgoing=requested(requestedAt=at(ANSWER_WITHIN)))
    (condition,) = decide(replace(seen(waiting), certificate_names=names), NOW).conditions
    assert told in condition.message
    assert ("certificate" in condition.message) is bool(told)


def test_the_waits_between_requests_double_up_to_a_bound() -> None:
    def wait(silent: timedelta) -> timedelta:
        asked = NOW - timedelta(seconds=10)
        no_answer = {
            "type": "Accepted",
            "status": "Unknown",
            "reason": "NoAnswer",
            "lastTransitionTime": (asked - silent).isoformat(),
        }
        waiting = foreign(outgoing=requested(requestedAt=asked.isoformat()), conditions=[no_answer])
        found = decide(seen(waiting), NOW).wake
        assert found is not None
        return found + timedelta(seconds=10)

    assert wait(timedelta(0)) == ASK_AGAIN_FIRST
    assert wait(timedelta(seconds=60)) == timedelta(seconds=60)
    assert wait(timedelta(hours=5)) == ASK_AGAIN_MOST


def test_a_duplicate_says_which_one_counts() -> None:
    decision = decide(seen(foreign(), counts="older"), NOW)
    (condition,) = decision.conditions
    assert condition.reason == "DuplicateClusterID"
    assert "older" in condition.message
