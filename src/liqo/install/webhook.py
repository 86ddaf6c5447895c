"""Where the API server asks whether a FederationRequest may be stored; pure."""

from dataclasses import dataclass

from liqo.api.kinds import FEDERATION_REQUEST, VALIDATING_WEBHOOK
from liqo.api.meta import Wire
from liqo.api.names import WEBHOOK_CONFIGURATION
from liqo.api.rights import forge_object

WEBHOOK_PATH = "/admission"
WEBHOOK_PORT = 9443
WEBHOOK_SERVICE = "liqo-webhook"
TIMEOUT_SECONDS = 1  # the API server holds a seat meanwhile


@dataclass(frozen=True, slots=True)
class Url:
    """The controller runs beside the cluster, at this address (https://HOST:PORT/admission)."""

    url: str


@dataclass(frozen=True, slots=True)
class Service:
    """The controller runs in the cluster, behind a Service in Liqo's namespace."""

    name: str = WEBHOOK_SERVICE


Endpoint = Url | Service


def webhook_name(kind: str = FEDERATION_REQUEST.plural) -> str:
    """Return the name of the webhook for one kind, by which the CA bundle is filled in."""
    return f"{kind}.liqo.io"


def forge_webhook(ns: str, endpoint: Endpoint) -> Wire:
    """Return the configuration without its CA bundle.

    The controller fills that in at run time under a manager of its own; who applies this without owning it
    does not take it away.
    """
    return forge_object(
        VALIDATING_WEBHOOK,
        WEBHOOK_CONFIGURATION,
        webhooks=[
            {
                "name": webhook_name(),
                "clientConfig": forge_client(ns, endpoint),
                "rules": [
                    {
                        "apiGroups": [FEDERATION_REQUEST.group],
                        "apiVersions": [FEDERATION_REQUEST.version],
                        "operations": ["CREATE"],
                        "resources": [FEDERATION_REQUEST.plural],
                        "scope": "Namespaced",
                    }
                ],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns}},
                "failurePolicy": "Fail",
                "matchPolicy": "Equivalent",
                "sideEffects": "None",
                "timeoutSeconds": TIMEOUT_SECONDS,
                "admissionReviewVersions": ["v1"],
            }
        ],
    )


def forge_client(ns: str, endpoint: Endpoint) -> Wire:
    """Return where a webhook is called, without the CA bundle."""
    if isinstance(endpoint, Url):
        return {"url": endpoint.url}
    return {"service": {"name": endpoint.name, "namespace": ns, "path": WEBHOOK_PATH, "port": WEBHOOK_PORT}}
