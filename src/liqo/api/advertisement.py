"""Advertisement: what a foreign cluster offers us, or why it does not."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from liqo.api.bounds import (
    LABELS_MAX,
    RESOURCES_MAX,
    ClusterIDText,
    Digest,
    Jti,
    Label,
    Message,
    Protocol,
    QuantityText,
    ReasonText,
    Sealed,
)
from liqo.api.meta import ObjectMeta
from liqo.api.model import Model

Resources = Annotated[dict[str, QuantityText], Field(max_length=RESOURCES_MAX)]
NodeLabels = Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=LABELS_MAX)]


class AdvertisementSpec(Model):
    """Written by foreign, with the identity that home sent it."""

    protocol: Protocol
    cluster_id: ClusterIDText
    cluster_name: Label
    namespace: Label | None = None  # home's own namespace on foreign
    phase: Literal["Offered", "Refused", "Ending"]
    reason: ReasonText = ""
    message: Message = ""
    answers: Jti
    resources: Resources = Field(default_factory=dict)
    labels: NodeLabels = Field(default_factory=dict)  # that all nodes have with this value
    kube_config: Sealed | None = None
    token_seen: Digest = ""
    sealing_key: Digest = ""  # the thumbprint of the key that home is to seal to


class AdvertisementStatus(Model):
    """Written by home."""

    phase: Literal["Accepted", "Refused"] | None = None
    reason: ReasonText = ""
    message: Message = ""
    answers: Jti = ""
    kube_config: Sealed | None = None  # a newer token for foreign, sealed to it
    token_seen: Digest = ""


class Advertisement(Model):
    """What a foreign cluster offers us."""

    crd: ClassVar = {
        "shortNames": ["adv"],
        "columns": [
            ("Cluster", "string", ".spec.clusterName"),
            ("Offer", "string", ".spec.phase"),
            ("CPU", "string", ".spec.resources.cpu"),
            ("Memory", "string", ".spec.resources.memory"),
            ("Pods", "string", ".spec.resources.pods"),
            ("Status", "string", ".status.phase"),
            ("Reason", "string", ".status.reason"),
            ("Age", "date", ".metadata.creationTimestamp"),
        ],
        "rules": [
            {"rule": "self.metadata.name == self.spec.clusterID", "message": "the name is the clusterID"}
        ],
    }

    metadata: ObjectMeta
    spec: AdvertisementSpec
    status: AdvertisementStatus = AdvertisementStatus()
