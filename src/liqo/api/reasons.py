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
    """The conditions of a ForeignCluster."""

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


class Reason(_Documented):
    """Why a condition is what it is."""

    # all conditions
    NOT_JOINED = "NotJoined", "spec.join is false: nothing is asked of that cluster."
    DUPLICATE_CLUSTER_ID = (
        "DuplicateClusterID",
        "Another ForeignCluster with the same clusterID counts; this one has no effect.",
    )
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
    BAD_SIGNATURE = "BadSignature", "A signature does not fit its key."
    DOCUMENT_EXPIRED = "DocumentExpired", "The well-known document is older than it may be."
    DOCUMENT_MISSING = "DocumentMissing", "The cluster has no well-known document in that namespace."
    CLOCK_SKEW = "ClockSkew", "The clocks of both clusters are too far apart."
    OWN_CLUSTER = "OwnCluster", "That is this very cluster."
    CA_FROM_DOCUMENT = (
        "CAFromDocument",
        "Verified with the CA in the signed well-known document (untrusted mode).",
    )
    CA_TRUSTED = "CATrusted", "Verified with the system's roots or the ConfigMap trusted-ca-certificates."
    CA_NOT_TRUSTED = (
        "CANotTrusted",
        "The certificate is signed by none of the system's roots nor by trusted-ca-certificates.",
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
    DENIED = "Denied", "A person, the deny-list or the policy refuses it."
    SHARING_DISABLED = (
        "SharingDisabled",
        "This cluster offers nothing (advertisementConfig.outgoing.enable is false).",
    )
    TOO_MANY_PEERS = "TooManyPeers", "maxPeers clusters are tenants already."
    TOO_MANY_PENDING = "TooManyPending", "maxPending requests wait already."
    CALL_BACK_FAILED = (
        "CallBackFailed",
        "The address in the request does not lead to the cluster that signed it.",
    )
    WITHDRAWN = "Withdrawn", "The other cluster withdrew its request."
    # sharing
    OFFERED = "Offered", "The offer is on the other cluster."
    COMPUTING = "Computing", "The offer is being worked out."
    # node
    READY = "Ready", "The other cluster answers authorised requests."
    WAITING = "Waiting", "The peering is not there yet."
    FOREIGN_AWAY = "ForeignAway", "The other cluster's API server does not answer."
    FOREIGN_REFUSED = "ForeignRefused", "The other cluster no longer takes our token."
