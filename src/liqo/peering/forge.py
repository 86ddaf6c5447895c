"""What we send to other clusters; pure."""

from datetime import datetime

from liqo.api.kinds import ADVERTISEMENT, FEDERATION_REQUEST, FOREIGN_CLUSTER
from liqo.api.meta import Wire
from liqo.api.names import CLUSTER_ID_LABEL, request_name
from liqo.identity.kubeconfig import Credentials, seal
from liqo.identity.request import forge_proof
from liqo.peering.ports import Met, Ourselves
from liqo.runtime.secret import Secret

PROTOCOL = 1


def forge_request(us: Ourselves, met: Met, jti: str, sealed: str | None, *, invite: str = "") -> Wire:
    """Return a FederationRequest for the cluster that was met; without credentials it is a withdrawal.

    Args:
        us: who asks.
        met: who is asked.
        jti: what its name ends in.
        sealed: the credentials.
        invite: the name of the invite whose token it is sent with.
    """
    spec: Wire = {
        "protocol": PROTOCOL,
        "clusterID": us.cluster_id,
        "clusterName": us.cluster_name,
        "namespace": us.namespace,
        "keys": us.identity.keys.wire(),
    }
    if sealed is None:
        spec["withdraw"] = True
    else:
        spec["kubeConfig"] = sealed
    if invite:
        spec["invite"] = invite
    spec["proof"] = forge_proof(spec, us.identity, audience=met.document.keys.thumbprint, jti=jti, now=met.at)
    return {
        "apiVersion": FEDERATION_REQUEST.api_version,
        "kind": FEDERATION_REQUEST.kind,
        "metadata": {"name": request_name(us.cluster_id, jti)},
        "spec": spec,
    }


def forge_sealed(us: Ourselves, token: Secret, namespace: str, recipient: Wire, audience: str) -> str:
    """Return the credentials with which another cluster reaches us, sealed to its key."""
    ca_pem = us.ca_pem if us.publish_ca else ""  # in trusted mode whoever calls knows it already
    credentials = Credentials(server=us.server, ca_pem=ca_pem, token=token, namespace=namespace)
    return seal(credentials, recipient, issuer=us.cluster_id, audience=audience)


def forge_advertisement(us: Ourselves, spec: Wire, namespace: str) -> Wire:
    """Return our Advertisement in home's namespace."""
    return {
        "apiVersion": ADVERTISEMENT.api_version,
        "kind": ADVERTISEMENT.kind,
        "metadata": {"name": us.cluster_id, "namespace": namespace},
        "spec": {
            "protocol": PROTOCOL,
            "clusterID": us.cluster_id,
            "clusterName": us.cluster_name,
            # An apply that empties a map is refused.
            **{name: value for name, value in spec.items() if value != {}},
        },
    }


def forge_foreign(request: Wire, server: str, *, allow_untrusted: bool) -> Wire:
    """Return the ForeignCluster of a home cluster whose request was accepted; named by its id."""
    spec = request["spec"]
    return {
        "apiVersion": FOREIGN_CLUSTER.api_version,
        "kind": FOREIGN_CLUSTER.kind,
        "metadata": {"name": spec["clusterID"], "labels": {CLUSTER_ID_LABEL: spec["clusterID"]}},
        "spec": {
            "clusterID": spec["clusterID"],
            "clusterName": spec["clusterName"],
            "namespace": spec["namespace"],
            "apiUrl": server,
            "join": False,
            "discoveryType": "IncomingPeering",
            "allowUntrustedCA": allow_untrusted,
        },
    }


def created(obj: Wire) -> datetime:
    """Return when the API server stored an object."""
    return datetime.fromisoformat(obj["metadata"]["creationTimestamp"])
