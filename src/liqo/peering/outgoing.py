"""What we want of another cluster: the next step of one outgoing peering.

spec.join     what is there                        next step
---------     -------------                        ---------
false         nothing of ours anywhere             REST
false         anything                             END: node gone, request withdrawn, rights revoked
true          no clusterID                         LEARN it from the well-known document
true          no request, or it is due again       ASK: rights for foreign, then a FederationRequest
true          a request, no answer to it           REST until the answer or the next due time
true          foreign refused or ended it          REFUSED: rights revoked, until spec changes
true          another cluster is at its address    REFUSED: likewise, but looked at again and again
true          we were another cluster when we      END: what that one had
              asked
true          our address or CA is another now,    ASK again: foreign learns ours, we learn its
              or foreign's CA is, or its account
              here was deleted
true          an offer                             REST; Established once sharing accepted it
true          an offer with credentials that       ASK again, at a growing distance
              cannot be used
true          our token is two thirds through      HAND_OVER the next one in the Advertisement's status
              or sealed to a key that foreign
              has replaced
true          a legacy id shows another key or CA  ASK again, which stops unless a person accepted that
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from urllib.parse import urlsplit

from liqo.api.advertisement import Advertisement
from liqo.api.conditions import condition
from liqo.api.foreign_cluster import ForeignCluster, Outgoing, is_contradicted
from liqo.api.meta import Condition, find_condition
from liqo.api.names import OUTGOING_FINALIZER
from liqo.api.reasons import ConditionType, Reason
from liqo.identity.trust import covers
from liqo.peering.tokens import last_call
from liqo.runtime.ports import Health, Session

ANSWER_WITHIN = timedelta(seconds=10)  # then we say what is wrong most often: our own address
APART = timedelta(seconds=2)  # two requests: their iat has whole seconds, and the later one has to win
NAMES_SHOWN = 16  # of a certificate; kubeadm's has six
ASK_AGAIN_FIRST = timedelta(seconds=30)
ASK_AGAIN_MOST = timedelta(minutes=10)
GIVE_UP_AFTER = timedelta(
    seconds=20
)  # and one last try of ten: a dead foreign cluster holds nothing up for longer
BELIEVE_REFUSAL = timedelta(seconds=60)  # no new request from them, and the same identity still there


class Move(Enum):
    """The next step beyond our own objects."""

    REST = auto()
    LEARN = auto()
    ASK = auto()
    HAND_OVER = auto()
    END = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that one decision looks at."""

    foreign: ForeignCluster
    counts: str  # the name of the ForeignCluster that counts for this clusterID
    home_id: str
    access: str = ""  # Ourselves.access
    server: str  # our own address, as others have to reach it
    certificate_names: Sequence[str] = ()  # that our API server's certificate is for; () if nobody knows
    advertisement: Advertisement | None
    session: Session | None  # with the credentials of that Advertisement, if it is accepted
    unusable: str = ""  # why those credentials cannot be used
    changed: bool = False  # a legacy id that shows another key or CA, or did when it was met last
    account_there: bool = True  # that foreign has here
    node_there: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The next step, what is true by now, and when to look again unasked."""

    move: Move
    phase: str | None = None  # of status.outgoing from now on; None: as it is
    conditions: Sequence[Condition] = ()
    wake: timedelta | None = None
    use_offer: bool = False  # the credentials in the Advertisement are the current ones
    forget: bool = False  # nothing of ours is anywhere: neither does status.outgoing stay
    stale_offer: bool = False  # the Advertisement answers another request: remove it


def decide(seen: Seen, now: datetime) -> Decision:
    """Return the next step of one outgoing peering."""
    foreign = seen.foreign
    spec, outgoing = foreign.spec, foreign.status.outgoing
    started = OUTGOING_FINALIZER in foreign.metadata.finalizers
    counts = seen.counts == foreign.metadata.name
    if not spec.join or foreign.metadata.deletion_timestamp is not None or not counts:
        return _leave(seen, started=started, counts=counts)
    if spec.cluster_id is None:
        return Decision(move=Move.LEARN)
    if spec.cluster_id == seen.home_id:
        return _refuse(Reason.OWN_CLUSTER)
    if outgoing is not None and outgoing.asked_as not in {"", seen.home_id}:
        return _leave(seen, started=started, counts=counts)
    if outgoing is not None and outgoing.phase == "Refused":
        return _stay_refused(foreign, outgoing, now, started=started)
    if outgoing is None or not outgoing.jti or outgoing.phase in {"Requesting", "Ending"}:
        wait = undelivered_wait(foreign, now)
        return Decision(move=Move.REST, wake=wait) if wait > timedelta() else Decision(move=Move.ASK)
    return _follow(seen, outgoing, now)


def _stay_refused(foreign: ForeignCluster, outgoing: Outgoing, now: datetime, *, started: bool) -> Decision:
    """Nothing until spec changes; but an identity that was replaced may be restored from a backup."""
    if outgoing.refused_generation != foreign.metadata.generation:
        return Decision(move=Move.ASK)
    if started:
        return Decision(move=Move.REFUSED)
    verified = find_condition(foreign.status.conditions, ConditionType.IDENTITY_VERIFIED)
    if verified is None or verified.reason != Reason.IDENTITY_REPLACED or outgoing.requested_at is None:
        return Decision(move=Move.REST)
    wait = outgoing.requested_at + ASK_AGAIN_MOST - now
    return Decision(move=Move.REST, wake=wait) if wait > timedelta() else Decision(move=Move.ASK)


def undelivered_wait(foreign: ForeignCluster, now: datetime) -> timedelta:
    """Return how long to wait before a request is sent again that did not get through: it grows as that lasts."""
    outgoing = foreign.status.outgoing
    told = find_condition(foreign.status.conditions, ConditionType.REQUESTED)
    if outgoing is None or outgoing.requested_at is None or outgoing.phase != "Requesting":
        return timedelta()
    failing = timedelta()
    if told is not None and told.status == "False" and told.last_transition_time is not None:
        failing = outgoing.requested_at - told.last_transition_time
    return outgoing.requested_at + min(max(failing, APART), ASK_AGAIN_MOST) - now


def _leave(seen: Seen, *, started: bool, counts: bool) -> Decision:
    """Nothing is wanted: end what is there."""
    reason, message = Reason.NOT_JOINED, ""
    if not counts and seen.foreign.spec.join:
        reason = Reason.DUPLICATE_CLUSTER_ID
        message = f"ForeignCluster {seen.counts} counts; this one has no effect."
        if is_contradicted(seen.foreign):
            reason = Reason.ID_CONFLICT
            message = f"ForeignCluster {seen.counts} counts: another cluster is at the address of this one."
    if started:
        return Decision(
            move=Move.END,
            phase="Ending",
            conditions=(condition(ConditionType.REQUESTED, False, Reason.ENDING),),
        )
    if find_condition(seen.foreign.status.conditions, ConditionType.REQUESTED) is None and counts:
        return Decision(move=Move.REST)  # never joined: a cluster that was only found costs no write
    outgoing = seen.foreign.status.outgoing
    return Decision(
        move=Move.REST,
        conditions=(condition(ConditionType.REQUESTED, False, reason, message),),
        forget=outgoing is not None and outgoing.phase is not None,
    )


def _refuse(reason: Reason) -> Decision:
    return Decision(move=Move.REST, conditions=(condition(ConditionType.REQUESTED, False, reason),))


def _follow(seen: Seen, outgoing: Outgoing, now: datetime) -> Decision:
    """A request is out: what came back?"""
    offer = seen.advertisement
    if offer is None or offer.spec.answers != outgoing.jti:
        return _wait(seen, outgoing, now, stale=offer is not None)
    if offer.spec.phase != "Offered":
        return Decision(
            move=Move.REFUSED,
            phase="Refused",
            conditions=(
                condition(
                    ConditionType.ACCEPTED,
                    False,
                    offer.spec.reason or Reason.REQUEST_REFUSED,
                    offer.spec.message,
                ),
                condition(ConditionType.ADVERTISED, False, Reason.ENDED),
            ),
        )
    accepted = condition(ConditionType.ACCEPTED, True, Reason.ACCEPTED)
    requested = condition(ConditionType.REQUESTED, True, Reason.SENT)
    if not is_accepted(offer, outgoing):
        refused = offer.status.phase == "Refused"
        waiting = condition(
            ConditionType.ADVERTISED,
            False if refused else None,
            offer.status.reason or (Reason.OFFER_REFUSED if refused else Reason.CHECKING),
            offer.status.message,
        )
        return Decision(move=Move.REST, phase="Requested", conditions=(requested, accepted, waiting))
    return _keep(seen, outgoing, offer, (requested, accepted), now)


def is_accepted(offer: Advertisement, outgoing: Outgoing) -> bool:
    """Return whether an offer answers our newest request and was accepted as such."""
    return (
        offer.spec.phase == "Offered"
        and offer.spec.answers == outgoing.jti
        and offer.status.phase == "Accepted"
        and offer.status.answers == outgoing.jti
    )


def _wait(seen: Seen, outgoing: Outgoing, now: datetime, *, stale: bool) -> Decision:
    """No answer to the newest request yet."""
    since = outgoing.requested_at or now
    pending = find_condition(seen.foreign.status.conditions, ConditionType.ACCEPTED)
    if pending is not None and pending.reason == Reason.PENDING and outgoing.token_renews is not None:
        again = outgoing.token_renews
    else:
        again = since + ask_again_after(seen.foreign, since)
    if now >= again:
        return Decision(move=Move.ASK, stale_offer=stale)
    conditions: tuple[Condition, ...] = ()
    if now < since + ANSWER_WITHIN:
        wake = since + ANSWER_WITHIN - now
    else:
        wake = again - now
        if pending is None or pending.reason != Reason.PENDING:
            message = (
                f"Nothing came back for {int((now - since).total_seconds() // 10 * 10)} s. The other cluster "
                f"has to reach our API server at {seen.server}: check that address and its firewall."
                + _uncovered(seen)
            )
            conditions = (condition(ConditionType.ACCEPTED, None, Reason.NO_ANSWER, message),)
    return Decision(move=Move.REST, conditions=conditions, wake=wake, stale_offer=stale)


def _uncovered(seen: Seen) -> str:
    """Return what to add where our own certificate is not for our own address; "" where it is."""
    host, names = urlsplit(seen.server).hostname or "", seen.certificate_names
    if not names or covers(names, host):
        return ""
    return (
        f" The certificate of our API server is not for {host}, so that who does not take our CA from us refuses it; "
        f"it is for {', '.join(names[:NAMES_SHOWN])}."
    )


def ask_again_after(
    foreign: ForeignCluster, asked: datetime, awaited: ConditionType = ConditionType.ACCEPTED
) -> timedelta:
    """Return how long to wait for an answer to what was asked then: as long as it was missing already."""
    found = find_condition(foreign.status.conditions, awaited)
    silent = timedelta()
    if found is not None and found.last_transition_time is not None and found.status != "True":
        silent = asked - found.last_transition_time
    return min(max(silent, ASK_AGAIN_FIRST), ASK_AGAIN_MOST)


def _trusted(foreign: ForeignCluster, session: Session | None) -> tuple[Condition, ...]:
    """Return what the certificate that was shown last means, if that is news."""
    told = find_condition(foreign.status.conditions, ConditionType.TRUSTED)
    if session is None:
        return ()
    if session.reason == Reason.CA_NOT_TRUSTED:
        message = f"{Reason.CA_NOT_TRUSTED.sentence} Nothing is deleted; nothing is sent there either."
        return (condition(ConditionType.TRUSTED, False, Reason.CA_NOT_TRUSTED, message),)
    if (
        session.health is Health.READY
        and session.failures == 0
        and told is not None
        and told.status != "True"
    ):
        reason = Reason.CA_SEALED if foreign.spec.allow_untrusted_ca else Reason.CA_TRUSTED
        return (condition(ConditionType.TRUSTED, True, reason),)
    return ()


def _keep(
    seen: Seen, outgoing: Outgoing, offer: Advertisement, good: tuple[Condition, ...], now: datetime
) -> Decision:
    """The peering stands: keep its credentials alive in both directions."""
    if seen.changed:
        wait = (outgoing.requested_at or now) + ASK_AGAIN_FIRST - now
        return Decision(move=Move.REST, wake=wait) if wait > timedelta() else Decision(move=Move.ASK)
    if seen.unusable:
        asked = outgoing.requested_at or now
        again = asked + ask_again_after(seen.foreign, asked, ConditionType.ADVERTISED)
        if now >= again:
            return Decision(move=Move.ASK)  # it may have been sealed to a key that we no longer have
        bad = condition(ConditionType.ADVERTISED, False, Reason.BAD_CREDENTIALS, seen.unusable)
        return Decision(move=Move.REST, phase="Requested", conditions=(*good, bad), wake=again - now)
    if outgoing.access not in {"", seen.access} or not seen.account_there:
        return Decision(move=Move.ASK)
    conditions = (
        *good,
        condition(ConditionType.ADVERTISED, True, Reason.OFFER_ACCEPTED),
        *_trusted(seen.foreign, seen.session),
    )
    established = Decision(move=Move.REST, phase="Established", conditions=conditions, use_offer=True)
    session = seen.session
    doubted = session is not None and (
        session.health is Health.REFUSED
        or (session.health is Health.AWAY and session.reason == Reason.CA_NOT_TRUSTED)
    )
    believe = max(session.since + BELIEVE_REFUSAL - now, timedelta()) if session and doubted else None
    if believe == timedelta() or (session is not None and session.health is Health.EXPIRED):
        return Decision(move=Move.ASK)
    due, end = outgoing.token_renews, outgoing.token_expires
    if due is None or end is None:
        return established
    wake = max(due - now, timedelta(seconds=1))
    if believe is not None:
        wake = min(wake, max(believe, timedelta(seconds=1)))
    if now >= last_call(due, end) and offer.spec.token_seen != outgoing.token_digest:
        return Decision(move=Move.ASK)
    other_key = offer.spec.sealing_key not in {"", outgoing.sealed_to} and outgoing.sealed_to
    if now >= due or other_key:
        return Decision(move=Move.HAND_OVER, phase="Established", conditions=conditions, use_offer=True)
    return Decision(move=Move.REST, phase="Established", conditions=conditions, use_offer=True, wake=wake)
