"""How long a token lives and when the next one is due; pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from liqo.api.meta import Wire, format_time, parse_time
from liqo.runtime.secret import Secret

LIFETIME = timedelta(hours=12)  # asked for: hours, not years, since a leaked one ends by itself
RENEW_AT = 2 / 3  # of its life, whatever the API server made that


@dataclass(frozen=True, slots=True)
class Token:
    """A token that we issued."""

    text: Secret
    renews: datetime  # when the next one is due
    expires: datetime

    def times(self) -> dict[str, str]:
        """Return both instants as a status keeps them."""
        return {"tokenRenews": format_time(self.renews), "tokenExpires": format_time(self.expires)}


def parse_token(answer: Wire, now: datetime) -> Token:
    """Read the answer to a TokenRequest; the API server may have given less time than was asked for."""
    status = answer["status"]
    expires = parse_time(status["expirationTimestamp"])
    return Token(Secret(status["token"]), now + (expires - now) * RENEW_AT, expires)


def last_call(renews: datetime, expires: datetime) -> datetime:
    """Return when a token that nobody acknowledged is asked to be replaced by a new request: at 5/6 of its life."""
    return renews + (expires - renews) / 2


def forge_token_request(lifetime: timedelta = LIFETIME) -> Wire:
    """Return a TokenRequest for the API server's own audience (authentication.k8s.io/v1)."""
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": int(lifetime.total_seconds())},
    }


def forge_access_review(account: str, namespace: str, attributes: dict[str, Any]) -> Wire:
    """Return a SubjectAccessReview for a ServiceAccount (authorization.k8s.io/v1)."""
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{namespace}:{account}",
            "groups": [
                "system:serviceaccounts",
                f"system:serviceaccounts:{namespace}",
                "system:authenticated",
            ],
            "resourceAttributes": attributes,
        },
    }
