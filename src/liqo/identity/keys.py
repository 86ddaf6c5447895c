"""A cluster's public keys as they go over the wire: a JWK Set (RFC 7517) of Ed25519 and X25519 (RFC 8037)."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from joserfc.jwk import OKPKey
from pydantic import ConfigDict, Field, model_validator

from liqo.api.meta import Wire
from liqo.api.model import Model
from liqo.errors import Malformed
from liqo.identity.canonical import canonical, parse_base64url, sha256

KEY_BYTES = 32  # of an Ed25519 and of an X25519 public key
SEALING_MAX = 2  # the newest, and the one before while sealed values to it may be on their way

# With the few X25519 points that agree on nothing, any private key gives zero (RFC 7748 §6.1).
_ANY_PRIVATE_KEY = X25519PrivateKey.from_private_bytes(b"\x01" * KEY_BYTES)


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """Return the SHA-256 thumbprint of an OKP key as base64url, 43 characters (RFC 7638, RFC 8037 §2).

    Raises:
        Malformed: it is no OKP key with 32 bytes in their one spelling.
    """
    kty, crv, x = jwk.get("kty"), jwk.get("crv"), jwk.get("x")
    if kty != "OKP" or not isinstance(crv, str) or not isinstance(x, str):
        raise Malformed("the key is no OKP key")
    if len(parse_base64url(x, "the key's x")) != KEY_BYTES:
        raise Malformed(f"the key's x is not {KEY_BYTES} bytes")
    return sha256(canonical({"crv": crv, "kty": "OKP", "x": x}))


def agrees(jwk: Mapping[str, Any]) -> bool:
    """Return whether an X25519 key gives a shared secret at all."""
    try:
        _ANY_PRIVATE_KEY.exchange(X25519PublicKey.from_public_bytes(parse_base64url(jwk["x"], "the key's x")))
    except ValueError:
        return False
    return True


class PublicKey(Model):
    """One public key; a private one in its place is refused."""

    model_config = ConfigDict(hide_input_in_errors=True)

    kty: Literal["OKP"]
    crv: Literal["Ed25519", "X25519"]
    x: Annotated[str, Field(max_length=43)]
    use: Literal["sig", "enc"]
    kid: Annotated[str, Field(max_length=43)] = ""  # its thumbprint, or nothing

    @model_validator(mode="before")
    @classmethod
    def _no_private_member(cls, wire: Any) -> Any:
        if isinstance(wire, Mapping) and "d" in wire:
            raise ValueError("it holds a private key")
        return wire

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        try:
            mark = thumbprint({"kty": self.kty, "crv": self.crv, "x": self.x})
        except Malformed as fault:
            raise ValueError(fault.message) from None
        if self.kid not in ("", mark):
            raise ValueError("kid is not the key's thumbprint")
        if self.use != ("sig" if self.crv == "Ed25519" else "enc"):
            raise ValueError(f"{self.crv} is not for {self.use}")
        if self.crv == "X25519" and not agrees({"x": self.x}):
            raise ValueError("nothing can be sealed to that key")
        return self


class Keys(Model):
    """The public keys of a cluster: one Ed25519 to sign, and the X25519 ones to seal to, newest first."""

    model_config = ConfigDict(hide_input_in_errors=True)

    keys: Annotated[tuple[PublicKey, ...], Field(min_length=2, max_length=1 + SEALING_MAX)]

    @model_validator(mode="after")
    def _one_to_sign(self) -> Self:
        if [k.use for k in self.keys].count("sig") != 1:
            raise ValueError("there is not exactly one Ed25519 key")
        if len({k.x for k in self.keys}) != len(self.keys):
            raise ValueError("a key is there twice")
        return self

    @property
    def signing(self) -> Wire:
        """The JWK that verifies signatures."""
        return next(k for k in self.keys if k.use == "sig").wire()

    @property
    def sealing(self) -> Wire:
        """The newest JWK to seal to."""
        return next(k for k in self.keys if k.use == "enc").wire()

    @property
    def thumbprint(self) -> str:
        """The thumbprint of the signing key, all 43 characters of it."""
        return thumbprint(self.signing)


def forge_public(key: OKPKey) -> Wire:
    """Return the public JWK of a key, as others get it."""
    jwk = {k: v for k, v in key.as_dict(private=False).items() if k in {"kty", "crv", "x"}}
    use = "sig" if jwk["crv"] == "Ed25519" else "enc"
    return {**jwk, "use": use, "kid": thumbprint(jwk)}
