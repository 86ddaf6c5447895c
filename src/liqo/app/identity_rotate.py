"""Rotates the key that others seal to: `liqo identity rotate`. The key that makes the ClusterID stays."""

import base64
from datetime import datetime, timedelta

from liqo.api.kinds import SECRET
from liqo.api.meta import Key, Wire, format_time, parse_time
from liqo.api.names import IDENTITY_SECRET
from liqo.api.reasons import Reason
from liqo.errors import Absent, Refused
from liqo.identity.cluster_id import format_identity, parse_identity, rotate_sealing
from liqo.runtime.ports import Cluster

ROTATED_ANNOTATION = "liqo.io/sealing-rotated"
APART = timedelta(
    hours=24
)  # no token lives longer, so nothing that was sealed to the key before the last is in use


async def rotate(cluster: Cluster, namespace: str, now: datetime, *, force: bool) -> str:
    """Make a new key to seal to; the one before still opens what was sealed to it. Return the ClusterID.

    Raises:
        Refused: there is no identity, or the last rotation was too short ago for what others have sealed to us.
    """
    try:
        stored = await cluster.get(SECRET, Key(namespace, IDENTITY_SECRET))
    except Absent:
        raise Refused(
            f"there is no Secret {IDENTITY_SECRET} in namespace {namespace}",
            reason=Reason.IDENTITY_LOST,
            hint="has Liqo's controller run there once?",
        ) from None
    last = _rotated(stored)
    if last is not None and now < last + APART and not force:
        raise Refused(
            f"the key was rotated at {format_time(last)}: what was sealed to the one before may still be in use",
            hint=f"wait until {format_time(last + APART)}; with --force peers may need some minutes to send it anew",
        )
    identity = rotate_sealing(parse_identity(stored["data"]))
    data = {n: base64.b64encode(t.encode()).decode() for n, t in format_identity(identity).items()}
    patch: Wire = {
        "metadata": {
            "resourceVersion": stored["metadata"]["resourceVersion"],
            "annotations": {ROTATED_ANNOTATION: format_time(now)},
        },
        "data": data,
    }
    await cluster.patch(SECRET, Key(namespace, IDENTITY_SECRET), patch, manager="liqo-cli")
    return identity.cluster_id


def _rotated(stored: Wire) -> datetime | None:
    try:
        return parse_time((stored["metadata"].get("annotations") or {})[ROTATED_ANNOTATION])
    except (KeyError, ValueError):
        return None
