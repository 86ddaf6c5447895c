"""The four values that another cluster may send so that we reach it, sealed and opened.

Client libraries run programs named in a kubeconfig and send files of ours away, so none ever loads this one.
It is JSON with exactly four keys, each of them parsed and bounded here. Sealing (RFC 7516) hides it from
everybody but the recipient. It does not say who sealed it; that is for the signed request, or for the rights
on the object that carries it. `iss` and `aud` in the header, which the seal covers, keep it from being passed
on in another cluster's name.
"""

import base64
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.registry import HeaderParameter
from pydantic import BaseModel, BeforeValidator, ConfigDict

from liqo.api.bounds import SEALED_MAX
from liqo.api.meta import Wire
from liqo.api.reasons import Reason
from liqo.errors import Invalid, Malformed, NotTrusted
from liqo.identity.canonical import canonical, parse_base64url, parse_object, sha256
from liqo.identity.cluster_id import Identity
from liqo.identity.jws import INSTANT_MAX, parse_header
from liqo.identity.keys import agrees, thumbprint
from liqo.identity.trust import BUNDLE_MAX, parse_bundle, parse_server_url
from liqo.runtime.secret import Secret

TYP = "liqo-kubeconfig+jwe"
ALGORITHMS = {"alg": "ECDH-ES+A256KW", "enc": "A256GCM"}
TOKEN_MAX = 8_192  # characters; a ServiceAccount's has some 900
WHAT = "the sealed kubeconfig"

_FIELDS = frozenset({"server", "certificate-authority-data", "token", "namespace"})
_HEADER = frozenset({"alg", "enc", "typ", "kid", "epk", "iss", "aud"})
_PARTS = 5  # header, encrypted key, IV, ciphertext, tag
_TOKEN = re.compile(r"[A-Za-z0-9._-]+")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_REGISTRY = jwe.JWERegistry(
    algorithms=list(ALGORITHMS.values()),
    header_registry={"iss": HeaderParameter("Issuer", "str"), "aud": HeaderParameter("Audience", "str")},
)


def _hide(token: object) -> object:
    return Secret(token) if isinstance(token, str) else token


