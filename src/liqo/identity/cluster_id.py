"""Keys, and the ClusterID that is their hash.

The Ed25519 key never changes: its hash is the id, so that a new key is a new cluster. The X25519 key, to
which others seal, may change at any time; what is signed names the new one.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NewType, NoReturn

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from liqo.errors import Malformed
from liqo.identity.canonical import canonical, parse_base64url, parse_object
from liqo.identity.keys import Keys, forge_public, thumbprint

ClusterID = NewType("ClusterID", str)

ID_BYTES = 20  # 160 bits of the thumbprint: 32 characters of base32, and nobody finds a second key for them
IDENTITY_ENTRY = "identity.jwk"
SEALING_ENTRY = "sealing.jwk"
PREVIOUS_ENTRY = "sealing-previous.jwk"  # opens what was sealed before the sealing key was changed
ENTRY_MAX = 4_096  # characters of one entry

_PROVABLE = re.compile(r"[a-z2-7]{32}")
_LEGACY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Form(StrEnum):
    """What an id can prove."""

    PROVABLE = "provable"  # the hash of a key
    LEGACY = "legacy"  # a UUID that somebody wrote down; it proves nothing


def is_cluster_id(text: str) -> bool:
    """Return whether a text has the form of an id that is the hash of a key."""
    return _PROVABLE.fullmatch(text) is not None


def is_legacy_id(text: str) -> bool:
    """Return whether a text is a UUID in canonical form, lower case (RFC 9562 §4)."""
    return _LEGACY.fullmatch(text) is not None


def check_id(text: str) -> Form:
    """Return which form an id has.

    Raises:
        Malformed: neither of the two.
    """
    if is_cluster_id(text):
        return Form.PROVABLE
    if is_legacy_id(text):
        return Form.LEGACY
    raise Malformed("a ClusterID is 32 characters of a-z and 2-7, or a UUID in lower case")


def cluster_id_of(jwk: Mapping[str, Any]) -> ClusterID:
    """Return the id that belongs to a public Ed25519 key.

    It is the first 160 bits of the RFC 7638 SHA-256 thumbprint in base32 (RFC 4648 §6), lower case.

    Raises:
        Malformed: it is no Ed25519 key.
    """
    if jwk.get("crv") != "Ed25519":
        raise Malformed("the key is no Ed25519 key")
    digest = parse_base64url(thumbprint(jwk), "the thumbprint")
    return ClusterID(base64.b32encode(digest[:ID_BYTES]).decode("ascii").lower())


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """Who this cluster is, and the private keys that prove it.

    Its repr shows the id alone, and it cannot be pickled or copied.
    """

    keys: Keys  # the public side
    signing_key: OKPKey = field(compare=False)
    sealing_keys: tuple[OKPKey, ...] = field(compare=False)  # newest first

    @property
    def cluster_id(self) -> ClusterID:
        """The id that the signing key makes."""
        return cluster_id_of(self.keys.signing)

    def __repr__(self) -> str:
        return f"Identity({self.cluster_id})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Identity is written only by format_identity")


def _forge_identity(signing: OKPKey, sealing: tuple[OKPKey, ...]) -> Identity:
    keys = Keys.parse({"keys": [forge_public(key) for key in (signing, *sealing)]})
    return Identity(keys=keys, signing_key=signing, sealing_keys=sealing)


def new_identity() -> Identity:
    """Make an identity that nobody has."""
    return _forge_identity(OKPKey.generate_key("Ed25519"), (OKPKey.generate_key("X25519"),))


def rotate_sealing(identity: Identity) -> Identity:
    """Return the same cluster with a new key to seal to; the one before still opens."""
    return _forge_identity(identity.signing_key, (OKPKey.generate_key("X25519"), identity.sealing_keys[0]))


def format_identity(identity: Identity) -> dict[str, str]:
    """Write an identity as the stringData of a Secret. The values are private keys."""
    entries = dict(zip((SEALING_ENTRY, PREVIOUS_ENTRY), identity.sealing_keys, strict=False))
    entries[IDENTITY_ENTRY] = identity.signing_key
    return {name: canonical(k.as_dict(private=True)).decode("ascii") for name, k in sorted(entries.items())}


def parse_identity(data: Mapping[str, str | bytes]) -> Identity:
    """Read an identity from a Secret: its `data`, in base64, or what `format_identity` wrote.

    Raises:
        Malformed: an entry is missing or no private key; the message names the entry, never its value.
    """
    sealing = [_parse_private(data, SEALING_ENTRY, "X25519")]
    if PREVIOUS_ENTRY in data:
        sealing.append(_parse_private(data, PREVIOUS_ENTRY, "X25519"))
    return _forge_identity(_parse_private(data, IDENTITY_ENTRY, "Ed25519"), tuple(sealing))


def _parse_private(
    data: Mapping[str, str | bytes], entry: str, curve: Literal["Ed25519", "X25519"]
) -> OKPKey:
    """Read one private key; its public half has to belong to it."""
    jwk = parse_object(_entry(data, entry), entry)
    x, d = jwk.get("x"), jwk.get("d")
    key = None
    if jwk.get("kty") == "OKP" and jwk.get("crv") == curve and isinstance(x, str) and isinstance(d, str):
        try:
            key = OKPKey.import_key({"kty": "OKP", "crv": curve, "x": x, "d": d})
            fits = forge_public(OKPKey.import_key(key.raw_value))["x"] == x
        except (JoseError, ValueError):
            fits = False
        key = key if fits else None
    if key is None:
        raise Malformed(f"{entry} is not a private {curve} key", hint="restore the Secret from a copy")
    return key


def _entry(data: Mapping[str, str | bytes], entry: str) -> bytes:
    """Return the JSON of an entry; a Secret's data is base64, in which there is no brace."""
    value = data.get(entry, "")
    raw = value.encode("utf-8") if isinstance(value, str) else value
    if not raw:
        raise Malformed(f"{entry} is missing", hint="restore the Secret from a copy")
    if len(raw) > ENTRY_MAX:
        raise Malformed(f"{entry} is longer than {ENTRY_MAX} characters")
    if raw.lstrip().startswith(b"{"):
        return raw
    try:
        return base64.b64decode(raw, validate=True)
    except ValueError:
        return b""
