"""Signed statements: compact JWS (RFC 7515) with EdDSA (RFC 8037), and nothing that RFC 8725 warns of.

The header has exactly `alg`, `typ` and `kid`. Whatever else a header may say (`crit`, `jku`, `jwk`, `x5c`,
`x5u`, `b64`, `zip`) is refused because it is there. Each kind of statement has a `typ` of its own, so that
none passes for another (RFC 8725 §3.11).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import OKPKey
from pydantic import Field

from liqo.api.reasons import Reason
from liqo.errors import Malformed, NotTrusted
from liqo.identity.canonical import canonical, parse_base64url, parse_object
from liqo.identity.cluster_id import Identity
from liqo.identity.keys import Keys

ALGORITHM = "EdDSA"
INSTANT_MAX = 2**33  # seconds; the year 2242, so that no sum overflows
_HEADER = frozenset({"alg", "typ", "kid"})
_PARTS = 3  # header, payload, signature

Instant = Annotated[int, Field(strict=True, ge=0, le=INSTANT_MAX)]
"""A NumericDate in whole seconds (RFC 7519 §2)."""


class _OnlyEdDSA(jws.JWSRegistry):
    """Knows EdDSA and no other algorithm, whatever the library recommends or deprecates."""

    def get_alg(self, name: str) -> Any:
        if name != ALGORITHM:
            raise UnsupportedAlgorithmError
        return self.algorithms[ALGORITHM]


_REGISTRY = _OnlyEdDSA()


@dataclass(frozen=True, slots=True)
class Unverified:
    """A statement as it was read; nothing in it is true yet."""

    text: str
    kid: str
    claims: Mapping[str, Any]


def sign(claims: Mapping[str, Any], identity: Identity, *, typ: str) -> str:
    """Return the claims, signed."""
    header = {"alg": ALGORITHM, "typ": typ, "kid": identity.keys.thumbprint}
    return jws.serialize_compact(header, canonical(claims), identity.signing_key, registry=_REGISTRY)


def parse_jws(text: str, *, typ: str, max_length: int, what: str) -> Unverified:
    """Read a statement without verifying it.

    Raises:
        Malformed: it is too long, no compact JWS, of another `typ` or algorithm, or its header says more.
    """
    if len(text) > max_length:
        raise Malformed(f"{what} is longer than {max_length} characters")
    parts = text.split(".")
    if len(parts) != _PARTS:
        raise Malformed(f"{what} is no compact JWS")
    header = parse_header(parts[0], what, algorithms={"alg": ALGORITHM}, typ=typ, names=_HEADER)
    claims = parse_object(parse_base64url(parts[1], f"{what}'s payload"), f"{what}'s payload")
    parse_base64url(parts[2], f"{what}'s signature")
    return Unverified(text=text, kid=header["kid"], claims=claims)


def parse_header(
    segment: str, what: str, *, algorithms: Mapping[str, str], typ: str, names: frozenset[str]
) -> dict[str, Any]:
    """Read the header of a JWS or JWE that has to have exactly these parameters.

    Raises:
        Malformed: one is missing, one is more, or one is not what it has to be.
    """
    header = parse_object(parse_base64url(segment, f"{what}'s header"), f"{what}'s header")
    more = sorted(header.keys() - names)
    if more:
        raise Malformed(f"the header parameter {more[0][:16]!r} is refused in {what}")
    if header.get("typ") != typ:
        raise Malformed(f"{what} has another typ than {typ}")
    for name, algorithm in algorithms.items():
        if header.get(name) != algorithm:
            raise Malformed(f"{what} has another {name} than {algorithm}")
    if not isinstance(header.get("kid"), str):
        raise Malformed(f"{what} does not name its key")
    return header


def verify(statement: Unverified, keys: Keys, what: str) -> None:
    """Verify the signature of a statement.

    Raises:
        NotTrusted: with reason BadSignature.
    """
    good = statement.kid == keys.thumbprint
    try:
        jws.deserialize_compact(statement.text, OKPKey.import_key(keys.signing), registry=_REGISTRY)
    except (JoseError, ValueError):
        good = False
    if not good:
        raise NotTrusted(f"the signature of {what} does not fit its key", reason=Reason.BAD_SIGNATURE)
