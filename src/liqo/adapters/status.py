"""What an API server's answer means: metav1.Status → Fault, its message bounded and free of secrets."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import orjson

from liqo.errors import (
    Absent,
    Conflict,
    Expired,
    Fault,
    Forbidden,
    Invalid,
    Overloaded,
    Unauthorized,
    Unreachable,
)

MESSAGE_CHARS = 1000
RETRY_AFTER_MAX = timedelta(hours=1)
_SERVER_ERRORS = 500

# JSON web tokens, sealed or signed, and whatever else is long and looks like base64: a server quotes what it
# refuses, and what it refuses may be a token.
_SECRET = re.compile(
    r"eyJ[\w-]{8,}(?:\.[\w-]*)*|[A-Za-z0-9+/_=-]{80,}|-----BEGIN [^-]+-----[^-]*(?:-----END [^-]+-----)?"
)
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


def clean(text: str) -> str:
    """Return a text that others wrote as one bounded line without anything that may be a secret."""
    short = _SECRET.sub("***", _BLANK.sub(" ", text[: MESSAGE_CHARS * 8]))
    return short if len(short) <= MESSAGE_CHARS else short[: MESSAGE_CHARS - 1] + "…"


def parse_fault(code: int, body: bytes, headers: Mapping[str, str], what: str, now: datetime) -> Fault:
    """Return the Fault that an answer other than 2xx means.

    Args:
        code: of the answer.
        body: a Status, or any text.
        headers: Retry-After is read.
        what: was asked: "get pods default/a".
        now: the instant, for a Retry-After that is a date.
    """
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        status = None
    said = (
        status.get("message") if isinstance(status, dict) else body[:MESSAGE_CHARS].decode(errors="replace")
    )
    return make_fault(
        code, clean(f"{what}: {said or _phrase(code)}"), status, parse_retry_after(headers, now)
    )


def make_fault(code: int, message: str, status: Any = None, retry_after: timedelta | None = None) -> Fault:
    """Return the Fault of a code; `status` tells a conflict on a uid from what is invalid."""
    match code:
        case HTTPStatus.UNAUTHORIZED:
            return Unauthorized(message)
        case HTTPStatus.FORBIDDEN:
            return Forbidden(message)
        case HTTPStatus.NOT_FOUND:
            return Absent(message)
        case HTTPStatus.CONFLICT:
            return Conflict(message)
        case HTTPStatus.GONE:
            return Expired(message)
        case HTTPStatus.UNPROCESSABLE_ENTITY if _is_about_uid(status):
            return Conflict(message)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return Overloaded(message, retry_after=retry_after)
        case _ if HTTPStatus.MULTIPLE_CHOICES <= code < HTTPStatus.BAD_REQUEST:
            fault = Unreachable(f"{message}; it redirects, and redirects are not followed")
            fault.answered = True
            return fault
        case _ if code >= _SERVER_ERRORS or code < HTTPStatus.BAD_REQUEST:
            fault = Unreachable(message)
            fault.retry_after, fault.answered = retry_after, True
            return fault
        case _:
            return Invalid(message)


def parse_retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return what a Retry-After header asks for (RFC 9110 §10.2.3), at most an hour; None without one."""
    text = headers.get("Retry-After", "")
    if text.isascii() and text.isdecimal():
        return min(timedelta(seconds=int(text[:9])), RETRY_AFTER_MAX)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return min(max(at - now, timedelta(0)), RETRY_AFTER_MAX)


def _phrase(code: int) -> str:
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)


def _is_about_uid(status: Any) -> bool:
    """Return whether the cause of an Invalid is that the object is another one by now."""
    details = status.get("details") if isinstance(status, dict) else None
    causes = details.get("causes") if isinstance(details, dict) else None
    return isinstance(causes, list) and any(
        isinstance(c, dict) and c.get("field") == "metadata.uid" for c in causes
    )
