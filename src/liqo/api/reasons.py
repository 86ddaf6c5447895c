"""Every condition type and reason that we set, with the sentence that explains it.

The reference page is made from here, and a test fails when a reason is used that is not here.
"""

from enum import StrEnum
from typing import Self


class _Documented(StrEnum):
    sentence: str

    def __new__(cls, value: str, sentence: str) -> Self:
        """Keep the sentence beside the value."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member


def sentence_of(reason: str) -> str:
    """Return the sentence that explains a reason; "" for one that is not ours."""
    known = Reason._value2member_map_.get(reason)
    return known.sentence if isinstance(known, Reason) else ""


def known_reason(reason: str, otherwise: "Reason") -> "Reason":
    """Return a reason of ours by its name."""
    known = Reason._value2member_map_.get(reason)
    return known if isinstance(known, Reason) else otherwise


class ConditionType(_Documented):
    """The conditions of a ForeignCluster; the last two are a SearchDomain's."""

    DISCOVERED = "Discovered", "At least one finder sees the cluster."
    IDENTITY_VERIFIED = (
        "IdentityVerified",
        "The cluster proved to hold the key that its ClusterID is made of.",
    )
    TRUSTED = "Trusted", "The certificate of its API server is accepted."
    REQUESTED = "Requested", "Our FederationRequest reached the cluster."
    ACCEPTED = "Accepted", "The cluster accepted our request."
    ADVERTISED = "Advertised", "The cluster's offer is here and accepted by us."
    NODE_READY = "NodeReady", "The virtual node is there and takes pods."
    INCOMING_ACCEPTED = "IncomingAccepted", "We accepted the cluster's request."
    SHARING = "Sharing", "The cluster has our current offer."
    ANSWERED = "Answered", "A name server answered for the domain."
    AUTHENTICATED = "Authenticated", "The answers prove that the domain's owner wrote them."


