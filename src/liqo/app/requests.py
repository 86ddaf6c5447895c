"""What a person does with those who ask to use this cluster: see who waits, accept, deny."""

from typing import Literal

from liqo.api.federation_request import FederationRequest
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.kinds import FEDERATION_REQUEST, FOREIGN_CLUSTER
from liqo.api.meta import Key, Wire
from liqo.app.peers import list_foreign, read_config
from liqo.errors import Absent, Invalid
from liqo.identity.cluster_id import is_legacy_id
from liqo.identity.keys import Keys
from liqo.runtime.ports import Cluster, Selection

Word = Literal["Allow", "Deny"]


async def list_requests(cluster: Cluster, namespace: str) -> list[FederationRequest]:
    """Return all requests, the oldest first.

    Raises:
        Invalid: Liqo is not installed there.
    """
    try:
        page = await cluster.list(Selection(FEDERATION_REQUEST, namespace=namespace))
    except Absent:
        raise Invalid("Liqo is not installed in this cluster", hint="liqo install") from None
    found = [FederationRequest.parse(wire) for wire in page.items]
    return sorted(found, key=lambda r: (str(r.metadata.creation_timestamp), r.metadata.name))


async def answer(cluster: Cluster, namespace: str, name: str, word: Word) -> tuple[str, str]:
    """Write down what a person says to one cluster's requests, those to come included.

    The word stands in spec.incoming of the cluster's ForeignCluster, which is made if there is none.

    Args:
        cluster: ours.
        namespace: Liqo's.
        name: of a request, of a ForeignCluster, of the cluster, or its ClusterID.
        word: what he says.

    Returns:
        The ClusterID, and the name of the ForeignCluster.

    Raises:
        Invalid: nobody is called that, or several are: whoever asks chooses his name himself.
    """
    requests, known = await list_requests(cluster, namespace), await list_foreign(cluster)
    cluster_id = _only(_ids(requests, known, name), name, requests, known)
    said: Wire = {"incoming": word}
    if word == "Allow" and is_legacy_id(cluster_id):
        said |= _pin([r for r in requests if r.spec.cluster_id == cluster_id], name)
    foreigns = [f for f in known if f.spec.cluster_id == cluster_id]
    for foreign in foreigns:
        patch = {"spec": said}
        await cluster.patch(FOREIGN_CLUSTER, Key("", foreign.metadata.name), patch, manager="liqo-cli")
    if foreigns:
        return cluster_id, foreigns[0].metadata.name
    asked = next(r for r in requests if r.spec.cluster_id == cluster_id)
    untrusted = (await read_config(cluster)).discovery_config.accept_untrusted_ca
    await cluster.create(FOREIGN_CLUSTER, _forge(asked, said, untrusted=untrusted))
    return cluster_id, cluster_id


def _ids(requests: list[FederationRequest], known: list[ForeignCluster], name: str) -> set[str]:
    """Return the ids of all who are called that; an id or an object's name is stronger than a claimed name."""
    ids = {r.spec.cluster_id for r in requests} | {f.spec.cluster_id for f in known if f.spec.cluster_id}
    if name in ids:
        return {name}
    exact = {r.spec.cluster_id for r in requests if r.metadata.name == name}
    exact |= {f.spec.cluster_id for f in known if f.metadata.name == name and f.spec.cluster_id}
    if exact:
        return exact
    return {r.spec.cluster_id for r in requests if r.spec.cluster_name == name} | {
        f.spec.cluster_id for f in known if f.spec.cluster_name == name and f.spec.cluster_id
    }


def _only(ids: set[str], name: str, requests: list[FederationRequest], known: list[ForeignCluster]) -> str:
    if len(ids) == 1:
        return next(iter(ids))
    if ids:
        raise Invalid(f"several clusters are called {name!r}", hint=f"say which: {', '.join(sorted(ids))}")
    names = sorted({r.spec.cluster_name for r in requests} | {f.metadata.name for f in known})
    raise Invalid(
        f"no cluster that asks or is known is called {name!r}",
        hint=f"there are: {', '.join(names)}" if names else "nobody asks; liqo requests",
    )


def _pin(requests: list[FederationRequest], name: str) -> Wire:
    """Return the key of the one who asks under a legacy id: whoever asks later with another one is somebody else.

    Raises:
        Invalid: several ask, with keys of their own.
    """
    named = [r for r in requests if r.metadata.name == name] or requests
    keys = {Keys.parse(r.spec.keys.wire()).thumbprint for r in named}
    if len(keys) > 1:
        raise Invalid(
            f"{len(keys)} clusters ask in the name of {name}, each with a key of its own",
            hint=f"ask the owner, and name one request: {', '.join(sorted(r.metadata.name for r in named))}",
        )
    return {"pin": {"signingKey": keys.pop()}} if keys else {}


def _forge(asked: FederationRequest, said: Wire, *, untrusted: bool) -> Wire:
    """Return a ForeignCluster that says nothing but a person's word on whoever holds that id."""
    spec = asked.spec
    return {
        "apiVersion": FOREIGN_CLUSTER.api_version,
        "kind": FOREIGN_CLUSTER.kind,
        "metadata": {"name": spec.cluster_id},
        "spec": {
            "clusterID": spec.cluster_id,
            "clusterName": spec.cluster_name,
            "namespace": spec.namespace,
            "join": False,
            "discoveryType": "Manual",
            "allowUntrustedCA": untrusted,
            **said,
        },
    }
