"""The one spelling of bytes that are hashed or signed: canonical JSON, base64url, SHA-256."""

import base64
import hashlib
from typing import Any

import orjson

from liqo.errors import Malformed


def canonical(value: Any) -> bytes:
    """Write JSON with sorted keys and no spaces (RFC 8785, for values without fractions).

    Raises:
        Malformed: it nests deeper than 254, or holds an integer over 64 bits or half a surrogate pair.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as exc:
        raise Malformed(f"it cannot be written as canonical JSON: {exc}") from None


def parse_object(raw: bytes, what: str) -> dict[str, Any]:
    """Read a JSON object; a parser's error would carry the text along, so it is dropped here.

    Raises:
        Malformed: it is something else.
    """
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Malformed(f"{what} is not a JSON object")
    return found


def format_base64url(raw: bytes) -> str:
    """Write bytes as base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def parse_base64url(text: str, what: str) -> bytes:
    """Read base64url without padding; each value has one spelling only (RFC 4648 §3.5).

    Raises:
        Malformed: another alphabet, padding, or bits that are left over.
    """
    raw = b""
    if text.isascii():
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        except ValueError:
            raw = b""
    if format_base64url(raw) != text:
        raise Malformed(f"{what} is not base64url")
    return raw


def sha256(raw: bytes) -> str:
    """Return a SHA-256 as base64url: 43 characters."""
    return format_base64url(hashlib.sha256(raw).digest())
