"""What an incoming peering does next, and what the policy says, as tables."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.federation_request import FederationRequest
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.reasons import Reason
from liqo.peering.incoming import Answer, Asked, Move, Seen, Verdict, decide, judge

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ID = "a" * 32
DAY = timedelta(days=1)
ACCEPT = Verdict(Answer.ACCEPT, Reason.POLICY)
MANUAL = Verdict(Answer.MANUAL, Reason.WAITING_FOR_PERSON)
DENY = Verdict(Answer.DENY, Reason.DENIED)


def asked(jti: str, ago: timedelta = timedelta(seconds=1), *, withdraw: bool = False) -> Asked:
    spec: dict[str, Any] = {
        "protocol": 1,
        "clusterID": ID,
        "clusterName": "rome",
        "namespace": "liqo",
        "keys": {"keys": []},
        "proof": "p",
    }
    spec |= {"withdraw": True} if withdraw else {"kubeConfig": "sealed"}
    wire = {
        "metadata": {
            "name": f"{ID}-{jti}",
            "namespace": "liqo",
            "creationTimestamp": (NOW - ago).isoformat(),
        },
        "spec": spec,
    }
    return Asked(request=FederationRequest.parse(wire), wire=wire, jti=jti, issued=NOW - ago)


def home(*, spec: dict[str, Any] | None = None, deleted: bool = False, **incoming: Any) -> ForeignCluster:
    return ForeignCluster.parse(
        {
            "metadata": {"name": ID, **({"deletionTimestamp": NOW.isoformat()} if deleted else {})},
            "spec": {"clusterID": ID, "discoveryType": "IncomingPeering", **(spec or {})},
            "status": {"incoming": incoming} if incoming else {},
        }
    )


def seen(*requests: Asked, **changes: Any) -> Seen:
    fields: dict[str, Any] = {
        "asked": requests,
        "foreign": None,
        "remote": None,
        "tenant_there": False,
        "verdict": ACCEPT,
        "forget_after": DAY,
        **changes,
    }
    return Seen(**fields)


MOVES = {
    "nobody asked, nothing is there": (seen(), Move.REST),
    "nobody asks any more": (seen(foreign=home(phase="Offered", jti="j1")), Move.END),
    "nobody asks, but a tenant namespace is left": (seen(tenant_there=True), Move.END),
    "a new request is called back": (seen(asked("j1")), Move.CALL_BACK),
    "a new request waits for a person": (seen(asked("j1"), verdict=MANUAL), Move.REST),
    "nobody decided for a day": (
        seen(asked("j1", DAY), verdict=MANUAL),
        Move.END,
    ),
    "a tenant's next request needs no person again": (
        seen(asked("j2"), verdict=MANUAL, foreign=home(phase="Offered", jti="j1")),
        Move.CALL_BACK,
    ),
    "an accepted request is served": (
        seen(asked("j1"), foreign=home(phase="Accepted", jti="j1")),
        Move.SERVE,
    ),
    "a person deleted the tenant": (
        seen(asked("j1"), foreign=home(phase="Offered", jti="j1", deleted=True)),
        Move.END,
    ),
    "denied before it was accepted": (seen(asked("j1"), verdict=DENY), Move.DENY),
    "denied while it runs": (
        seen(asked("j1"), verdict=DENY, foreign=home(phase="Offered", jti="j1")),
        Move.DENY,
    ),
    "withdrawn": (
        seen(
            asked("j1", timedelta(seconds=9)),
            asked("j2", withdraw=True),
            foreign=home(phase="Offered", jti="j1"),
        ),
        Move.END,
    ),
    "a withdrawal of nothing is cleared away": (seen(asked("j2", withdraw=True)), Move.END),
    "an older request than the last accepted one loses": (
        seen(
            asked("j0", timedelta(minutes=3)),
            foreign=home(lastRequest=(NOW - timedelta(minutes=1)).isoformat()),
        ),
        Move.END,
    ),
}


@pytest.mark.parametrize("sentence", MOVES)
def test_the_next_move(sentence: str) -> None:
    observed, expected = MOVES[sentence]
    assert decide(observed, NOW).move is expected


def test_the_newest_request_counts_and_older_ones_are_over() -> None:
    decision = decide(
        seen(asked("j1", timedelta(seconds=5)), asked("j2"), asked("j0", timedelta(seconds=9))), NOW
    )
    assert decision.newest is not None
    assert decision.newest.jti == "j2"
    assert [o.jti for o in decision.over] == ["j0", "j1"]


def config(**peering: Any) -> ClusterConfigSpec:
    return ClusterConfigSpec.parse({"peeringConfig": peering})


JUDGED = {
    "by default any cluster is accepted": ([], config(), 0, False, Answer.ACCEPT),
    "Manual": ([], config(requestPolicy="Manual"), 0, False, Answer.MANUAL),
    "Deny": ([], config(requestPolicy="Deny"), 0, False, Answer.DENY),
    "Allow on a ForeignCluster beats the policy": (
        [home(spec={"incoming": "Allow"})],
        config(requestPolicy="Deny"),
        0,
        False,
        Answer.ACCEPT,
    ),
    "Deny on any ForeignCluster counts": (
        [home(spec={"incoming": "Allow"}), home(spec={"incoming": "Deny"})],
        config(),
        0,
        False,
        Answer.DENY,
    ),
    "the deny-list beats Allow": (
        [home(spec={"incoming": "Allow"})],
        config(deniedClusters=[ID]),
        0,
        False,
        Answer.DENY,
    ),
    "the allow-list beats Manual": (
        [],
        config(requestPolicy="Manual", allowedClusters=[ID]),
        0,
        False,
        Answer.ACCEPT,
    ),
    "a legacy id waits for a person": ([], config(), 0, True, Answer.MANUAL),
    "a listed legacy id that nobody has seen yet waits too": (
        [home()],
        config(allowedClusters=[ID]),
        0,
        True,
        Answer.MANUAL,
    ),
    "a listed legacy id whose key is known": (
        [home(spec={"pin": {"signingKey": "k1"}})],
        config(allowedClusters=[ID]),
        0,
        True,
        Answer.ACCEPT,
    ),
    "as many peers as we take": ([], config(maxPeers=2), 2, False, Answer.MANUAL),
}


@pytest.mark.parametrize("sentence", JUDGED)
def test_the_policy(sentence: str) -> None:
    known, settings, peers, legacy, expected = JUDGED[sentence]
    assert judge(ID, known, settings, peers=peers, legacy=legacy).answer is expected


def test_sharing_switched_off_denies_everybody() -> None:
    off = ClusterConfigSpec.parse({"advertisementConfig": {"outgoing": {"enable": False}}})
    verdict = judge(ID, [home(spec={"incoming": "Allow"})], off, peers=0, legacy=False)
    assert (verdict.answer, verdict.reason) == (Answer.DENY, Reason.SHARING_DISABLED)
