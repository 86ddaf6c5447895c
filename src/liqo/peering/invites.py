"""Invites that this cluster gave out: each is a ServiceAccount, and over when that is gone; pure.

Whoever has its token may create a FederationRequest, as any stranger may, but the request names the invite, and the
API server lets nobody else name it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import Enum, auto

from liqo.api.kinds import ROLE, ROLE_BINDING, SERVICE_ACCOUNT
from liqo.api.meta import Wire, format_time, labels_of, parse_time
from liqo.api.names import (
    INVITE_EXPIRES_ANNOTATION,
    INVITE_FOR_LABEL,
    INVITE_LABEL,
    STRANGERS,
)
from liqo.api.rights import forge_account_subject, forge_object, forge_role_ref
from liqo.peering.places import is_waiting

NEVER = "9999"
TTL_MIN = timedelta(minutes=1)
TTL_MAX = timedelta(
    days=7
)  # longer than that it is a standing permission: the allow-list is the place for those


def forge_account(name: str, namespace: str, *, expires: datetime, only: str = "") -> Wire:
    """Return the ServiceAccount that is an invite.

    Args:
        name: of the invite.
        namespace: Liqo's.
        expires: when it is over.
        only: the ClusterID that it is for; "" for whoever comes first.
    """
    labels = {INVITE_LABEL: "true", **({INVITE_FOR_LABEL: only} if only else {})}
    account = forge_object(
        SERVICE_ACCOUNT, name, namespace, labels=labels, automountServiceAccountToken=False
    )
    account["metadata"]["annotations"] = {INVITE_EXPIRES_ANNOTATION: format_time(expires)}
    return account


def forge_binding(account: Wire) -> Wire:
    """Return the RoleBinding of an invite's account, which goes with it."""
    name, namespace = account["metadata"]["name"], account["metadata"]["namespace"]
    binding = forge_object(
        ROLE_BINDING,
        name,
        namespace,
        labels={INVITE_LABEL: "true"},
        roleRef=forge_role_ref(ROLE, STRANGERS),
        subjects=[forge_account_subject(namespace, name)],
    )
    binding["metadata"]["ownerReferences"] = [
        {
            "apiVersion": SERVICE_ACCOUNT.api_version,
            "kind": SERVICE_ACCOUNT.kind,
            "name": name,
            "uid": account["metadata"]["uid"],
        }
    ]
    return binding


def only_for(account: Wire) -> str:
    """Return the ClusterID that an invite is for; "" for whoever comes first."""
    return labels_of(account).get(INVITE_FOR_LABEL, "")


def expires(account: Wire) -> datetime | None:
    """Return when an invite is over; None if that cannot be read."""
    try:
        return parse_time((account["metadata"].get("annotations") or {})[INVITE_EXPIRES_ANNOTATION])
    except (KeyError, ValueError):
        return None


def invite_of(request: Wire, invites: Mapping[str, Wire], stored: Iterable[Wire], now: datetime) -> bool:
    """Return whether a request came with an open invite that counts for its sender.

    An invite is for one cluster: the one that it names, or the first that came with it.

    Args:
        request: a FederationRequest, stored or about to be.
        invites: their ServiceAccounts by name.
        stored: all requests that are stored.
        now: the time.
    """
    name, cluster_id = request["spec"].get("invite", ""), request["spec"]["clusterID"]
    account = invites.get(name)
    if account is None or (only_for(account) or cluster_id) != cluster_id:
        return False
    end = expires(account)
    if end is None or now >= end:
        return False
    others = (o for o in stored if o["spec"].get("invite") == name and o["spec"]["clusterID"] != cluster_id)
    return all(_came(request) < _came(other) for other in others)


def _came(request: Wire) -> tuple[str, str]:
    """Return what orders requests; one that is not stored yet comes last."""
    metadata = request["metadata"]
    return metadata.get("creationTimestamp", NEVER), metadata["name"]


class Move(Enum):
    """What becomes of an invite."""

    KEEP = auto()
    DELETE = auto()


def decide(account: Wire, stored: Iterable[Wire], now: datetime) -> tuple[Move, timedelta | None]:
    """Return what becomes of an invite, and when to look again: one that was used or is over goes."""
    end, name = expires(account), account["metadata"]["name"]
    used = any(r["spec"].get("invite") == name and not is_waiting(r) for r in stored)
    if used or end is None or now >= end:
        return Move.DELETE, None
    return Move.KEEP, end - now
