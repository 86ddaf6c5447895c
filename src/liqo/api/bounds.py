"""How long and how many: a bound for everything that somebody else can fill, with its reason."""

from typing import Annotated

from pydantic import Field

CLUSTER_ID = r"^([a-z2-7]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"  # our form, or a legacy UUID
DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"  # RFC 1123
DIGEST = r"^[A-Za-z0-9_-]{0,64}$"
JTI = r"^[a-z0-9]{0,30}$"
HTTPS_URL = r"^https://[^/?#@\s]+/?$"

SEALED_MAX = 16_384  # a kubeconfig with a large CA bundle and a token, sealed, is under 10 KB
MESSAGE_MAX = 1_024
URL_MAX = 2_048
PROOF_MAX = 2_048
RESOURCES_MAX = 64
LABELS_MAX = 64

ClusterIDText = Annotated[str, Field(max_length=36, pattern=CLUSTER_ID)]
Label = Annotated[str, Field(max_length=63, pattern=DNS_LABEL)]
Url = Annotated[str, Field(max_length=URL_MAX, pattern=HTTPS_URL)]
Sealed = Annotated[str, Field(max_length=SEALED_MAX)]
Digest = Annotated[str, Field(max_length=64, pattern=DIGEST)]
Jti = Annotated[str, Field(max_length=30, pattern=JTI)]
Message = Annotated[str, Field(max_length=MESSAGE_MAX)]
ReasonText = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9]*$")]
QuantityText = Annotated[
    str, Field(max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?$")
]
Protocol = Annotated[int, Field(ge=1, le=2)]  # ours, and one version up
