"""The kubelet endpoint's certificate, signed by the cluster's own CA, so that an API server that checks takes it.

We ask for it, and a ServiceAccount with that one right approves (`liqo.install.rights`). The key never leaves this
process: every replica has a certificate of its own, and asks again after a start.
"""

import base64
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from cryptography import x509

from liqo.adapters.kubeconfig import Access
from liqo.adapters.own import open_account
from liqo.adapters.serving import Serving, forge_kubelet_request
from liqo.api.kinds import CERTIFICATE_REQUEST
from liqo.api.meta import Key, Wire, format_time
from liqo.api.names import KUBELET_APPROVER, KUBELET_REQUEST_PREFIX, KUBELET_SIGNER, short_hash
from liqo.errors import Fault, Invalid, Malformed, Unavailable
from liqo.peering.loop_rights import issue_token
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Clock, Cluster, Random
from liqo.runtime.settle import settled

LIFETIME = timedelta(days=90)  # asked for; the signer may give less
RENEW_AT = 2 / 3  # of its life, as a kubelet renews
PAUSE = timedelta(milliseconds=200)
SIGNED_WITHIN = timedelta(seconds=20)  # the controller manager signs within a second, once it is up
ENDED = frozenset({"Denied", "Failed"})


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate with its key, and when the next one is due."""

    serving: Serving
    renews: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Gets certificates for one address.

    Args:
        cluster: our own, as ourselves.
        access: how it is reached now.
        namespace: Liqo's own.
        clock: of this process.
        random: for jitter.
        metrics: where requests are counted.
    """

    cluster: Cluster
    access: Callable[[], Access]
    namespace: str
    clock: Clock
    random: Random
    metrics: Metrics

    async def obtain(self, address: str) -> Signed:
        """Ask for a certificate, have it approved, and wait until it is signed.

        Raises:
            Fault: it is not to be had.
        """
        request, key_pem = forge_kubelet_request(address)
        body = forge_signing_request(request)
        made = await self.cluster.create(CERTIFICATE_REQUEST, body)
        try:
            await self._approve(made)
            pem = await self._signed(Key.of(made))
        finally:
            await self._withdraw(made)
        try:
            leaf = x509.load_pem_x509_certificates(pem)[0]
        except ValueError as exc:
            raise Malformed("what was signed is no certificate") from exc
        now = self.clock.now()
        return Signed(Serving(b"", pem, key_pem), now + (leaf.not_valid_after_utc - now) * RENEW_AT)

    async def _withdraw(self, made: Wire) -> None:
        """Leave no request behind; the controller manager would remove it after an hour, but not before uninstall."""
        with suppress(Fault):
            await self.cluster.delete(CERTIFICATE_REQUEST, Key.of(made), uid=made["metadata"]["uid"])

    async def _approve(self, made: Wire) -> None:
        """Approve exactly what was created: its resourceVersion goes along."""
        token = await issue_token(self.cluster, self.namespace, KUBELET_APPROVER, self.clock)
        approver = open_account(
            self.access(), token.text, clock=self.clock, random=self.random, metrics=self.metrics
        )
        patch = forge_approval(made, self.clock.now())
        call = partial(approver.patch, CERTIFICATE_REQUEST, Key.of(made), patch, subresource="approval")
        try:
            await settled(call, self.clock)
        finally:
            await approver.close()

    async def _signed(self, key: Key) -> bytes:
        end = self.clock.now() + SIGNED_WITHIN
        while True:
            status = (await self.cluster.get(CERTIFICATE_REQUEST, key)).get("status") or {}
            if pem := status.get("certificate"):
                return _decode(pem)
            for condition in status.get("conditions") or ():
                if condition.get("type") in ENDED:
                    said = str(condition.get("message") or condition.get("reason"))[:256]
                    raise Invalid(
                        f"the request for a kubelet certificate {condition['type'].lower()}: {said}"
                    )
            if self.clock.now() >= end:
                raise Unavailable(
                    "nobody signs the kubelet certificate", hint="does kube-controller-manager run?"
                )
            await self.clock.sleep(PAUSE)


def _decode(pem: object) -> bytes:
    try:
        return base64.b64decode(str(pem), validate=True)
    except ValueError as exc:
        raise Malformed("what was signed is no certificate") from exc


def forge_signing_request(request: str) -> Wire:
    """Return the CertificateSigningRequest for a request in base64 of PEM; its name is a hash of that."""
    return {
        "apiVersion": CERTIFICATE_REQUEST.api_version,
        "kind": CERTIFICATE_REQUEST.kind,
        "metadata": {"name": f"{KUBELET_REQUEST_PREFIX}{short_hash(request)}"},
        "spec": {
            "request": request,
            "signerName": KUBELET_SIGNER,
            "expirationSeconds": int(LIFETIME.total_seconds()),
            "usages": ["digital signature", "server auth"],
        },
    }


def forge_approval(made: Wire, now: datetime) -> Wire:
    """Return the patch that approves one."""
    condition = {
        "type": "Approved",
        "status": "True",
        "reason": "KubeletOfVirtualNodes",
        "message": "Liqo's controller serves the virtual nodes.",
        "lastUpdateTime": format_time(now),
    }
    return {
        "metadata": {"resourceVersion": made["metadata"]["resourceVersion"]},
        "status": {"conditions": [condition]},
    }
