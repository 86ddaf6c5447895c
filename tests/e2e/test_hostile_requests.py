"""Every wrong request of docs/reference/bad-input.md, sent by a stranger to a real API server."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from e2e_peers import Peers, bad_input_rows
from liqo.adapters.clock import SystemClock, SystemRandom
from liqo.adapters.kube import HttpCluster
from liqo.adapters.tls import PINNED_NAME, pinned_context
from liqo.api.kinds import CONFIG_MAP, FEDERATION_REQUEST
from liqo.api.meta import Wire
from liqo.api.names import WELL_KNOWN_CONFIG_MAP, WELL_KNOWN_KEY, request_name
from liqo.app.identity import ensure_identity
from liqo.app.setup import connected
from liqo.errors import Fault
from liqo.identity.cluster_id import Identity, new_identity
from liqo.identity.document import Document, parse_document
from liqo.identity.kubeconfig import Credentials, seal
from liqo.identity.request import forge_proof, new_jti
from liqo.runtime.metrics import Metrics
from liqo.runtime.secret import Secret

pytestmark = pytest.mark.lab

ASKED = bad_input_rows("When another cluster asks wrongly")
CLOCK = SystemClock()


@dataclass
class Stranger:
    """Somebody with an identity of his own who talks to milan's API server."""

    to: HttpCluster
    document: Document
    identity: Identity

    def request(self, *, identity: Identity | None = None, at: timedelta = timedelta()) -> Wire:
        """Return a request that is as it should be, made by `identity` at another time."""
        me, jti = identity or self.identity, new_jti()
        credentials = Credentials(
            server="https://192.0.2.1:6443", ca_pem="", token=Secret("a.b.c"), namespace="liqo"
        )
        recipient = self.document.keys.sealing
        spec: Wire = {
            "protocol": 1,
            "clusterID": str(me.cluster_id),
            "clusterName": "stranger",
            "namespace": "liqo",
            "keys": me.keys.wire(),
            "kubeConfig": seal(
                credentials, recipient, issuer=me.cluster_id, audience=self.document.cluster_id
            ),
        }
        spec["proof"] = self.prove(spec, jti, identity=me, at=at)
        return {
            "apiVersion": FEDERATION_REQUEST.api_version,
            "kind": FEDERATION_REQUEST.kind,
            "metadata": {"name": request_name(me.cluster_id, jti)},
            "spec": spec,
        }

    def prove(
        self,
        spec: Wire,
        jti: str,
        *,
        identity: Identity | None = None,
        audience: str = "",
        at: timedelta = timedelta(),
    ) -> str:
        return forge_proof(
            spec,
            identity or self.identity,
            audience=audience or self.document.keys.thumbprint,
            jti=jti,
            now=CLOCK.now() + at,
        )

    async def post(self, request: Wire) -> None:
        await self.to.post_with_headers(FEDERATION_REQUEST.path("liqo"), request)


@pytest.fixture
async def stranger(peers: Peers) -> AsyncIterator[Stranger]:
    spec = peers.lab.cluster("milan")
    cluster = HttpCluster(
        spec.people_url,
        ssl_context=pinned_context((spec.pki / "ca.crt").read_text()),
        server_hostname=PINNED_NAME,
        clock=CLOCK,
        random=SystemRandom(),
        metrics=Metrics(CollectorRegistry()),
        role="stranger",
    )
    wire, _ = await cluster.fetch_with_headers(CONFIG_MAP.path("liqo", WELL_KNOWN_CONFIG_MAP))
    document = parse_document(wire["data"][WELL_KNOWN_KEY], CLOCK.now())
    yield Stranger(cluster, document, new_identity())
    await cluster.close()


def changed(request: Wire, **spec: Any) -> Wire:
    return {**request, "spec": {**request["spec"], **spec}}


def without_proof(s: Stranger) -> Wire:
    request = s.request()
    del request["spec"]["proof"]
    return request


def by_another_key(s: Stranger) -> Wire:
    request = s.request()
    jti = request["metadata"]["name"].rsplit("-", 1)[1]
    return changed(request, proof=s.prove(request["spec"], jti, identity=new_identity()))


def in_another_s_name(s: Stranger) -> Wire:
    request = s.request()
    jti, other = request["metadata"]["name"].rsplit("-", 1)[1], str(new_identity().cluster_id)
    spec = {**request["spec"], "clusterID": other}
    spec["proof"] = s.prove(spec, jti)
    return {**request, "metadata": {"name": request_name(other, jti)}, "spec": spec}


def for_another(s: Stranger) -> Wire:
    request = s.request()
    jti = request["metadata"]["name"].rsplit("-", 1)[1]
    return changed(request, proof=s.prove(request["spec"], jti, audience=new_identity().keys.thumbprint))


def renamed(s: Stranger, name: str) -> Wire:
    return {**s.request(), "metadata": {"name": name}}


MISTAKES: dict[str, Callable[[Stranger], Wire]] = {
    "no proof": without_proof,
    "signed with another key": by_another_key,
    "an id that is another cluster's": in_another_s_name,
    "made for another cluster": for_another,
    "signed an hour ago": lambda s: s.request(at=timedelta(hours=-1)),
    "signed in an hour": lambda s: s.request(at=timedelta(hours=1)),
    "changed after it was signed": lambda s: changed(s.request(), clusterName="other"),
    "a name that was not signed": lambda s: renamed(s, request_name(s.identity.cluster_id, new_jti())),
    "a name of another cluster": lambda s: renamed(s, request_name("b" * 32, new_jti())),
    "a label on it": lambda s: {
        **(request := s.request()),
        "metadata": {**request["metadata"], "labels": {"a": "b"}},
    },
    "too large": lambda s: changed(s.request(), kubeConfig="x" * 20_000),
}


@pytest.mark.parametrize("mistake", [m for m in ASKED if m != "our own identity"])
async def test_a_wrong_request_is_refused_before_anything_is_stored(
    peers: Peers, stranger: Stranger, mistake: str
) -> None:
    (sentence,) = ASKED[mistake]
    with pytest.raises(Fault) as refused:
        await stranger.post(MISTAKES[mistake](stranger))
    assert sentence in plain(refused.value.message)
    assert peers.items("milan", "federationrequests", "-n", "liqo") == []


async def test_milan_s_own_identity_is_refused(peers: Peers, stranger: Stranger) -> None:
    async with connected(peers.lab.cluster("milan").kubeconfig, None) as (admin, _):
        _, own = await ensure_identity(admin, "liqo")
    with pytest.raises(Fault, match=re.escape(ASKED["our own identity"][0])):
        await stranger.post(stranger.request(identity=own))


async def test_a_request_that_is_sent_again_is_there_already(stranger: Stranger) -> None:
    request = stranger.request()
    await stranger.post(request)
    with pytest.raises(Fault):
        await stranger.post(request)


def plain(text: str) -> str:
    text = re.sub(r"\b(?!b{32})[a-z2-7]{32}\b", "ID", text)
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)
