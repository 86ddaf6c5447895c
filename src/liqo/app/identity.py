"""Makes or finds this cluster's identity at start."""

import base64

from liqo.api.kinds import CONFIG_MAP, SECRET
from liqo.api.meta import Key, Wire
from liqo.api.names import CLUSTER_ID_CONFIG_MAP, IDENTITY_SECRET, MANAGED_LABEL
from liqo.api.reasons import Reason
from liqo.errors import Absent, Conflict, Fault, Invalid, Refused
from liqo.identity.cluster_id import (
    ClusterID,
    Identity,
    format_identity,
    is_legacy_id,
    new_identity,
    parse_identity,
)
from liqo.runtime.ports import Cluster, Events


async def ensure_identity(cluster: Cluster, namespace: str) -> tuple[ClusterID, Identity]:
    """Return this cluster's id and keys; on the first run they are made.

    The Secret decides: of two processes that both make one, the loser reads the winner's. The ConfigMap follows.
    Where the ConfigMap is there without its Secret, no key is invented, since that would be another cluster.

    Raises:
        Refused: Secret lost, or ConfigMap and Secret tell of different clusters.
    """
    stored = await read_secret(cluster, namespace)
    known = await read_id(cluster, namespace)
    if stored is None:
        if known is not None and not is_legacy_id(known):
            raise Refused(
                f"the Secret {IDENTITY_SECRET} with the key of cluster {known} is lost",
                reason=Reason.IDENTITY_LOST,
                hint="put it back from a copy: liqo identity restore FILE; without one, become a new cluster: "
                "liqo identity new",
            )
        await create_identity(cluster, namespace, new_identity())
        stored = await read_secret(cluster, namespace)
        if stored is None:
            raise Refused("the identity was deleted while it was made", reason=Reason.IDENTITY_LOST)
    identity = parse_identity(stored)
    if known is None:
        await _publish(cluster, namespace, identity.cluster_id)
        return identity.cluster_id, identity
    if is_legacy_id(known):
        return ClusterID(known), identity
    if known != identity.cluster_id:
        raise Refused(
            f"ConfigMap {CLUSTER_ID_CONFIG_MAP} says {known}, but the key is that of {identity.cluster_id}",
            reason=Reason.IDENTITY_MISMATCH,
            hint=f"delete the ConfigMap {CLUSTER_ID_CONFIG_MAP}; it is made again from the key",
        )
    return identity.cluster_id, identity


async def tell_lost(cluster: Cluster, namespace: str, fault: Refused, events: Events) -> None:
    """Tell on the ConfigMap that names this cluster why its controller does not start."""
    try:
        about = await cluster.get(CONFIG_MAP, Key(namespace, CLUSTER_ID_CONFIG_MAP))
    except Fault:
        return  # nothing to tell it on
    events.emit(about, CONFIG_MAP, reason=fault.reason, message=str(fault), warning=True)


async def read_secret(cluster: Cluster, namespace: str) -> dict[str, bytes] | None:
    """Return the entries of the Secret with our keys; None if there is none."""
    try:
        found = await cluster.get(SECRET, Key(namespace, IDENTITY_SECRET))
    except Absent:
        return None
    return {name: base64.b64decode(text) for name, text in (found.get("data") or {}).items()}


async def read_id(cluster: Cluster, namespace: str) -> str | None:
    """Return what the ConfigMap says that this cluster is; None if there is none.

    Raises:
        Invalid: it says nothing.
    """
    try:
        found = await cluster.get(CONFIG_MAP, Key(namespace, CLUSTER_ID_CONFIG_MAP))
    except Absent:
        return None
    text = (found.get("data") or {}).get(CLUSTER_ID_CONFIG_MAP, "").strip()
    if not text:
        raise Invalid(
            f"ConfigMap {CLUSTER_ID_CONFIG_MAP} has no key {CLUSTER_ID_CONFIG_MAP}",
            hint="delete it; it is made again from the key",
        )
    return str(text)


async def create_identity(cluster: Cluster, namespace: str, identity: Identity) -> None:
    """Store keys, unless there are some."""
    secret: Wire = {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "type": "Opaque",
        "metadata": {
            "name": IDENTITY_SECRET,
            "namespace": namespace,
            "labels": {MANAGED_LABEL: "liqo"},
        },
        "data": {
            name: base64.b64encode(text.encode()).decode() for name, text in format_identity(identity).items()
        },
    }
    try:
        await cluster.create(SECRET, secret)
    except Conflict:
        return  # another process was faster: its keys count


async def _publish(cluster: Cluster, namespace: str, cluster_id: ClusterID) -> None:
    config_map: Wire = {
        "apiVersion": CONFIG_MAP.api_version,
        "kind": CONFIG_MAP.kind,
        "metadata": {
            "name": CLUSTER_ID_CONFIG_MAP,
            "namespace": namespace,
            "labels": {MANAGED_LABEL: "liqo"},
        },
        "data": {CLUSTER_ID_CONFIG_MAP: cluster_id},
    }
    try:
        await cluster.create(CONFIG_MAP, config_map)
    except Conflict:
        return
