"""ForeignCluster: another cluster that we know of, and how we stand with it."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from liqo.api.advertisement import NodeLabels, Resources
from liqo.api.bounds import (
    CERTIFICATES_MAX,
    ClusterIDText,
    Digest,
    Fingerprint,
    Jti,
    Label,
    Message,
    ReasonText,
    Sealed,
    Url,
)
from liqo.api.cidrs import CIDR_CHARS, CIDRS_MAX
from liqo.api.meta import Condition, ObjectMeta
from liqo.api.model import Model, Time
from liqo.api.reasons import ConditionType, Reason

PodCidr = Annotated[
    str,
    Field(
        max_length=CIDR_CHARS,
        json_schema_extra={
            "x-kubernetes-validations": [
                {"rule": "isCIDR(self)", "message": "a pod network is a CIDR, like 10.244.0.0/16"}
            ]
        },
    ),
]
DiscoveryType = Literal["LAN", "WAN", "Manual", "IncomingPeering"]


class Pin(Model):
    """By what a cluster with a legacy id is known, since a UUID proves nothing; empty is not known."""

    signing_key: Digest = ""  # the thumbprint of its identity key
    ca_fingerprints: Annotated[list[Fingerprint], Field(max_length=CERTIFICATES_MAX)] = Field(
        default_factory=list
    )


class FirstUse(Pin):
    """What it showed when it was met first."""

    once_trusted: bool = (
        False  # a CA that we trust verified its certificate: its own word is not enough again
    )


class ForeignClusterSpec(Model):
    """What a person or a finder says about it."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "!has(oldSelf.clusterID) || "
                    "(has(self.clusterID) && self.clusterID == oldSelf.clusterID)",
                    "message": "clusterID does not change; another id is another ForeignCluster",
                },
                {
                    "rule": "has(self.clusterID) || has(self.apiUrl)",
                    "message": "clusterID or apiUrl is needed",
                },
            ]
        }
    )

    cluster_id: ClusterIDText | None = None  # learnt from the well-known document if apiUrl is known
    cluster_name: Label | None = None
    namespace: Label = "liqo"
    join: bool = False
    api_url: Url | None = None
    door_url: Url | None = None
    discovery_type: DiscoveryType = "Manual"
    allow_untrusted_ca: bool = False
    incoming: Literal["Default", "Allow", "Deny"] = "Default"
    max_capacity: Resources = Field(default_factory=dict)
    accept_offer: bool = False  # a person takes what it offers, whatever the settings say
    invite: Sealed | None = None  # that its owner gave us, sealed to our own key
    pin: Pin | None = None  # of a legacy id: what a person says it is known by, before status.pin
    pod_cidrs: Annotated[list[PodCidr], Field(max_length=CIDRS_MAX)] = Field(
        default_factory=list
    )  # where its pods are, instead of what it tells itself


ENDPOINTS_MAX = 16


class Source(Model):
    """Where it was seen, by one finder."""

    name: Annotated[str, Field(max_length=260)]  # lan, dns/<SearchDomain>, manual
    endpoints: Annotated[list[Url], Field(max_length=ENDPOINTS_MAX)] = Field(default_factory=list)
    ttl_seconds: int | None = None
    last_seen: Time | None = None  # when the entry last changed, not each time it is seen
    instance: Annotated[str, Field(max_length=255)] = ""  # its name there
    authenticated: bool = False  # the way it was found proves that its owner wrote it
    conflict: Message = ""  # why this may not be the cluster


OutgoingPhase = Literal["Requesting", "Requested", "Established", "Refused", "Ending"]


class Outgoing(Model):
    """How far our own request has come; absent while nothing of it is anywhere."""

    phase: OutgoingPhase | None = None
    jti: Jti = ""  # of the newest request
    requested_at: Time | None = None
    server: str = ""  # where the request went
    token_digest: Digest = ""  # of the newest sealed kubeconfig that we handed over
    token_renews: Time | None = None  # when the next one is due
    token_expires: Time | None = None
    namespace: str = ""  # ours, on foreign
    sealed_to: Digest = ""  # the thumbprint of the key that it was sealed to
    node_name: str | None = None
    refused_generation: int | None = None  # the generation of spec that was refused
    ending_since: Time | None = None
    asked_as: str = ""  # our own ClusterID at that time
    access: Digest = ""  # of our own address and CA, as we handed them over


