"""What the webhook says to a FederationRequest; pure, and without network access."""

from collections.abc import Sequence
from datetime import datetime

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.federation_request import FederationRequest
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.meta import Wire
from liqo.api.reasons import Reason, known_reason
from liqo.errors import Malformed, NotTrusted
from liqo.identity.request import verify_proof
from liqo.peering.incoming import Answer, Verdict, judge


def examine(
    wire: Wire,
    name: str,
    now: datetime,
    *,
    audience: str,
    home_id: str,
    known: Sequence[ForeignCluster],
    config: ClusterConfigSpec,
    peers: int,
    pending: int,
) -> Verdict:
    """Return what is said to a request at the gate.

    Args:
        wire: the request.
        name: of the object.
        now: our time.
        audience: the thumbprint of our own identity key, for which the proof has to be made.
        home_id: our own id.
        known: the ForeignClusters with the id in the request.
        config: of this cluster.
        peers: how many other clusters are tenants.
        pending: how many requests of other clusters wait.
    """
    try:
        request = FederationRequest.parse(wire)
        proof = verify_proof(wire["spec"], now, audience=audience, name=name)
    except Malformed as fault:
        return Verdict(Answer.DENY, Reason.MALFORMED, fault.message)
    except NotTrusted as fault:
        return Verdict(Answer.DENY, known_reason(fault.reason, Reason.BAD_SIGNATURE), fault.message)
    if proof.cluster_id == home_id:
        return Verdict(Answer.DENY, Reason.OWN_CLUSTER, "That is this cluster's own identity.")
    if request.spec.withdraw:
        return Verdict(Answer.ACCEPT, Reason.WITHDRAWN)
    last = max(
        (
            f.status.incoming.last_request
            for f in known
            if f.status.incoming is not None and f.status.incoming.last_request is not None
        ),
        default=None,
    )
    if last is not None and proof.iat < last:
        return Verdict(Answer.DENY, Reason.STALE_REQUEST, "A newer request of yours was accepted already.")
    verdict = judge(proof.cluster_id, known, config, peers=peers, legacy=proof.legacy)
    if verdict.answer is Answer.MANUAL and pending >= config.peering_config.max_pending:
        return Verdict(Answer.DENY, Reason.TOO_MANY_PENDING, "Too many requests wait here; try again later.")
    return verdict
