"""The well-known document: what a cluster says of itself to strangers, signed with the key that makes its id.

It proves itself over any connection: a man in the middle can only make it fail. It cannot prove that it is
recent beyond its own `exp`, so it lives for a day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field

from liqo.api.bounds import ClusterIDText, Label
from liqo.api.meta import format_time
from liqo.api.model import Model
from liqo.api.reasons import Reason
from liqo.errors import Malformed, NotTrusted
from liqo.identity.cluster_id import ClusterID, Identity, cluster_id_of, is_legacy_id
from liqo.identity.jws import Instant, parse_jws, sign, verify
from liqo.identity.keys import Keys
from liqo.identity.trust import BUNDLE_MAX, URL_MAX, parse_bundle, parse_server_url

__all__ = ["LEEWAY", "LIFETIME", "Document", "Keys", "forge_document", "needs_renewal", "parse_document"]

TYP = "liqo-document+jwt"
DOCUMENT_MAX = 65_536  # characters; most of it is the CA bundle
LIFETIME = timedelta(hours=24)
LIFETIME_MAX = timedelta(days=8)  # a document that never ends would pin an old sealing key and CA for ever
LEEWAY = timedelta(minutes=5)  # clocks without NTP differ by less
PROTOCOLS = (1,)
WHAT = "the well-known document"

Version = Annotated[int, Field(strict=True, ge=1, le=255)]
Feature = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[a-z0-9-]+$")]


class _Claims(Model):
    """What is signed."""

    cluster_id: ClusterIDText
    cluster_name: Label
    namespace: Label
    jwks: Keys
    door_url: Annotated[str, Field(max_length=URL_MAX)] = ""
    protocols: Annotated[tuple[Version, ...], Field(min_length=1, max_length=8)]
    features: Annotated[tuple[Feature, ...], Field(max_length=16)] = ()
    ca_bundle: Annotated[str, Field(max_length=BUNDLE_MAX)] = ""
    iat: Instant
    exp: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A well-known document whose signature is good."""

    cluster_id: ClusterID
    cluster_name: str
    namespace: str
    keys: Keys
    door_url: str  # "" if there is no door
    protocols: tuple[int, ...]
    features: tuple[str, ...]
    ca_bundle: str  # PEM, or "" in trusted mode
    iat: datetime
    exp: datetime

    @property
    def legacy(self) -> bool:
        """Whether the id is a UUID: the signature then proves the key, but not that the id is its own."""
        return is_legacy_id(self.cluster_id)


def forge_document(
    identity: Identity,
    now: datetime,
    *,
    cluster_id: ClusterID,
    cluster_name: str,
    namespace: str,
    ca_bundle: str = "",
    door_url: str = "",
    features: Sequence[str] = (),
    lifetime: timedelta = LIFETIME,
) -> str:
    """Return a document signed by a cluster.

    Args:
        identity: its keys.
        now: when it is signed.
        cluster_id: the identity's own, or a legacy one.
        cluster_name: for people.
        namespace: where Liqo is.
        ca_bundle: of its API server, in untrusted mode; else "".
        door_url: where its door is; "" if it has none.
        features: what it can do beyond the protocol.
        lifetime: until it has to be signed again.

    Raises:
        Malformed: it is such that nobody would accept it; so it is not published.
        NotTrusted: the id is another key's.
    """
    iat = int(now.timestamp())
    wire = {
        "clusterID": cluster_id,
        "clusterName": cluster_name,
        "namespace": namespace,
        "jwks": identity.keys.wire(),
        "doorUrl": door_url,
        "protocols": list(PROTOCOLS),
        "features": list(features),
        "iat": iat,
        "exp": iat + int(lifetime.total_seconds()),
        **({"caBundle": ca_bundle} if ca_bundle else {}),
    }
    text = sign(wire, identity, typ=TYP)
    parse_document(text, now, expected=cluster_id)
    return text


def parse_document(
    text: str, now: datetime, *, expected: str | None = None, leeway: timedelta = LEEWAY
) -> Document:
    """Read a document and verify everything that it can prove by itself.

    Args:
        text: a compact JWS, at most DOCUMENT_MAX characters.
        now: our time.
        expected: the id that has to be in it; None: whoever it is.
        leeway: by how much the clocks may differ.

    Raises:
        Malformed: the bytes are wrong.
        NotTrusted: with reason BadSignature, WrongClusterID, DocumentExpired or ClockSkew.
    """
    statement = parse_jws(text, typ=TYP, max_length=DOCUMENT_MAX, what=WHAT)
    claims = _Claims.parse(statement.claims)
    if claims.door_url:
        parse_server_url(claims.door_url)
    if claims.ca_bundle:
        parse_bundle(claims.ca_bundle)
    verify(statement, claims.jwks, WHAT)
    document = Document(
        cluster_id=ClusterID(claims.cluster_id),
        cluster_name=claims.cluster_name,
        namespace=claims.namespace,
        keys=claims.jwks,
        door_url=claims.door_url,
        protocols=claims.protocols,
        features=claims.features,
        ca_bundle=claims.ca_bundle,
        iat=datetime.fromtimestamp(claims.iat, UTC),
        exp=datetime.fromtimestamp(claims.exp, UTC),
    )
    _check_id(document, expected)
    _check_times(document, now, leeway)
    return document


def _check_id(document: Document, expected: str | None) -> None:
    """Raise NotTrusted unless the id is the one expected, and the hash of the key."""
    made = cluster_id_of(document.keys.signing)
    if not document.legacy and document.cluster_id != made:
        raise NotTrusted(
            f"the document claims to be of cluster {document.cluster_id}, but its key is that of {made}",
            reason=Reason.WRONG_CLUSTER_ID,
        )
    if expected is not None and document.cluster_id != expected:
        raise NotTrusted(
            f"cluster {document.cluster_id} is there, not {expected}", reason=Reason.WRONG_CLUSTER_ID
        )


def _check_times(document: Document, now: datetime, leeway: timedelta) -> None:
    """Raise if the document is from the future, over, or for ever."""
    if not timedelta() < document.exp - document.iat <= LIFETIME_MAX:
        raise Malformed(f"{WHAT} lives for more than {LIFETIME_MAX.days} days, or for no time")
    ours = format_time(now)
    if document.iat > now + leeway:
        raise NotTrusted(
            f"the document was signed at {format_time(document.iat)}, and here it is {ours}",
            reason=Reason.CLOCK_SKEW,
            hint="set the clocks of both clusters",
        )
    if document.exp + leeway < now:
        raise NotTrusted(
            f"the document ended at {format_time(document.exp)}, and here it is {ours}",
            reason=Reason.DOCUMENT_EXPIRED,
            hint="is Liqo running there, and are the clocks of both clusters right?",
        )


def needs_renewal(document: Document, now: datetime) -> bool:
    """Return whether half of a document's life is over."""
    return now >= document.iat + (document.exp - document.iat) / 2