class Reason(_Documented):
    """Why a condition is what it is."""

    # all conditions
    NOT_JOINED = "NotJoined", "spec.join is false: nothing is asked of that cluster."
    DUPLICATE_CLUSTER_ID = (
        "DuplicateClusterID",
        "Another ForeignCluster with the same clusterID counts; this one has no effect.",
    )
    # discovery, of a ForeignCluster
    FOUND = "Found", "A finder sees the cluster."
    ENTERED = "Entered", "A person entered it; no finder sees it."
    LOST = "Lost", "No finder sees the cluster any more; a peering with it goes on as long as it answers."
    ID_CONFLICT = (
        "IdConflict",
        "Several claim this ClusterID, or another cluster is at an address of it; the one that proves it counts.",
    )
    # discovery, of a SearchDomain
    ANSWERED = "Answered", "A name server answered for the domain."
    NO_SUCH_DOMAIN = "NoSuchDomain", "The name server says that the domain does not exist (NXDOMAIN)."
    NO_INSTANCES = "NoInstances", "The domain has no PTR record that leads to a cluster."
    SERVER_FAILED = "ServerFailed", "The name server could not answer (SERVFAIL)."
    SERVER_REFUSED = "ServerRefused", "The name server does not want to answer us (REFUSED)."
    SERVER_AWAY = "ServerAway", "No name server answered in time."
    BAD_ANSWER = "BadAnswer", "The name server's answer cannot be read."
    BAD_DOMAIN = "BadDomain", "spec.domain is not a domain name."
    BAD_SERVER = "BadServer", "spec.discoveryConfig.dnsServer of ClusterConfig is not one that we can ask."
    DNSSEC = "DNSSEC", "The answer is signed, and the signature was checked."
    ENCRYPTED = "Encrypted", "The answer came over TLS from the configured name server."
    PLAIN_DNS = "PlainDNS", "Plain DNS: anybody on the way could have written the answer."
    NOT_AUTHENTICATED = (
        "NotAuthenticated",
        "The answer is not authenticated, and requireAuthenticatedDNS holds autojoin back.",
    )
    # discovery, of one instance in a domain or on the LAN
    NO_SRV = "NoSRV", "The instance has no SRV record."
    NO_SERVICE = "NoService", 'The SRV record says that the service is not there (target ".", RFC 2782).'
    BAD_SRV = "BadSRV", "The SRV record names a port or target that cannot be."
    NO_TXT = "NoTXT", "The instance has no TXT record with key=value pairs."
    NO_CLUSTER_ID = "NoClusterID", "The TXT record has no id=."
    BAD_CLUSTER_ID = "BadClusterID", "id= in the TXT record is not a ClusterID."
    NO_NAMESPACE = "NoNamespace", "The TXT record has no namespace=."
    BAD_NAMESPACE = "BadNamespace", "namespace= in the TXT record is not a namespace."
    BAD_URL = "BadURL", "url= or door= in the TXT record is not an https URL without path."
    UNKNOWN_VERSION = "UnknownVersion", "v= in the TXT record is a version that we do not know."
    NO_ADDRESS = "NoAddress", "No address of the cluster is known, or none that we may use."
    CNAME_LOOP = "CNAMELoop", "The aliases of a name lead nowhere, or in a circle."
    TOO_MANY = "TooMany", "There are more clusters than are taken."
    # identity and trust
    VERIFIED = "Verified", "The well-known document is signed with the key that the ClusterID is made of."
    LEGACY_CLUSTER_ID = "LegacyClusterID", "The ClusterID is a UUID, which proves nothing."
    WRONG_CLUSTER_ID = "WrongClusterID", "Another cluster answers at that address."
    PROOF_MISSING = "ProofMissing", "The request carries no proof of who sent it."
    WRONG_AUDIENCE = "WrongAudience", "The request was made for another cluster."
    PROOF_EXPIRED = "ProofExpired", "The request was signed too long ago, or the clocks differ."
    DIGEST_MISMATCH = "DigestMismatch", "The request was changed after it was signed."
    NAME_MISMATCH = "NameMismatch", "The name of the request is not the one that was signed."
    MALFORMED = "Malformed", "The request is not such that it can be read."
    STALE_REQUEST = "StaleRequest", "A newer request of the same cluster was taken already."
    IDENTITY_REPLACED = "IdentityReplaced", "The cluster at that address has a new identity."
    IDENTITY_LOST = (
        "IdentityLost",
        "The Secret with this cluster's own key is gone: liqo identity restore, or liqo identity new.",
    )
    IDENTITY_MISMATCH = (
        "IdentityMismatch",
        "This cluster's own key is not the one that its ClusterID is made of.",
    )
    BAD_SIGNATURE = "BadSignature", "A signature does not fit its key."
    DOCUMENT_EXPIRED = "DocumentExpired", "The well-known document is older than it may be."
    DOCUMENT_MISSING = "DocumentMissing", "The cluster has no well-known document in that namespace."
    CLOCK_SKEW = "ClockSkew", "The clocks of both clusters are too far apart."
    OWN_CLUSTER = "OwnCluster", "That is this very cluster."
    CA_FROM_DOCUMENT = (
        "CAFromDocument",
        "Verified with the CA in the signed well-known document (untrusted mode).",
    )
    CA_SEALED = "CASealed", "Verified with the CA that the cluster sealed to us (untrusted mode)."
    CA_TRUSTED = "CATrusted", "Verified with the system's roots or the ConfigMap trusted-ca-certificates."
    CA_NOT_TRUSTED = (
        "CANotTrusted",
        "The certificate is signed by none of the system's roots nor by trusted-ca-certificates.",
    )
    CA_NOT_SHOWN = (
        "CANotShown",
        "The certificate shown is not of the CA in the signed well-known document: who sits on the line?",
    )
    PIN_CHANGED = (
        "PinChanged",
        "A cluster with a legacy id shows another key or CA than the one it is known by; a person has to accept it.",
    )
    BAD_CERTIFICATE = (
        "BadCertificate",
        "An entry of the ConfigMap trusted-ca-certificates is no certificate; the others count.",
    )
    ADDRESS_REFUSED = "AddressRefused", "The address is one that we do not connect to."
    # asking
    REQUESTING = "Requesting", "A FederationRequest is being sent."
    SENT = "Sent", "The FederationRequest is on the other cluster."
    PENDING = "Pending", "A person of the other cluster has to accept it."
    NO_ANSWER = "NoAnswer", "Nothing came back: the other cluster has to reach our API server's address."
    UNREACHABLE = "Unreachable", "The other cluster's API server does not answer."
    ANONYMOUS_REFUSED = (
        "AnonymousRefused",
        "The API server takes no anonymous requests, and Liqo's door was not found.",
    )
    REQUEST_REFUSED = "RequestRefused", "The other cluster refused our request."
    NO_OWN_ADDRESS = "NoOwnAddress", "We do not know an address at which others reach our API server."
    # answers
    ACCEPTED = "Accepted", "It was accepted."
    OFFER_ACCEPTED = "OfferAccepted", "The offer was accepted."
    CHECKING = "Checking", "The offer is being looked at."
    OFFER_REFUSED = "OfferRefused", "The offer was refused by our own policy."
    WAITING_FOR_PERSON = "WaitingForPerson", "The policy is Manual: a person of this cluster has to decide."
    TOO_MANY_OFFERS = "TooManyOffers", "maxAcceptableAdvertisement offers are accepted already."
    NOTHING_OFFERED = "NothingOffered", "The offer holds nothing that a pod could use."
    BAD_CREDENTIALS = "BadCredentials", "What the other cluster sent to reach it cannot be used."
    EXPIRED = "Expired", "The token ended and no new one came."
    ENDED = "Ended", "The other cluster ended the peering."
    ENDING = "Ending", "The peering is being taken down."
    # policy on requests
    POLICY = "Policy", "The policy of this cluster accepts it."
    ALLOWED = "Allowed", "A person or the allow-list accepts it."
    INVITED = "Invited", "It came with an invite of this cluster."
    INVITE_OVER = "InviteOver", "The invite was used by another cluster, is over, or is for another one."
    DENIED = "Denied", "A person, the deny-list or the policy refuses it."
    SHARING_DISABLED = (
        "SharingDisabled",
        "This cluster offers nothing (advertisementConfig.outgoing.enable is false).",
    )
    TOO_MANY_PEERS = "TooManyPeers", "maxPeers clusters are tenants already."
    TOO_MANY_PENDING = "TooManyPending", "maxPending requests wait already."
    TOO_MANY_CALL_BACKS = "TooManyCallBacks", "As many clusters are called back as may be at once."
    UNKNOWN_CLUSTER = "UnknownCluster", "Nothing of that cluster is here."
    CALL_BACK_FAILED = (
        "CallBackFailed",
        "The address in the request does not lead to the cluster that signed it.",
    )
    WITHDRAWN = "Withdrawn", "The other cluster withdrew its request."
    # sharing
    OFFERED = "Offered", "The offer is on the other cluster."
    COMPUTING = "Computing", "The offer is being worked out."
    # namespaces on foreign
    NAMESPACE_RESERVED = "NamespaceReserved", "Namespaces of that name are not taken from other clusters."
    NAMESPACE_TAKEN = "NamespaceTaken", "The name that it would have here belongs to another namespace."
    NAMESPACE_ENDING = "NamespaceEnding", "The namespace of that name is still being deleted."
    NAMESPACE_NOT_OFFLOADED = (
        "NamespaceNotOffloaded",
        "The namespace has no place on that cluster: liqo.io/enabled=true on it, and liqo.io/clusters, decide.",
    )
    PLACE_REFUSED = (
        "PlaceRefused",
        "The namespace that the cluster names as the place of ours there is not the one that ours would have.",
    )
    # pods on foreign
    NOT_OFFLOADABLE = "NotOffloadable", "The pod asks for what only its own cluster has."
    REFUSED_THERE = "RefusedThere", "The other cluster does not take the pod."
    NAME_TAKEN = "NameTaken", "Somebody else's pod has that name on the other cluster."
    TAKEN_AWAY = "TakenAway", "The other cluster removed the pod."
    ADDRESS_NOT_BELIEVED = (
        "AddressNotBelieved",
        "The pod's address is in no pod network that is believed of its cluster; Services here leave it out.",
    )
    POD_NETWORK_REFUSED = (
        "PodNetworkRefused",
        "That cannot be a pod network of the cluster: it is special, our own in some way, or another cluster's.",
    )
    # node
    READY = "Ready", "The other cluster answers authorised requests."
    WAITING = "Waiting", "The peering is not there yet."
    FOREIGN_AWAY = "ForeignAway", "The other cluster's API server does not answer."
    FOREIGN_REFUSED = "ForeignRefused", "The other cluster no longer takes our token."
    NO_USAGE = (
        "NoUsage",
        "The other cluster does not tell what pods use there: kubectl top needs a metrics-server in both.",
    )
