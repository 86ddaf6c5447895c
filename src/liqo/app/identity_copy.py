"""Keeps a copy of this cluster's identity, puts it back, and gives it up: `liqo identity`."""

import base64
import json
from dataclasses import dataclass

from liqo.api.kinds import CONFIG_MAP, SECRET
from liqo.api.meta import Key
from liqo.api.names import CLUSTER_ID_CONFIG_MAP, IDENTITY_SECRET
from liqo.api.reasons import Reason
from liqo.app.identity import create_identity, read_id, read_secret
from liqo.errors import Malformed, Refused
from liqo.identity.canonical import parse_object
from liqo.identity.cluster_id import Identity, format_identity, is_legacy_id, parse_identity
from liqo.runtime.ports import Cluster

COPY_MAX = 65_536  # bytes; three keys in a Secret are under 2 KB


@dataclass(frozen=True, slots=True)
class Standing:
    """Who this cluster is, by what is there of its identity."""

    cluster_id: str | None  # None before the first run
    key_of: str | None  # the ClusterID that the stored key makes; None if there is no key

    @property
    def problem(self) -> str:
        """What is wrong: IdentityLost, IdentityMismatch, or "" for nothing."""
        if self.cluster_id is None or is_legacy_id(self.cluster_id) or self.key_of == self.cluster_id:
            return ""
        return Reason.IDENTITY_LOST if self.key_of is None else Reason.IDENTITY_MISMATCH


async def look(cluster: Cluster, namespace: str) -> Standing:
    """Return who this cluster is."""
    stored = await read_secret(cluster, namespace)
    key_of = parse_identity(stored).cluster_id if stored is not None else None
    return Standing(await read_id(cluster, namespace), key_of)


async def copy(cluster: Cluster, namespace: str) -> str:
    """Return the identity as a Secret in JSON, private keys and all.

    Raises:
        Refused: there is none.
    """
    stored = await read_secret(cluster, namespace)
    if stored is None:
        raise Refused(
            f"there is no Secret {IDENTITY_SECRET} in namespace {namespace}",
            reason=Reason.IDENTITY_LOST,
            hint="has Liqo's controller run there once?",
        )
    identity = parse_identity(stored)
    secret = {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "metadata": {"name": IDENTITY_SECRET, "annotations": {"liqo.io/cluster-id": identity.cluster_id}},
        "type": "Opaque",
        "data": {n: base64.b64encode(t.encode()).decode() for n, t in format_identity(identity).items()},
    }
    return json.dumps(secret, indent=2) + "\n"


def parse_copy(raw: bytes) -> Identity:
    """Read what `copy` wrote.

    Raises:
        Malformed: it is something else; the message never holds a value.
    """
    try:
        return _parse_copy(raw)
    except Malformed as fault:
        raise Malformed(
            f"that is no copy of an identity: {fault.message}",
            hint="take the file that liqo identity backup wrote",
        ) from None


def _parse_copy(raw: bytes) -> Identity:
    if len(raw) > COPY_MAX:
        raise Malformed(f"it is longer than {COPY_MAX} bytes")
    data = parse_object(raw, "it").get("data")
    if not isinstance(data, dict) or not all(isinstance(text, str) for text in data.values()):
        raise Malformed("it is no Secret")
    return parse_identity(data)


async def restore(cluster: Cluster, namespace: str, identity: Identity) -> bool:
    """Put an identity back; return whether it was missing.

    Raises:
        Refused: this is another cluster, or has another key.
    """
    now = await look(cluster, namespace)
    of = identity.cluster_id
    known = now.cluster_id if now.cluster_id and not is_legacy_id(now.cluster_id) else of
    other = next((found for found in (known, now.key_of) if found not in {None, of}), None)
    if other is not None:
        raise Refused(
            f"the copy is of cluster {of}, and this is {other}",
            reason=Reason.IDENTITY_MISMATCH,
            hint="take the copy of this cluster; or, to become that one, stop the controller and "
            "give up the identity here first: liqo identity new",
        )
    if now.key_of is not None:
        return False
    await create_identity(cluster, namespace, identity)
    if (await look(cluster, namespace)).key_of != of:
        raise Refused("another key was stored meanwhile", reason=Reason.IDENTITY_MISMATCH)
    return True


async def give_up(cluster: Cluster, namespace: str) -> str | None:
    """Remove ConfigMap and Secret, so that the next start makes another cluster; return who this one was.

    The ConfigMap goes last: killed in between, the old id is still there to be seen, and this can be done again.
    """
    known = await read_id(cluster, namespace)
    await cluster.delete(SECRET, Key(namespace, IDENTITY_SECRET))
    await cluster.delete(CONFIG_MAP, Key(namespace, CLUSTER_ID_CONFIG_MAP))
    return known
