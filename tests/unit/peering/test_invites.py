"""For whom an invite counts, and when it goes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from liqo.api.meta import Wire
from liqo.peering.invites import Move, decide, forge_account, forge_binding, invite_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ID, OTHER, NAME = "a" * 32, "b" * 32, "invite-abcdefgh"
OPEN = forge_account(NAME, "liqo", expires=NOW + timedelta(minutes=15))


def request(
    cluster_id: str = ID, invite: str = NAME, came: int | None = None, phase: str | None = None
) -> Wire:
    spec: dict[str, Any] = {"clusterID": cluster_id, **({"invite": invite} if invite else {})}
    metadata = {"name": f"{cluster_id}-jti"}
    if came is not None:
        metadata["creationTimestamp"] = f"2026-11-23T11:59:{came:02}Z"
    return {"metadata": metadata, "spec": spec, **({"status": {"phase": phase}} if phase else {})}


def account(**changes: Any) -> Wire:
    return forge_account(NAME, "liqo", **{"expires": NOW + timedelta(minutes=15), **changes})


COUNTS = {
    "an open one": (request(), account(), [], True),
    "none": (request(invite=""), account(), [], False),
    "one that is not there": (request(invite="invite-x"), account(), [], False),
    "one for that cluster": (request(), account(only=ID), [], True),
    "one for another cluster": (request(), account(only=OTHER), [], False),
    "one that is over": (request(), account(expires=NOW), [], False),
    "one that nobody says when it ends": (request(), {"metadata": {"name": NAME}}, [], False),
    "one that another came with": (request(), account(), [request(OTHER, came=1)], False),
    "one that another came with later": (request(came=1), account(), [request(OTHER, came=2)], True),
    "one that another came with sooner": (request(came=2), account(), [request(OTHER, came=1)], False),
    "one that the same cluster came with": (request(), account(), [request(came=1)], True),
    "beside another's invite": (request(), account(), [request(OTHER, "invite-x", came=1)], True),
}


@pytest.mark.parametrize("case", COUNTS)
def test_an_invite_is_for_one_cluster_the_first_or_the_named(case: str) -> None:
    asked, invite, stored, counts = COUNTS[case]
    assert invite_of(asked, {NAME: invite}, stored, NOW) is counts


MOVES = {
    "nobody came": ([], account(), Move.KEEP),
    "somebody came and waits": ([request(came=1, phase="Pending")], account(), Move.KEEP),
    "it was used": ([request(came=1, phase="Accepted")], account(), Move.DELETE),
    "another one was used": ([request(invite="invite-x", came=1, phase="Accepted")], account(), Move.KEEP),
    "it is over": ([], account(expires=NOW), Move.DELETE),
    "nobody says when it ends": ([], {"metadata": {"name": NAME}}, Move.DELETE),
}


@pytest.mark.parametrize("case", MOVES)
def test_an_invite_goes_when_it_was_used_or_is_over(case: str) -> None:
    stored, invite, move = MOVES[case]
    assert decide(invite, stored, NOW)[0] is move


def test_an_open_invite_is_looked_at_again_when_it_ends() -> None:
    assert decide(OPEN, [], NOW)[1] == timedelta(minutes=15)


def test_the_rights_of_an_invite_go_with_it() -> None:
    stored = {**OPEN, "metadata": {**OPEN["metadata"], "uid": "u"}}
    (owner,) = forge_binding(stored)["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("ServiceAccount", NAME, "u")
    assert forge_binding(stored)["roleRef"]["name"] == "liqo-strangers"
