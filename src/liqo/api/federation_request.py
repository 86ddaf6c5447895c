"""FederationRequest: another cluster asks to become our tenant."""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from liqo.api.bounds import PROOF_MAX, ClusterIDText, Label, Message, Protocol, ReasonText, Sealed
from liqo.api.meta import ObjectMeta
from liqo.api.model import Model, Time


class Jwk(Model):
    """A public key (RFC 7517, RFC 8037); private members have no place in the schema."""

    kty: Annotated[str, Field(max_length=8)]
    crv: Annotated[str, Field(max_length=16)]
    x: Annotated[str, Field(max_length=64)]
    use: Annotated[str, Field(max_length=8)] = ""
    kid: Annotated[str, Field(max_length=64)] = ""


class Jwks(Model):
    """The public keys of a cluster: one to sign, one or two to seal to."""

    keys: Annotated[list[Jwk], Field(max_length=3)]


class FederationRequestSpec(Model):
    """What home asks; `proof` signs every other field."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {"rule": "self == oldSelf", "message": "a request is not changed; send a new one"},
                {
                    "rule": "has(self.kubeConfig) != (has(self.withdraw) && self.withdraw)",
                    "message": "a request carries a kubeConfig, a withdrawal does not",
                },
            ]
        }
    )

    protocol: Protocol
    cluster_id: ClusterIDText
    cluster_name: Label
    namespace: Label
    keys: Jwks
    kube_config: Sealed | None = None
    withdraw: bool | None = None
    invite: Label | None = None  # that it came with; the API server lets nobody else name it
    proof: Annotated[str, Field(min_length=1, max_length=PROOF_MAX)]


RequestPhase = Literal["Pending", "Accepted", "Refused"]


class FederationRequestStatus(Model):
    """What became of it, written by foreign."""

    phase: RequestPhase | None = None
    reason: ReasonText = ""
    message: Message = ""
    accepted_at: Time | None = None


class FederationRequest(Model):
    """Another cluster asks to become our tenant."""

    crd: ClassVar = {
        "shortNames": ["fr", "peeringrequest", "peeringrequests"],
        "columns": [
            ("Cluster", "string", ".spec.clusterName"),
            ("Cluster ID", "string", ".spec.clusterID"),
            ("Phase", "string", ".status.phase"),
            ("Reason", "string", ".status.reason"),
            ("Age", "date", ".metadata.creationTimestamp"),
        ],
        "rules": [
            {
                "rule": "self.metadata.name.startsWith(self.spec.clusterID + '-')",
                "message": "the name is <clusterID>-<jti>",
            }
        ],
    }

    metadata: ObjectMeta
    spec: FederationRequestSpec
    status: FederationRequestStatus = FederationRequestStatus()