class Credentials(BaseModel):
    """How another cluster is reached; its repr shows neither token nor certificates."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True
    )

    server: str  # https://host:port
    ca_pem: str  # "" for the roots that everybody knows
    token: Annotated[Secret, BeforeValidator(_hide)]
    namespace: str

    def __repr__(self) -> str:
        return f"Credentials({self.server}, namespace={self.namespace})"

    __str__ = __repr__


def format_credentials(credentials: Credentials) -> bytes:
    """Write the four values as JSON, in clear."""
    return canonical(
        {
            "server": credentials.server,
            "certificate-authority-data": base64.b64encode(credentials.ca_pem.encode()).decode("ascii"),
            "token": credentials.token.reveal(),
            "namespace": credentials.namespace,
        }
    )


def parse_credentials(raw: bytes) -> Credentials:
    """Read the four values, which may be anybody's bytes.

    Raises:
        Malformed: with reason BadCredentials; the message never holds a value.
    """
    try:
        return _parse_credentials(raw)
    except Malformed as fault:
        raise Malformed(f"the kubeconfig: {fault.message}", reason=Reason.BAD_CREDENTIALS) from None


def _parse_credentials(raw: bytes) -> Credentials:
    found = parse_object(raw, "it")
    if found.keys() != _FIELDS:
        raise Malformed(f"it does not have exactly the keys {', '.join(sorted(_FIELDS))}")
    if not all(isinstance(value, str) for value in found.values()):
        raise Malformed("a value is not a text")
    parse_server_url(found["server"])
    token = found["token"]
    if len(token) > TOKEN_MAX or _TOKEN.fullmatch(token) is None:
        raise Malformed(f"the token is not 1 to {TOKEN_MAX} characters of A-Z, a-z, 0-9, '.', '_' and '-'")
    if _LABEL.fullmatch(found["namespace"]) is None:
        raise Malformed("the namespace is not a DNS label")
    return Credentials(
        server=found["server"],
        ca_pem=_parse_ca(found["certificate-authority-data"]),
        token=Secret(token),
        namespace=found["namespace"],
    )


def _parse_ca(text: str) -> str:
    """Read certificates in base64; "" is none of them.

    Raises:
        Malformed: no base64, no certificates, too many or too long.
    """
    if not text:
        return ""
    if len(text) > BUNDLE_MAX * 4 // 3 + 4:
        raise Malformed(f"the certificates are longer than {BUNDLE_MAX} bytes")
    try:
        pem = base64.b64decode(text, validate=True).decode("ascii")
    except ValueError:
        raise Malformed("the certificates are not PEM in base64") from None
    parse_bundle(pem)
    return pem


def seal(credentials: Credentials, recipient: Wire, *, issuer: str, audience: str) -> str:
    """Return credentials that only the holder of the recipient's key can read: a compact JWE.

    Args:
        credentials: ours, for that cluster.
        recipient: its public X25519 JWK.
        issuer: our ClusterID.
        audience: its ClusterID.

    Raises:
        Malformed: the recipient's key cannot be sealed to.
        Invalid: the credentials are such that no cluster takes them, or too long.
    """
    if recipient.get("crv") != "X25519" or "d" in recipient:
        raise Malformed("the recipient's key is no public X25519 key")
    kid = thumbprint(recipient)
    if not agrees(recipient):
        raise Malformed("nothing can be sealed to the recipient's key")
    plain = format_credentials(credentials)
    try:
        parse_credentials(plain)
    except Malformed as fault:
        raise Invalid(
            f"our own credentials are not such that another cluster takes them; {fault.message}",
            reason=Reason.BAD_CREDENTIALS,
        ) from None
    header = {**ALGORITHMS, "typ": TYP, "kid": kid, "iss": issuer, "aud": audience}
    key = OKPKey.import_key({"kty": "OKP", "crv": "X25519", "x": recipient["x"]})
    sealed = jwe.encrypt_compact(header, plain, key, registry=_REGISTRY)
    if len(sealed) > SEALED_MAX:
        raise Invalid(
            f"the sealed kubeconfig would be longer than {SEALED_MAX} characters",
            reason=Reason.BAD_CREDENTIALS,
            hint="the CA bundle is too long: leave out certificates that signed nothing in use",
        )
    return sealed


def unseal(text: str, identity: Identity, *, issuer: str, audience: str) -> Credentials:
    """Open what another cluster sealed to us.

    Args:
        text: a compact JWE, at most SEALED_MAX characters.
        identity: ours; a previous sealing key still opens.
        issuer: the ClusterID of the cluster that it came from.
        audience: our ClusterID.

    Raises:
        Malformed: with reason BadCredentials: the bytes are wrong, before or after opening.
        NotTrusted: with reason WrongClusterID (sealed by or for another cluster), or BadCredentials (sealed
            to a key that we do not hold).
    """
    try:
        plain = _unseal(text, identity, issuer=issuer, audience=audience)
    except Malformed as fault:
        raise Malformed(fault.message, reason=Reason.BAD_CREDENTIALS) from None
    return parse_credentials(plain)


def _unseal(text: str, identity: Identity, *, issuer: str, audience: str) -> bytes:
    if len(text) > SEALED_MAX:
        raise Malformed(f"{WHAT} is longer than {SEALED_MAX} characters")
    parts = text.split(".")
    if len(parts) != _PARTS:
        raise Malformed(f"{WHAT} is no compact JWE")
    header = parse_header(parts[0], WHAT, algorithms=ALGORITHMS, typ=TYP, names=_HEADER)
    _check_ephemeral(header.get("epk"))
    if header.get("iss") != issuer or header.get("aud") != audience:
        raise NotTrusted(f"{WHAT} is of or for another cluster", reason=Reason.WRONG_CLUSTER_ID)
    key = next((k for k in identity.sealing_keys if k.thumbprint() == header["kid"]), None)
    if key is None:
        raise NotTrusted(
            f"{WHAT} was sealed to a key that this cluster does not hold",
            reason=Reason.BAD_CREDENTIALS,
            hint="it comes again with the next request",
        )
    plain = None
    try:
        plain = jwe.decrypt_compact(text, key, registry=_REGISTRY).plaintext
    except (JoseError, ValueError):
        plain = None
    if plain is None:
        raise Malformed(f"{WHAT} cannot be opened")
    return plain


def _check_ephemeral(epk: Any) -> None:
    """Raise Malformed unless the sender's one-time key is a public X25519 key and nothing else."""
    if not isinstance(epk, dict) or epk.keys() != {"kty", "crv", "x"} or epk["crv"] != "X25519":
        raise Malformed(f"{WHAT} has no public X25519 key as epk")
    thumbprint(epk)


def digest(sealed: str) -> str:
    """Return the SHA-256 of a sealed kubeconfig, 43 characters; the receiver acknowledges it by this."""
    return sha256(sealed.encode())


def token_expiry(token: Secret) -> datetime | None:
    """Return when a token says that it ends; None if it does not say.

    Nothing is verified, since only its issuer could: a wrong answer costs its sender a connection.
    """
    exp = _claims(token).get("exp")
    if type(exp) is not int or not 0 <= exp <= INSTANT_MAX:
        return None
    return datetime.fromtimestamp(exp, UTC)


def token_account(token: Secret) -> str:
    """Return the name of the ServiceAccount whose token it says to be; "" if it says none. Nothing is verified."""
    subject = str(_claims(token).get("sub", "")).split(":")
    return subject[3] if subject[:2] == ["system", "serviceaccount"] and len(subject) == 4 else ""  # noqa: PLR2004


def _claims(token: Secret) -> dict[str, Any]:
    """Return what a token says; {} if it cannot be read."""
    text = token.reveal()
    parts = text.split(".")
    if len(text) > TOKEN_MAX or len(parts) != 3:  # noqa: PLR2004  a JWS
        return {}
    try:
        return parse_object(parse_base64url(parts[1], "the payload"), "the payload")
    except Malformed:
        return {}