class Incoming(Model):
    """How far the other cluster's request has come; absent while nothing of it is here."""

    phase: Literal["Accepted", "Offered", "Ending"] | None = None
    jti: Jti = ""  # of the request that was accepted
    last_request: Time | None = None  # its iat; an older request loses
    namespace: str = ""  # where Liqo works at home
    server: str = ""
    kube_config: Sealed | None = None  # the newest that home sent, sealed to us
    token_digest: Digest = ""  # of the newest sealed kubeconfig that we handed over
    token_renews: Time | None = None  # when the next one is due
    token_expires: Time | None = None
    access: Digest = ""  # of our own address and CA, as we handed them over
    offered: Resources | None = None  # by the room `sharing`
    offered_labels: NodeLabels = Field(default_factory=dict)  # by the room `sharing`, too
    accepted_at: Time | None = None
    reason: ReasonText = ""
    message: Message = ""
    ending_since: Time | None = None


class ForeignClusterStatus(Model):
    """What is."""

    sources: list[Source] = Field(
        default_factory=list,
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    outgoing: Outgoing | None = None
    incoming: Incoming | None = None
    signing_key: Digest = ""  # the thumbprint of its identity key, once proved
    pin: FirstUse | None = None  # of a legacy id
    shown: Pin | None = None  # what it shows instead, which stops the peering until a person accepts it
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )


class ForeignCluster(Model):
    """Another cluster that we know of."""

    crd: ClassVar = {
        "shortNames": ["fc"],
        "columns": [
            ("Type", "string", ".spec.discoveryType"),
            ("Joined", "boolean", ".spec.join"),
            ("Outgoing", "string", ".status.outgoing.phase"),
            ("Incoming", "string", ".status.incoming.phase"),
            ("Node", "string", ".status.outgoing.nodeName"),
            ("Ready", "string", '.status.conditions[?(@.type=="NodeReady")].status'),
            ("Reason", "string", '.status.conditions[?(@.type=="NodeReady")].reason'),
            ("Cluster ID", "string", ".spec.clusterID", 1),
            ("URL", "string", ".spec.apiUrl", 1),
            ("Age", "date", ".metadata.creationTimestamp"),
        ],
        "rules": [],
    }

    metadata: ObjectMeta
    spec: ForeignClusterSpec
    status: ForeignClusterStatus = ForeignClusterStatus()


def endpoints_of(foreign: ForeignCluster) -> list[str]:
    """Return the URLs of its API server in the order in which they are tried, at most ENDPOINTS_MAX.

    What a person entered comes first. Where nobody did, the finders' newest word does, and spec.apiUrl is where
    it was when it was found.
    """
    entered = [foreign.spec.api_url] if foreign.spec.api_url else []
    found = [url for source in foreign.status.sources for url in source.endpoints]
    both = [*found, *entered] if foreign.spec.discovery_type in {"LAN", "WAN"} else [*entered, *found]
    return list(dict.fromkeys(url.rstrip("/") for url in both))[:ENDPOINTS_MAX]


def counting(siblings: Sequence[ForeignCluster]) -> ForeignCluster | None:
    """Return which of several ForeignClusters with one clusterID counts.

    The one already peered, then one at whose address no other cluster was seen, then one that a person wrote, then the
    oldest; a name decides between equals. One that is being deleted counts only while nothing else does.
    """
    return min(siblings, key=_rank, default=None)


def is_contradicted(foreign: ForeignCluster) -> bool:
    """Return whether whoever was met last at its address is not the cluster with that id."""
    told = {(c.type, c.status, c.reason) for c in foreign.status.conditions}
    return not told.isdisjoint(
        {
            (ConditionType.IDENTITY_VERIFIED, "False", Reason.WRONG_CLUSTER_ID),
            (ConditionType.TRUSTED, "False", Reason.PIN_CHANGED),
        }
    )


def _rank(foreign: ForeignCluster) -> tuple[bool, bool, bool, bool, str, str]:
    outgoing = foreign.status.outgoing
    peered = foreign.spec.join and outgoing is not None and outgoing.phase not in {None, "Refused", "Ending"}
    created = foreign.metadata.creation_timestamp
    return (
        foreign.metadata.deletion_timestamp is not None,
        not peered,
        is_contradicted(foreign),
        foreign.spec.discovery_type != "Manual",
        created.isoformat() if created else "",
        foreign.metadata.name,
    )
