"""Somebody with an identity of his own who talks to a real API server without any credentials."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import OKPKey
from joserfc.registry import HeaderParameter
from prometheus_client import CollectorRegistry

from liqo.adapters.clock import SystemClock, SystemRandom
from liqo.adapters.kube import HttpCluster
from liqo.adapters.tls import PINNED_NAME, pinned_context
from liqo.api.kinds import CONFIG_MAP, FEDERATION_REQUEST
from liqo.api.meta import Wire
from liqo.api.names import WELL_KNOWN_CONFIG_MAP, WELL_KNOWN_KEY, request_name
from liqo.errors import Unavailable
from liqo.identity.cluster_id import Identity, new_identity
from liqo.identity.document import Document, parse_document
from liqo.identity.keys import thumbprint
from liqo.identity.kubeconfig import ALGORITHMS, TYP
from liqo.identity.request import forge_proof, new_jti
from liqo.lab.lab import Lab
from liqo.runtime.metrics import Metrics

CLOCK = SystemClock()
TRIES = 9
UNHEARD = "failed calling webhook"


def credentials(**changes: Any) -> dict[str, Any]:
    """Return the four values that a kubeconfig may have, with changes; nobody is at that address."""
    good = {
        "server": "https://192.0.2.1:6443",
        "certificate-authority-data": "",
        "token": "a.b.c",
        "namespace": "liqo",
    }
    return good | changes


def seal_by_hand(plain: bytes, recipient: Wire, **header: str) -> str:
    """Seal any bytes, as everybody who knows the public key can; ours seals what it would open itself only."""
    registry = jwe.JWERegistry(
        algorithms=list(ALGORITHMS.values()), header_registry={n: HeaderParameter(n, "str") for n in header}
    )
    key = OKPKey.import_key({"kty": "OKP", "crv": "X25519", "x": recipient["x"]})
    full = {**ALGORITHMS, "typ": TYP, "kid": thumbprint(recipient), **header}
    return jwe.encrypt_compact(full, plain, key, registry=registry)


@dataclass
class Author:
    """Somebody with an identity of his own who knows milan's document."""

    document: Document
    identity: Identity

    def request(
        self, *, identity: Identity | None = None, at: timedelta = timedelta(), sealed: str | None = None
    ) -> Wire:
        """Return a request that is as it should be, made by `identity` at another time, or with those credentials."""
        me, jti = identity or self.identity, new_jti()
        spec: Wire = {
            "protocol": 1,
            "clusterID": str(me.cluster_id),
            "clusterName": "stranger",
            "namespace": "liqo",
            "keys": me.keys.wire(),
            "kubeConfig": sealed or self.seal(json.dumps(credentials()).encode(), issuer=me.cluster_id),
        }
        spec["proof"] = self.prove(spec, jti, identity=me, at=at)
        return {
            "apiVersion": FEDERATION_REQUEST.api_version,
            "kind": FEDERATION_REQUEST.kind,
            "metadata": {"name": request_name(me.cluster_id, jti)},
            "spec": spec,
        }

    def seal(self, plain: bytes, *, issuer: str = "") -> str:
        """Return any bytes as credentials for milan."""
        milan = self.document
        return seal_by_hand(
            plain, milan.keys.sealing, iss=issuer or self.identity.cluster_id, aud=milan.cluster_id
        )

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


@dataclass
class Stranger(Author):
    """The same, who talks to milan's API server."""

    to: HttpCluster

    async def post(self, request: Wire) -> None:
        """Send a request; again where milan's webhook did not get round to it in its one second."""
        for _ in range(TRIES):
            try:
                return await self._post(request)
            except Unavailable as fault:
                if UNHEARD not in fault.message:
                    raise
        return await self._post(request)

    async def _post(self, request: Wire) -> None:
        await self.to.post_with_headers(FEDERATION_REQUEST.path("liqo"), request)


@pytest.fixture
async def stranger(liqo_pair: Lab) -> AsyncIterator[Stranger]:
    spec = liqo_pair.cluster("milan")
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
    yield Stranger(document, new_identity(), cluster)
    await cluster.close()
