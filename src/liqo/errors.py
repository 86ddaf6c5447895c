"""What can go wrong, classed by what the caller should do next.

    Fault
    ├── Refused       no, until something changes: say so in a status, do not retry
    │   ├── Invalid       what we sent or were given breaks a rule
    │   ├── Forbidden     403: we lack the right, or the server has just started and does not know it yet
    │   ├── Unauthorized  401: our token is not taken, or not yet
    │   └── NotTrusted    a certificate, key or signature does not prove what it should
    ├── Unavailable   not now: back off, or wait for `retry_after`
    │   ├── Unreachable   no connection, TLS failure, 5xx
    │   └── Overloaded    429
    ├── Stale         the world moved on: observe again at once
    │   ├── Conflict      409 or 422 on a uid: somebody wrote in between
    │   └── Expired       410: the resourceVersion is too old, list again
    ├── Absent        404: it is not there; adapters raise it, stores answer None
    └── Malformed     their bytes are wrong: drop, count, remember who

Adapters translate at the door (`raise Unreachable(...) from exc`). Our own mistakes stay ValueError and
AssertionError: they are logged with a traceback and never swallowed.
"""

from datetime import timedelta


class Fault(Exception):  # noqa: N818  a fault is classed by what to do, not by being an error
    """Something that a loop or a person can act on.

    Args:
        message: one sentence for a person: what is wrong. Never holds a secret.
        reason: CamelCase, goes to a condition or an event; the class's own name by default.
        hint: what to do about it; "" where nobody can do anything.
    """

    def __init__(self, message: str, *, reason: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or type(self).__name__
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class Refused(Fault):
    """No, until something changes; do not retry."""


class Invalid(Refused):
    """What was sent breaks a rule of the receiver (400, 413, 422)."""


class Forbidden(Refused):
    """The right is missing (403)."""


class Unauthorized(Refused):
    """The token is not taken (401)."""


class NotTrusted(Refused):
    """A certificate, key, address or signature does not prove what it should."""


class Unavailable(Fault):
    """Not now; back off, or wait for `retry_after`."""

    retry_after: timedelta | None = None


class Unreachable(Unavailable):
    """No connection, a TLS failure, or a 5xx."""

    answered: bool = False  # somebody is there and speaks HTTP; what he says is of no use


class Overloaded(Unavailable):
    """The server asks for less (429)."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Stale(Fault):
    """The world moved on; observe again at once."""


class Conflict(Stale):
    """Somebody wrote in between, or the name is taken (409)."""


class Expired(Stale):
    """The resourceVersion is too old (410)."""


class Absent(Fault):
    """It is not there (404)."""


class Malformed(Fault):
    """Their bytes are wrong; drop them, count them, remember who sent them."""
