"""How long and how many: a bound for everything that somebody else can fill, with its reason."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

CLUSTER_ID = r"^([a-z2-7]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"  # our form, or a legacy UUID
DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"  # RFC 1123
DIGEST = r"^[A-Za-z0-9_-]{0,64}$"
JTI = r"^[a-z0-9]{0,30}$"
FINGERPRINT = r"^[0-9A-F]{2}(:[0-9A-F]{2}){31}$"  # SHA-256, as openssl prints it
HTTPS_URL = r"^https://[^/?#@\s]+/?$"

FOREIGN_NAME = (
    r"^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$"  # of a ForeignCluster, where it can be the value of a label
)

CLUSTERS_MAX = 32  # that one namespace names: twice the peers that a cluster has by default
SEALED_MAX = 16_384  # a kubeconfig with a large CA bundle and a token, sealed, is under 10 KB
MESSAGE_MAX = 1_024
URL_MAX = 2_048
PROOF_MAX = 2_048
RESOURCES_MAX = 64
LABELS_MAX = 64
CERTIFICATES_MAX = 16  # a CA and its predecessors, with room


def _in_words(message: str) -> Callable[[dict[str, Any]], None]:
    """Return what makes a pattern a CEL rule, so that who breaks it is told in words and not in a pattern."""

    def change(schema: dict[str, Any]) -> None:
        pattern = schema.pop("pattern").replace("\\", "\\\\")
        schema["x-kubernetes-validations"] = [{"rule": f"self.matches('{pattern}')", "message": message}]

    return change


ClusterIDText = Annotated[
    str,
    Field(
        max_length=36,
        pattern=CLUSTER_ID,
        json_schema_extra=_in_words(
            "a ClusterID has 32 characters, a-z and 2-7: kubectl get configmap cluster-id -n liqo, on that cluster"
        ),
    ),
]
Label = Annotated[str, Field(max_length=63, pattern=DNS_LABEL)]
Url = Annotated[
    str,
    Field(
        max_length=URL_MAX,
        pattern=HTTPS_URL,
        json_schema_extra=_in_words("the URL has to be https://HOST:PORT, without a path"),
    ),
]
Sealed = Annotated[str, Field(max_length=SEALED_MAX)]
Digest = Annotated[str, Field(max_length=64, pattern=DIGEST)]
Fingerprint = Annotated[str, Field(max_length=95, pattern=FINGERPRINT)]
Jti = Annotated[str, Field(max_length=30, pattern=JTI)]
Message = Annotated[str, Field(max_length=MESSAGE_MAX)]
ReasonText = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9]*$")]
QuantityText = Annotated[
    str, Field(max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?$")
]
Protocol = Annotated[int, Field(ge=1, le=2)]  # ours, and one version up
