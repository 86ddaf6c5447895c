"""ClusterConfig: what the owner of this cluster wants; absent means the defaults."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from liqo.api.advertisement import Resources
from liqo.api.bounds import Label, Url
from liqo.api.meta import ObjectMeta, Wire
from liqo.api.model import Model

# A ClusterID, or domain:<SearchDomain> for whatever our own authenticated search found there.
PeerText = Annotated[
    str,
    Field(
        max_length=260,
        pattern=r"^([a-z2-7]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|domain:[a-z0-9.-]{1,253})$",
    ),
]
Percentage = Annotated[int, Field(ge=0, le=100)]


class DiscoveryConfig(Model):
    """Who is looked for, who may find us, and in which mode we are ourselves."""

    enable_discovery: bool = True
    enable_advertisement: bool = True
    service: Annotated[str, Field(max_length=64, pattern=r"^_[a-z0-9-]{1,15}\._(tcp|udp)$")] = "_liqo._tcp"
    domain: Annotated[str, Field(max_length=253)] = "local."
    port: Annotated[int, Field(ge=1, le=65_535)] = 6443
    dns_server: Annotated[str, Field(max_length=1_024)] = "8.8.8.8:53"
    search_interval: Annotated[int, Field(ge=1, le=86_400)] = 30  # seconds
    autojoin: bool = False
    autojoin_untrusted: bool = False
    allow_untrusted_ca: bool = True  # our own mode: publish our CA or not
    accept_untrusted_ca: bool = True  # what we accept of others
    require_authenticated_dns: Annotated[bool, Field(alias="requireAuthenticatedDNS")] = False
    cluster_name: Label | None = None
    api_url: Url | None = None


class OutgoingAdvertisement(Model):
    """What we offer."""

    enable: bool = True
    resource_sharing_percentage: Percentage = 30


class IngoingAdvertisement(Model):
    """What we take."""

    accept_policy: Literal["AutoAcceptMax", "Manual"] = "AutoAcceptMax"
    max_acceptable_advertisement: Annotated[int, Field(ge=0, le=1_000)] = 5
    max_capacity: Resources = Field(default_factory=dict)  # empty: 10 times home's own


class AdvertisementConfig(Model):
    """Resources, given and taken."""

    outgoing: OutgoingAdvertisement = OutgoingAdvertisement()
    ingoing: IngoingAdvertisement = IngoingAdvertisement()


class PeeringConfig(Model):
    """Who may become our tenant."""

    request_policy: Literal["Accept", "Manual", "Deny"] = "Accept"
    allowed_clusters: Annotated[list[PeerText], Field(max_length=1_000)] = Field(default_factory=list)
    denied_clusters: Annotated[list[PeerText], Field(max_length=1_000)] = Field(default_factory=list)
    max_pending: Annotated[int, Field(ge=0, le=10_000)] = 100
    max_peers: Annotated[int, Field(ge=0, le=1_000)] = 16
    forget_after: Annotated[int, Field(ge=60, le=31_536_000)] = 86_400  # seconds
    private_egress: bool = False  # may tenants' pods reach private addresses, nodes and the API server


class ClusterConfigSpec(Model):
    """All settings; each has a default."""

    discovery_config: DiscoveryConfig = DiscoveryConfig()
    advertisement_config: AdvertisementConfig = AdvertisementConfig()
    peering_config: PeeringConfig = PeeringConfig()


class ClusterConfig(Model):
    """What the owner of this cluster wants."""

    crd: ClassVar = {
        "shortNames": [],
        "columns": [
            ("Requests", "string", ".spec.peeringConfig.requestPolicy"),
            ("Share %", "integer", ".spec.advertisementConfig.outgoing.resourceSharingPercentage"),
            ("Age", "date", ".metadata.creationTimestamp"),
        ],
        "rules": [
            {"rule": "self.metadata.name == 'clusterconfig'", "message": "there is one, named clusterconfig"}
        ],
    }

    metadata: ObjectMeta = ObjectMeta()
    spec: ClusterConfigSpec = ClusterConfigSpec()


def effective(stored: Wire | None) -> ClusterConfigSpec:
    """Return the settings in force: those of the object, and the defaults for what it does not say.

    Raises:
        Malformed: it breaks a bound, which admission does not let through.
    """
    return ClusterConfig.parse(stored).spec if stored is not None else ClusterConfigSpec()
