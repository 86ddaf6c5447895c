"""What to do about one pod; pure.

at home                     on foreign                what is done
-------                     ----------                ------------
gone, or on another node    there                     deleted there
bound to the virtual node   another pod of that name  that one is deleted first
bound, never ran            none                      created
bound, ran                  none                      failed at home: taken away, and not run a second time
bound                       there                     its status is told at home
over                        over in the same way      what else is said of it is told at home
over                        anything else             nothing: what is over stays over; deleted there if it runs
being deleted               there                     deleted there, with the same grace
being deleted               none                      deleted at home
"""

from dataclasses import dataclass
from enum import StrEnum

from liqo.api.meta import Wire
from liqo.api.names import HOME_UID_ANNOTATION
from liqo.node.pod_status import OVER


class Move(StrEnum):
    """What one decision wants."""

    REST = "rest"
    CREATE = "create"
    TELL = "tell"  # the status, at home
    FAIL = "fail"  # at home
    TAKE_DOWN = "take down"  # on foreign
    FINISH = "finish"  # delete at home, without grace


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and with how much grace (seconds; None: the pod's own)."""

    move: Move
    grace: int | None = None


def decide(home: Wire | None, remote: Wire | None) -> Decision:
    """Return what to do about a pod.

    Args:
        home: the pod if it is bound to the virtual node of this foreign cluster, else None.
        remote: the one of that name on foreign, as far as it is ours.
    """
    if home is None:
        return Decision(Move.REST if remote is None or _is_ending(remote) else Move.TAKE_DOWN)
    if remote is not None and home_uid(remote) != home["metadata"]["uid"]:
        return Decision(Move.REST if _is_ending(remote) else Move.TAKE_DOWN)
    if _is_ending(home):
        return _end(home, remote)
    if is_over(home):
        return _rest(home, remote)
    if remote is None:
        return Decision(Move.FAIL if has_run(home) else Move.CREATE)
    return Decision(Move.TELL)


def _rest(home: Wire, remote: Wire | None) -> Decision:
    if remote is None or _is_ending(remote):
        return Decision(Move.REST)
    if not is_over(remote):
        return Decision(Move.TAKE_DOWN)
    # A kubelet has a last word on a pod that is over: that its sandbox is gone.
    return Decision(Move.TELL if _outcome(home) == _outcome(remote) else Move.REST)


def _end(home: Wire, remote: Wire | None) -> Decision:
    if remote is None:
        return Decision(Move.FINISH)
    grace = home["metadata"].get("deletionGracePeriodSeconds")
    if not _is_ending(remote) or (grace or 0) < (remote["metadata"].get("deletionGracePeriodSeconds") or 0):
        return Decision(Move.TAKE_DOWN, grace)
    return Decision(Move.TELL)


def home_uid(remote: Wire) -> str:
    """Return which pod at home one on foreign stands for; "" if it is not ours."""
    found = (remote["metadata"].get("annotations") or {}).get(HOME_UID_ANNOTATION, "")
    return found if isinstance(found, str) else ""


def has_run(home: Wire) -> bool:
    """Return whether we have seen a pod on foreign before: then it got the time at which it began."""
    return bool((home.get("status") or {}).get("startTime"))


def is_over(pod: Wire) -> bool:
    """Return whether a pod will not run again."""
    return (pod.get("status") or {}).get("phase") in OVER


def _outcome(pod: Wire) -> tuple[str, str]:
    return pod["status"]["phase"], pod["status"].get("reason") or ""


def _is_ending(pod: Wire) -> bool:
    return "deletionTimestamp" in pod["metadata"]
