"""Which offers of other clusters we take; pure."""

from dataclasses import dataclass

from liqo.api.advertisement import Advertisement
from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.quantity import parse_quantity
from liqo.api.reasons import Reason
from liqo.errors import Malformed

USABLE = {"cpu", "memory", "pods"}  # without each of them no pod can run


@dataclass(frozen=True, slots=True)
class Verdict:
    """Accepted, refused, or None: a person has to say."""

    accepted: bool | None
    reason: Reason
    message: str = ""


def judge(
    offer: Advertisement, foreign: ForeignCluster | None, config: ClusterConfigSpec, *, others: int
) -> Verdict | None:
    """Return what we say to an offer; None where there is nothing to say.

    Args:
        offer: the Advertisement.
        foreign: the ForeignCluster that counts for its clusterID.
        config: of this cluster.
        others: how many other offers are accepted.
    """
    outgoing = foreign.status.outgoing if foreign is not None else None
    if foreign is None or outgoing is None or not foreign.spec.join or offer.spec.answers != outgoing.jti:
        return None  # nobody asked for it; the room `peering` removes it
    if offer.spec.phase != "Offered":
        return None
    if offer.status.phase == "Accepted" and offer.status.answers == offer.spec.answers:
        return Verdict(True, Reason.OFFER_ACCEPTED)  # a smaller offer or a lower limit ends nothing that runs
    missing = sorted(
        USABLE - {name for name, text in offer.spec.resources.items() if parse_quantity(text) > 0}
    )
    if missing:
        return Verdict(
            False, Reason.NOTHING_OFFERED, f"The offer holds no {', '.join(missing)}: no pod could run there."
        )
    if offer.spec.kube_config is None:
        raise Malformed("an offer without credentials", reason=Reason.BAD_CREDENTIALS)
    if foreign.spec.accept_offer:
        return Verdict(True, Reason.OFFER_ACCEPTED)
    ingoing = config.advertisement_config.ingoing
    if others >= ingoing.max_acceptable_advertisement:
        return Verdict(
            False,
            Reason.TOO_MANY_OFFERS,
            f"{others} offers are accepted; maxAcceptableAdvertisement is {ingoing.max_acceptable_advertisement}.",
        )
    if ingoing.accept_policy == "Manual":
        return Verdict(None, Reason.WAITING_FOR_PERSON)
    return Verdict(True, Reason.OFFER_ACCEPTED)
