"""What the webhook says to a FederationRequest; pure, and without network access."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.federation_request import FederationRequest
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.meta import Wire
from liqo.api.reasons import Reason, known_reason
from liqo.errors import Malformed, NotTrusted
from liqo.identity.request import verify_proof
from liqo.peering.incoming import Answer, Verdict, judge
from liqo.peering.pins import known_by
from liqo.peering.places import SAME_ID_MAX, has_own_place


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is here already of a cluster that asks, and of others.

    Args:
        foreigns: the ForeignClusters with the id in the request.
        stored: how many requests of that id are stored.
        tenant: it has a namespace here.
        invited: it comes with an invite that counts for it.
        peers: how many other clusters are tenants.
        waiting: how many requests of strangers wait.
    """

    foreigns: Sequence[ForeignCluster]
    stored: int
    tenant: bool
    invited: bool
    peers: int
    waiting: int


def examine(
    wire: Wire,
    name: str,
    now: datetime,
    *,
    audience: str,
    home_id: str,
    known: Known,
    config: ClusterConfigSpec,
) -> Verdict:
    """Return what is said to a request at the gate; what is cheap to refuse is refused first.

    Args:
        wire: the request.
        name: of the object.
        now: our time.
        audience: the thumbprint of our own identity key, for which the proof has to be made.
        home_id: our own id.
        known: what is here already.
        config: of this cluster.
    """
    try:
        request = FederationRequest.parse(wire)
        refusal = _refuse_cheaply(request, known, config)
        if refusal is not None:
            return refusal
        proof = verify_proof(wire["spec"], now, audience=audience, name=name)
    except Malformed as fault:
        return Verdict(Answer.DENY, Reason.MALFORMED, fault.message)
    except NotTrusted as fault:
        return Verdict(Answer.DENY, known_reason(fault.reason, Reason.BAD_SIGNATURE), fault.message)
    if proof.cluster_id == home_id:
        return Verdict(Answer.DENY, Reason.OWN_CLUSTER, "That is this cluster's own identity.")
    key = known_by(known.foreigns).signing_key if proof.legacy else ""
    if key not in {"", proof.thumbprint}:
        message = (
            f"Your cluster is known here by the key {key}, and the request is signed with {proof.thumbprint}. Tell the "
            f"owner of this cluster, who can accept that: liqo trust accept {proof.cluster_id} --key {proof.thumbprint}"
        )
        return Verdict(Answer.DENY, Reason.PIN_CHANGED, message)
    last = max(
        (
            f.status.incoming.last_request
            for f in known.foreigns
            if f.status.incoming is not None and f.status.incoming.last_request is not None
        ),
        default=None,
    )
    if last is not None and proof.iat < last:
        return Verdict(Answer.DENY, Reason.STALE_REQUEST, "A newer request of yours was accepted already.")
    if request.spec.withdraw:
        return Verdict(Answer.ACCEPT, Reason.WITHDRAWN)
    return judge(
        proof.cluster_id,
        known.foreigns,
        config,
        peers=known.peers,
        legacy=proof.legacy,
        invited=known.invited,
    )


def _refuse_cheaply(request: FederationRequest, known: Known, config: ClusterConfigSpec) -> Verdict | None:
    """Refuse what needs no look at a signature, which costs most of what a stranger can have us do."""
    spec = request.spec
    if spec.invite is not None and not known.invited:
        return Verdict(Answer.DENY, Reason.INVITE_OVER, Reason.INVITE_OVER.sentence)
    ours = any(f.status.incoming is not None for f in known.foreigns)
    if spec.withdraw and not (ours or known.stored or known.tenant):
        return Verdict(Answer.DENY, Reason.UNKNOWN_CLUSTER, "Nothing of your cluster is here.")
    own = has_own_place(spec.cluster_id, known.foreigns, config, invited=known.invited)
    most = config.peering_config.max_pending
    if known.stored >= SAME_ID_MAX if own or spec.withdraw else known.waiting >= most:
        return Verdict(Answer.DENY, Reason.TOO_MANY_PENDING, "Too many requests wait here; try again later.")
    return None
