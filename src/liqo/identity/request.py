"""The proof in a FederationRequest: who asks, whom, what, and when.

It signs every other field of the spec by digest, so that none can be exchanged; it names the key of the
cluster that it is for, so that it is worth nothing elsewhere; and the object's name ends in its jti, so that
a copy is a conflict. Whether a newer request was seen already is the caller's to judge, by `Proof.iat`.
"""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import Field

from liqo.api.bounds import PROOF_MAX, ClusterIDText
from liqo.api.meta import format_time
from liqo.api.model import Model
from liqo.api.names import request_name
from liqo.api.reasons import Reason
from liqo.errors import Malformed, NotTrusted
from liqo.identity.canonical import canonical, sha256
from liqo.identity.cluster_id import ClusterID, Form, Identity, check_id, cluster_id_of
from liqo.identity.jws import Instant, parse_jws, sign, verify
from liqo.identity.keys import Keys

TYP = "liqo-request+jwt"
LIFETIME = timedelta(minutes=5)
LEEWAY = timedelta(seconds=60)  # home signs in foreign's own time, so only the way and the rounding are left
JTI_BYTES = 10  # 16 characters of base32: nobody guesses a name, and id and jti fit into 63 characters
SPEC_MAX = 20_480  # bytes of all fields but the proof; a sealed kubeconfig is at most 16,384 of them
WHAT = "the proof"


class _Claims(Model):
    """What is signed."""

    iss: ClusterIDText
    aud: Annotated[str, Field(max_length=43)]
    jti: Annotated[str, Field(pattern=r"^[a-z2-7]{16}$")]
    iat: Instant
    exp: Instant
    digest: Annotated[str, Field(max_length=43)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a good proof says."""

    cluster_id: ClusterID
    jti: str
    iat: datetime
    legacy: bool  # the id is a UUID: the key is proved, that the id is its own is not
    thumbprint: str  # of the key that signed


def new_jti() -> str:
    """Return 16 random characters that a Kubernetes name may end in."""
    return base64.b32encode(secrets.token_bytes(JTI_BYTES)).decode("ascii").lower()


def digest_spec(spec: Mapping[str, Any]) -> str:
    """Return the SHA-256 of every field but `proof`, as base64url.

    Raises:
        Malformed: they are more than SPEC_MAX bytes together.
    """
    raw = canonical({name: value for name, value in spec.items() if name != "proof"})
    if len(raw) > SPEC_MAX:
        raise Malformed(f"the request is longer than {SPEC_MAX} bytes")
    return sha256(raw)


def forge_proof(
    spec: Mapping[str, Any], identity: Identity, *, audience: str, jti: str, now: datetime
) -> str:
    """Return the proof for a spec; `keys` in it have to be the identity's own.

    Args:
        spec: of the FederationRequest, as JSON; it may have a proof, which is left out.
        identity: of the cluster that asks.
        audience: the thumbprint of the signing key of the cluster that is asked.
        jti: what the object's name ends in.
        now: that cluster's time, as its Date header tells it.

    Raises:
        Malformed: the spec is too long.
    """
    iat = int(now.timestamp())
    claims = {
        "iss": spec["clusterID"],
        "aud": audience,
        "jti": jti,
        "iat": iat,
        "exp": iat + int(LIFETIME.total_seconds()),
        "digest": digest_spec(spec),
    }
    return sign(claims, identity, typ=TYP)


def verify_proof(spec: Mapping[str, Any], now: datetime, *, audience: str, name: str) -> Proof:
    """Verify that a FederationRequest is of the cluster that it names, for us, whole and recent.

    Args:
        spec: of the object, as JSON.
        now: when it reached our API server.
        audience: the thumbprint of our own signing key.
        name: of the object.

    Raises:
        Malformed: the bytes are wrong.
        NotTrusted: with reason ProofMissing, BadSignature, WrongClusterID, WrongAudience, DigestMismatch,
            NameMismatch, ProofExpired or ClockSkew.
    """
    text, cluster_id = spec.get("proof"), spec.get("clusterID")
    if not isinstance(text, str) or not text:
        raise NotTrusted("the request is not signed", reason=Reason.PROOF_MISSING)
    if not isinstance(cluster_id, str):
        raise Malformed("the request does not say which cluster asks")
    legacy = check_id(cluster_id) is Form.LEGACY
    statement = parse_jws(text, typ=TYP, max_length=PROOF_MAX, what=WHAT)
    claims = _Claims.parse(statement.claims)
    keys = Keys.parse(spec.get("keys"))
    verify(statement, keys, WHAT)
    if claims.iss != cluster_id or not (legacy or cluster_id_of(keys.signing) == cluster_id):
        raise NotTrusted(
            f"the request is signed with another key than that of cluster {cluster_id}",
            reason=Reason.WRONG_CLUSTER_ID,
        )
    if claims.aud != audience:
        raise NotTrusted("the request is for another cluster", reason=Reason.WRONG_AUDIENCE)
    if claims.digest != digest_spec(spec):
        raise NotTrusted("a field is not the one that was signed", reason=Reason.DIGEST_MISMATCH)
    if name != request_name(cluster_id, claims.jti):
        raise NotTrusted("the name is not <clusterID>-<jti>", reason=Reason.NAME_MISMATCH)
    iat = datetime.fromtimestamp(claims.iat, UTC)
    _check_times(iat, datetime.fromtimestamp(claims.exp, UTC), now)
    return Proof(
        cluster_id=ClusterID(cluster_id),
        jti=claims.jti,
        iat=iat,
        legacy=legacy,
        thumbprint=keys.thumbprint,
    )


def _check_times(iat: datetime, exp: datetime, now: datetime) -> None:
    """Raise unless a proof is of now."""
    if not timedelta() < exp - iat <= LIFETIME:
        raise Malformed(f"{WHAT} lives for more than {LIFETIME.seconds} s, or for no time")
    if iat > now + LEEWAY:
        raise NotTrusted(
            f"the request was signed at {format_time(iat)}, and here it is {format_time(now)}",
            reason=Reason.CLOCK_SKEW,
        )
    if exp + LEEWAY < now:
        raise NotTrusted(
            f"the request ended at {format_time(exp)}, and here it is {format_time(now)}",
            reason=Reason.PROOF_EXPIRED,
        )
