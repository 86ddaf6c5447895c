"""What to do about one pod."""

import pytest

from liqo.api.meta import Wire
from liqo.node.pod_decide import Decision, Move, decide


def at_home(
    phase: str = "Pending", *, ran: bool = False, ending: int | None = None, uid: str = "a", reason: str = ""
) -> Wire:
    metadata: Wire = {"name": "web", "namespace": "shop", "uid": uid}
    if ending is not None:
        metadata |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": ending}
    status = {"phase": phase, "reason": reason, **({"startTime": "2026-01-01T00:00:00Z"} if ran else {})}
    return {"metadata": metadata, "spec": {}, "status": status}


def on_foreign(phase: str = "Running", *, ending: int | None = None, uid: str = "a") -> Wire:
    found = at_home(phase, ending=ending, uid="b")
    found["metadata"]["annotations"] = {"liqo.io/home-uid": uid}
    return found


@pytest.mark.parametrize(
    ("home", "remote", "wanted"),
    [
        (None, None, Decision(Move.REST)),
        (None, on_foreign(), Decision(Move.TAKE_DOWN)),
        (None, on_foreign(ending=30), Decision(Move.REST)),
        (at_home(), None, Decision(Move.CREATE)),
        (at_home("Running", ran=True), None, Decision(Move.FAIL)),
        (at_home("Succeeded", ran=True), None, Decision(Move.REST)),
        (at_home("Failed", ran=True), None, Decision(Move.REST)),
        (at_home(), on_foreign(), Decision(Move.TELL)),
        (at_home("Running", ran=True), on_foreign("Succeeded"), Decision(Move.TELL)),
        (at_home("Succeeded", ran=True), on_foreign("Succeeded"), Decision(Move.TELL)),
        (at_home("Succeeded", ran=True), on_foreign("Succeeded", ending=1), Decision(Move.REST)),
        (at_home("Succeeded", ran=True), on_foreign("Failed"), Decision(Move.REST)),
        (at_home("Failed", ran=True, reason="Evicted"), on_foreign("Failed"), Decision(Move.REST)),
        (at_home("Failed", ran=True), on_foreign("Running"), Decision(Move.TAKE_DOWN)),
        (at_home("Failed", ran=True), on_foreign("Running", ending=1), Decision(Move.REST)),
        (at_home(), on_foreign(uid="another"), Decision(Move.TAKE_DOWN)),
        (at_home(), on_foreign(uid="another", ending=30), Decision(Move.REST)),
        (at_home(ending=30), None, Decision(Move.FINISH)),
        (at_home(ending=30), on_foreign(), Decision(Move.TAKE_DOWN, 30)),
        (at_home(ending=0), on_foreign(), Decision(Move.TAKE_DOWN, 0)),
        (at_home(ending=30), on_foreign(ending=30), Decision(Move.TELL)),
        (at_home(ending=5), on_foreign(ending=30), Decision(Move.TAKE_DOWN, 5)),
    ],
)
def test_each_row_of_the_table(home: Wire | None, remote: Wire | None, wanted: Decision) -> None:
    assert decide(home, remote) == wanted
