"""What another cluster wants of us: the next step of one incoming peering.

newest request     verdict    what is there          next step
--------------     -------    -------------          ---------
none, withdrawn    –          nothing of theirs      REST
none, withdrawn    –          anything               END: rights revoked, tenant namespace gone
any                Deny       –                      DENY: tell home why, then END
new                Manual     not accepted before    REST: FederationRequest Pending
new                Accept     –                      CALL_BACK: is that address really theirs? then as below
any but the first  –          no place left          REST, and it goes
accepted           Accept     –                      SERVE: tenant, credentials, Advertisement at home
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto

from liqo.api.advertisement import Advertisement
from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.federation_request import FederationRequest
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.meta import Wire
from liqo.api.names import INCOMING_FINALIZER
from liqo.api.reasons import Reason
from liqo.peering.pins import known_by
from liqo.peering.places import is_listed

# Whose name comes first in the same second takes the place of one that was in.
LOOK_AGAIN = timedelta(seconds=10)
CALL_BACK_WITHIN = timedelta(seconds=30)
TELL_WITHIN = timedelta(
    seconds=20
)  # and one last try of ten: a dead home cluster holds nothing up for longer


class Answer(StrEnum):
    """What the policy says to a request."""

    ACCEPT = "Accept"
    MANUAL = "Manual"
    DENY = "Deny"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says, and why."""

    answer: Answer
    reason: Reason
    message: str = ""


def judge(
    cluster_id: str,
    known: Sequence[ForeignCluster],
    config: ClusterConfigSpec,
    *,
    peers: int,
    legacy: bool,
    invited: bool = False,
) -> Verdict:
    """Return what the policy says to requests of one cluster.

    Args:
        cluster_id: who asks.
        known: the ForeignClusters with that id; a Deny on any of them counts.
        config: of this cluster.
        peers: how many other clusters are tenants already.
        legacy: the id is a UUID, which proves nothing: a person decides, whatever the policy. That it is on the
            allow-list says nothing of who holds it before its key is known.
        invited: it comes with an invite, which is a person's word.
    """
    policy = config.peering_config
    wishes = {f.spec.incoming for f in known}
    if "Deny" in wishes:
        return Verdict(Answer.DENY, Reason.DENIED, "The owner of this cluster refused your cluster.")
    if is_listed(policy.denied_clusters, cluster_id, known):
        return Verdict(Answer.DENY, Reason.DENIED, "Your cluster is on the deny-list of this cluster.")
    if not config.advertisement_config.outgoing.enable:
        return Verdict(Answer.DENY, Reason.SHARING_DISABLED, "This cluster does not share anything.")
    listed = is_listed(policy.allowed_clusters, cluster_id, known)
    if "Allow" in wishes or (listed and (not legacy or known_by(known).signing_key)):
        return Verdict(Answer.ACCEPT, Reason.ALLOWED)
    if invited:
        return Verdict(Answer.ACCEPT, Reason.INVITED)
    if policy.request_policy == "Deny":
        return Verdict(Answer.DENY, Reason.DENIED, "This cluster accepts no new peers.")
    if policy.request_policy == "Manual" or legacy:
        return Verdict(
            Answer.MANUAL, Reason.WAITING_FOR_PERSON, "A person of this cluster has to accept you."
        )
    if peers >= policy.max_peers:
        return Verdict(Answer.MANUAL, Reason.TOO_MANY_PEERS, "This cluster has as many peers as it takes.")
    return Verdict(Answer.ACCEPT, Reason.POLICY)


class Move(Enum):
    """The next step beyond our own objects."""

    REST = auto()
    CALL_BACK = auto()
    SERVE = auto()
    DENY = auto()
    END = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One stored request whose proof is good."""

    request: FederationRequest
    wire: Wire
    jti: str
    issued: datetime  # in home's signed statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that one decision looks at."""

    asked: Sequence[Asked]
    foreign: ForeignCluster | None  # the one that counts
    remote: Advertisement | None  # ours, at home, as far as a watch there has seen it
    tenant_there: bool
    verdict: Verdict
    forget_after: timedelta  # what nobody accepted by then goes; home has asked again long before
    stranger: bool = False  # it has no place of its own
    exceeds: bool = False  # and more strangers wait than may


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The next step, which request it is about, and which ones are over."""

    move: Move
    newest: Asked | None = None
    over: Sequence[Asked] = ()
    wake: timedelta | None = None


def decide(seen: Seen, now: datetime) -> Decision:
    """Return the next step of one incoming peering."""
    ordered = sorted(seen.asked, key=lambda a: (a.issued, a.jti))
    incoming = seen.foreign.status.incoming if seen.foreign is not None else None
    newest = ordered[-1] if ordered else None
    over = ordered[:-1]
    replayed = (
        newest is not None
        and incoming is not None
        and incoming.last_request is not None
        and newest.issued < incoming.last_request
    )
    if newest is not None and replayed:
        newest, over = None, ordered
    held = seen.foreign is not None and INCOMING_FINALIZER in seen.foreign.metadata.finalizers
    something = held or seen.tenant_there or (incoming is not None and incoming.phase is not None)
    forgotten = seen.foreign is not None and seen.foreign.metadata.deletion_timestamp is not None
    if newest is None or newest.request.spec.withdraw or forgotten:
        return Decision(move=Move.END if something or ordered else Move.REST, newest=newest, over=ordered)
    if seen.verdict.answer is Answer.DENY:
        return Decision(move=Move.DENY, newest=newest, over=over)
    accepted = (
        incoming is not None and incoming.jti == newest.jti and incoming.phase in {"Accepted", "Offered"}
    )
    if accepted:
        return Decision(move=Move.SERVE, newest=newest, over=over)
    if seen.stranger and seen.exceeds:
        return Decision(move=Move.REST, over=ordered)
    was_tenant = incoming is not None and incoming.phase in {"Accepted", "Offered"}
    if seen.verdict.answer is Answer.MANUAL and not was_tenant:
        forget = created_at(newest) + seen.forget_after
        if now >= forget:
            return Decision(move=Move.END, newest=None, over=ordered)
        wake = min(forget - now, LOOK_AGAIN) if seen.stranger else forget - now
        return Decision(move=Move.REST, newest=newest, over=over, wake=wake)
    return Decision(move=Move.CALL_BACK, newest=newest, over=over)


def created_at(asked: Asked) -> datetime:
    """Return when the request was stored."""
    created = asked.request.metadata.creation_timestamp
    assert created is not None  # the API server sets it
    return created
