"""How long a token lives and when the next one is due; pure."""

from datetime import datetime, timedelta
from typing import Any

from liqo.api.meta import Wire

LIFETIME = timedelta(hours=12)  # hours, not years: a leaked one ends by itself
RENEW_AT = 2 / 3  # of its life
LAST_CALL = 5 / 6  # of its life: unacknowledged by now, ask anew


def renewal(expires: datetime, lifetime: timedelta = LIFETIME, share: float = RENEW_AT) -> datetime:
    """Return when a share of a token's life is over."""
    return expires - lifetime * (1 - share)


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
