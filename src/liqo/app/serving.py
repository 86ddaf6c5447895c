"""Starts our servers, and keeps the certificate they show in a Secret that all replicas share."""

import base64
import ssl
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from aiohttp import web
from prometheus_client import CollectorRegistry

from liqo.adapters.serving import Serving, is_fresh, make_serving
from liqo.api.kinds import MUTATING_WEBHOOK, SECRET, VALIDATING_WEBHOOK
from liqo.api.meta import Key, Kind, Wire
from liqo.api.names import MANAGED_LABEL, SERVING_SECRET, WEBHOOK_CONFIGURATION
from liqo.app.door import Door
from liqo.errors import Absent, Conflict
from liqo.runtime.ports import Clock, Cluster
from liqo.serve.admission import Judge, admission_app
from liqo.serve.door import door_app
from liqo.serve.health import health_app

MANAGER = "liqo-serving"
WEBHOOK_SERVICE = "liqo-webhook"
ANY = {"0.0.0.0", "::", ""}  # noqa: S104


class OnHost(Protocol):
    """The options of all that listens."""

    @property
    def namespace(self) -> str:
        """Liqo's own."""
        ...

    @property
    def listen(self) -> str:
        """An address of this host, or any."""
        ...


class Listening(OnHost, Protocol):
    """The options that say where to listen."""

    @property
    def webhook_port(self) -> int:
        """HTTPS."""
        ...

    @property
    def door_port(self) -> int:
        """HTTPS, for strangers."""
        ...

    @property
    def health_port(self) -> int:
        """HTTP."""
        ...


async def start_servers(
    options: Listening,
    *,
    cluster: Cluster,
    judges: dict[str, Judge],
    registry: CollectorRegistry,
    unready: Callable[[], list[str]],
    refresh: Callable[[], None],
    clock: Clock,
    door: Door | None = None,
) -> Sequence[web.AppRunner]:
    """Start the webhook, the door if there is one (both HTTPS), and health (HTTP).

    The API server is told which CA signs the webhook's certificate; the door's need not be trusted.
    """
    hosts = [f"{WEBHOOK_SERVICE}.{options.namespace}.svc", *await called_hosts(cluster)]
    if options.listen not in ANY:
        hosts.append(options.listen)
    serving = await ensure_serving(cluster, options.namespace, hosts, clock)
    context = server_context(serving)
    webhook = await _serve(admission_app(judges, clock), options.listen, options.webhook_port, context)
    await publish_ca(cluster, serving)
    runners = [webhook]
    if door is not None:
        app = door_app(door.forward, options.namespace)
        app.on_cleanup.append(door.close)
        runners.append(await _serve(app, options.listen, options.door_port, context))
    health = health_app(registry, unready, refresh)
    return [*runners, await _serve(health, options.listen, options.health_port, None)]


async def _serve(
    app: web.Application, listen: str, port: int, context: ssl.SSLContext | None
) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, listen, port, ssl_context=context).start()
    return runner


async def called_hosts(cluster: Cluster) -> list[str]:
    """Return the hosts at which the API server calls our webhook, where it does not go through the Service."""
    try:
        current = await cluster.get(VALIDATING_WEBHOOK, Key("", WEBHOOK_CONFIGURATION))
    except Absent:
        return []
    urls = [hook["clientConfig"].get("url") or "" for hook in current.get("webhooks") or ()]
    return sorted({host for url in urls if (host := urlsplit(url).hostname)})


async def ensure_serving(cluster: Cluster, namespace: str, hosts: Sequence[str], clock: Clock) -> Serving:
    """Return the certificate in the Secret, made anew where it is missing, near its end or for other hosts."""
    stored: Wire | None
    try:
        stored = await cluster.get(SECRET, Key(namespace, SERVING_SECRET))
    except Absent:
        stored = None
    if stored is not None:
        found = _parse(stored)
        if found is not None and is_fresh(found, hosts, clock.now()):
            return found
    fresh = make_serving(hosts, clock.now())
    body: Wire = {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "type": "Opaque",
        "metadata": {
            "name": SERVING_SECRET,
            "namespace": namespace,
            "labels": {MANAGED_LABEL: "liqo"},
        },
        "stringData": {
            "ca.crt": fresh.ca.decode(),
            "tls.crt": fresh.certificate.decode(),
            "tls.key": fresh.key.decode(),
        },
    }
    if stored is None:
        try:
            await cluster.create(SECRET, body)
        except Conflict:  # another replica was faster: its certificate counts
            return await ensure_serving(cluster, namespace, hosts, clock)
    else:
        body["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"]
        await cluster.patch(SECRET, Key(namespace, SERVING_SECRET), body, manager=MANAGER)
    return fresh


def _parse(secret: Wire) -> Serving | None:
    data = secret.get("data") or {}
    try:
        return Serving(
            ca=base64.b64decode(data["ca.crt"]),
            certificate=base64.b64decode(data["tls.crt"]),
            key=base64.b64decode(data["tls.key"]),
        )
    except (KeyError, ValueError):
        return None


def server_context(serving: Serving) -> ssl.SSLContext:
    """Return a server's TLS context; the key touches the disk only in a folder of our own, for a moment."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tls.pem"
        path.touch(mode=0o600)
        path.write_bytes(serving.key + serving.certificate)
        context.load_cert_chain(path)
    return context


async def publish_ca(cluster: Cluster, serving: Serving) -> None:
    """Tell the API server which CA our webhooks' certificate is signed by."""
    for kind in (VALIDATING_WEBHOOK, MUTATING_WEBHOOK):
        await _publish_ca(cluster, serving, kind)


async def _publish_ca(cluster: Cluster, serving: Serving, kind: Kind) -> None:
    key = Key("", WEBHOOK_CONFIGURATION)
    try:
        current = await cluster.get(kind, key)
    except Absent:
        return  # installed without a webhook configuration yet; `liqo install` restarts us when it adds one
    bundle = base64.b64encode(serving.ca).decode()
    hooks = current.get("webhooks") or []
    if all(h["clientConfig"].get("caBundle") == bundle for h in hooks):
        return
    body: Wire = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": WEBHOOK_CONFIGURATION},
        "webhooks": [{"name": h["name"], "clientConfig": {"caBundle": bundle}} for h in hooks],
    }
    await cluster.apply(kind, body, manager=MANAGER)
