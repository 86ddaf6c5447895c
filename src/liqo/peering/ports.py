"""What this room asks of the world beyond `runtime.ports`: first contact, and who we are ourselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from liqo.api.meta import Wire
from liqo.identity.cluster_id import ClusterID, Identity
from liqo.identity.document import Document
from liqo.identity.keys import thumbprint
from liqo.identity.kubeconfig import digest
from liqo.runtime.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Ourselves:
    """This cluster, as others have to reach and to know it."""

    cluster_id: ClusterID
    identity: Identity
    cluster_name: str
    namespace: str
    server: str  # where others reach our API server; "" if nobody knows
    ca_pem: str
    publish_ca: bool  # untrusted mode: the CA goes into the document
    certificate_names: tuple[str, ...] = ()  # that our API server's certificate is for; () if nobody knows
    door_url: str = ""  # where strangers ask; "" if the API server takes anonymous requests

    @property
    def access(self) -> str:
        """Return a digest of how others reach us and seal to us: it changes when they have to be told again."""
        ca_pem = self.ca_pem if self.publish_ca else ""
        return digest(f"{self.server}\n{ca_pem}\n{self.sealing_key}")

    @property
    def sealing_key(self) -> str:
        """Return the thumbprint of the key that others are to seal to."""
        return thumbprint(self.identity.keys.sealing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """Another cluster, as it showed itself at first contact."""

    document: Document
    server: str  # its API server
    entry: str  # where it takes requests of strangers: the API server itself, or its door
    ca_pem: (
        str  # what its certificate was verified with; "" for the system's roots and trusted-ca-certificates
    )
    at: datetime  # its own time, as its Date header says
    others: tuple[str, ...] = ()  # where another cluster answered in its stead


class Contact(Protocol):
    """Talks to a cluster of which we have no credentials yet."""

    async def meet(
        self,
        servers: Sequence[str],
        namespace: str,
        *,
        expected: str | None,
        allow_untrusted: bool,
        door: str = "",
    ) -> Met:
        """Read the well-known document and verify everything about it.

        Args:
            servers: tried in this order; the first at which everything is as it should be is taken.
            namespace: of Liqo on that cluster.
            expected: the ClusterID that must be there; None: whoever is there.
            allow_untrusted: take the CA from the document if no known one fits.
            door: where to ask if the API server takes no anonymous requests; "": at the default port beside it.

        Raises:
            NotTrusted: with reasons such as WrongClusterID, CANotTrusted, AddressRefused.
            Unreachable: no answer.
        """
        ...

    async def ask(
        self, met: Met, namespace: str, request: Wire, *, token: Secret | None = None
    ) -> Sequence[str]:
        """POST a FederationRequest, as a stranger or with the token of an invite; return the warnings.

        Raises:
            Refused: with the sentence of the other side's admission.
            Unauthorized: the token is not taken.
        """
        ...
