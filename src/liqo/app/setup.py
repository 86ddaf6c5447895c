"""`liqo install` and `liqo uninstall` from end to end: connect, apply, write down, say what it means."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry

from liqo.adapters.clock import SystemClock, SystemRandom
from liqo.adapters.kube import HttpCluster
from liqo.adapters.kubeconfig import Access, load_access
from liqo.adapters.own import open_cluster
from liqo.api.kinds import CLUSTER_CONFIG
from liqo.api.meta import Key, Wire
from liqo.api.names import CONFIG_NAME, CONTROLLER, LAN_AGENT
from liqo.app.door import lets_strangers_in
from liqo.app.installing import Say, install, own_kubeconfig, policy_for, uninstall
from liqo.install.entry import explain_entry
from liqo.install.manifests import Install, RequestPolicy
from liqo.install.webhook import WEBHOOK_PATH, WEBHOOK_PORT, Service, Url
from liqo.runtime.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a person asks `liqo install` for."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str = "liqo"
    cluster_name: str | None = None
    api_url: str | None = None
    request_policy: RequestPolicy | None = None
    image: str | None = None
    lan: bool = True
    door: bool = True
    webhook_url: str | None = None
    controller_kubeconfig: Path = Path("liqo-controller.kubeconfig")
    lan_kubeconfig: Path | None = None  # of the LAN agent, where it runs outside
    controller_server: str | None = None  # where both reach the API server, if not where we do


@asynccontextmanager
async def connected(
    kubeconfig: Path | None, context: str | None
) -> AsyncIterator[tuple[HttpCluster, Access]]:
    """Yield the cluster that a person's kubeconfig names, and how it is reached."""
    access = load_access(kubeconfig, context)
    metrics = Metrics(CollectorRegistry())
    cluster = open_cluster(access, clock=SystemClock(), random=SystemRandom(), metrics=metrics)
    try:
        yield cluster, access
    finally:
        await cluster.close()


async def install_into(request: Request, say: Say) -> list[str]:
    """Install, and return what a person should know now."""
    async with connected(request.kubeconfig, request.context) as (cluster, access):
        server = request.api_url or access.server
        policy: RequestPolicy = request.request_policy or policy_for(server)
        webhook = (
            Service()
            if request.image
            else Url((request.webhook_url or f"https://{_own_address(server)}:{WEBHOOK_PORT}") + WEBHOOK_PATH)
        )
        what = Install(
            namespace=request.namespace,
            webhook=webhook,
            request_policy=policy,
            image=request.image,
            lan=request.lan,
            door=request.door,
        )
        await install(cluster, what, say, SystemClock())
        await _settle(cluster, request)
        open_to_strangers = await lets_strangers_in(access, request.namespace)
        if request.image is None:
            there = replace(access, server=request.controller_server or access.server)
            files = {CONTROLLER: request.controller_kubeconfig}
            if request.lan and request.lan_kubeconfig is not None:
                files[LAN_AGENT] = request.lan_kubeconfig
            for account, path in files.items():
                text = await own_kubeconfig(cluster, there, request.namespace, SystemClock(), account)
                _write_private(path, text)
    return _explain(request, policy, server, open_to_strangers=open_to_strangers)


async def _settle(cluster: HttpCluster, request: Request) -> None:
    """Write down what a person said of this cluster; what he did not mention stays."""
    said: Wire = {}
    if request.cluster_name is not None:
        said["clusterName"] = request.cluster_name
    if request.api_url is not None:
        said["apiUrl"] = request.api_url
    spec: Wire = {"discoveryConfig": said} if said else {}
    if request.request_policy is not None:
        spec["peeringConfig"] = {"requestPolicy": request.request_policy}
    if spec:
        await cluster.patch(CLUSTER_CONFIG, Key("", CONFIG_NAME), {"spec": spec}, manager="liqo-cli")


def _own_address(server: str) -> str:
    """Return this machine's address on the way to an API server; nothing is sent."""
    host, port = urlsplit(server).hostname or "127.0.0.1", urlsplit(server).port or 443
    family = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((host, port))
        address = str(probe.getsockname()[0])
    return f"[{address}]" if ":" in address else address


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)


def _explain(request: Request, policy: str, server: str, *, open_to_strangers: bool) -> list[str]:
    who = {
        "Accept": f"Any cluster that reaches {server} may become a tenant and use 30 % of what is free.",
        "Manual": "Whoever asks waits until a person accepts: liqo requests, liqo accept ID.",
        "Deny": "Nobody may become a tenant, except those on the allow-list.",
    }[policy]
    lines = [f"Liqo is installed in namespace {request.namespace}; requestPolicy is {policy}.", who]
    lines += explain_entry(request.namespace, server, is_open=open_to_strangers, door=request.door)
    if not request.lan:
        lines.append(
            "The LAN agent is left out: this cluster neither announces itself nor hears others on the LAN."
        )
    elif request.image is not None:
        lines.append(
            "The LAN agent announces this cluster, on the network of the node it runs on; --no-lan leaves it out."
        )
    lines.append("Stop sharing: liqo share off. Change anything: kubectl edit clusterconfig clusterconfig.")
    if request.image is None:
        no_door = "" if request.door else " --no-door"
        lines.append(
            f"Run the controller: liqo controller --kubeconfig {request.controller_kubeconfig}{no_door}"
        )
        if request.lan and request.lan_kubeconfig is not None:
            lines.append(
                "Announce this cluster on your LAN and hear others, on a machine there: "
                f"liqo lan --kubeconfig {request.lan_kubeconfig}"
            )
    return lines


async def uninstall_from(kubeconfig: Path | None, context: str | None, namespace: str, say: Say) -> None:
    """End all peerings and take Liqo out."""
    async with connected(kubeconfig, context) as (cluster, _access):
        await uninstall(cluster, namespace, say, SystemClock())


async def install_into_lab(
    *,
    kubeconfig: Path,
    namespace: str,
    controller_kubeconfig: Path,
    lan_kubeconfig: Path | None,
    host: str,
    cluster_name: str,
    api_url: str,
) -> None:
    """Install into a cluster of the lab from outside; its controller runs inside, and serves on `host`."""
    request = Request(
        kubeconfig=kubeconfig,
        namespace=namespace,
        cluster_name=cluster_name,
        request_policy="Accept",
        webhook_url=f"https://{host}:{WEBHOOK_PORT}",
        controller_kubeconfig=controller_kubeconfig,
        lan_kubeconfig=lan_kubeconfig,
        controller_server=api_url,
    )
    await install_into(request, lambda _line: None)
