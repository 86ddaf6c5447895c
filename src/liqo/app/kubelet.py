"""The kubelet endpoint of a controller: where it listens, whom it believes, and what it shows."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import Protocol

import structlog

from liqo.adapters.clusters import PeerClusters
from liqo.adapters.serving import Serving, make_serving
from liqo.api.advertisement import Advertisement
from liqo.api.kinds import SERVICE
from liqo.api.meta import Key
from liqo.api.names import CLIENT_CA_CONFIG_MAP, KUBELET_SERVICE, SYSTEM_NAMESPACE, remote_namespace
from liqo.app.kubelet_certificate import Certificates
from liqo.app.reviews import Reviews
from liqo.app.serving import ANY, OnHost, called_hosts, server_context
from liqo.app.stores import Stores
from liqo.errors import Absent, Fault, Forbidden, Unreachable
from liqo.node.abroad import Abroad
from liqo.node.decide import Address
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Clock, Cluster, Stream, Way
from liqo.serve.kubelet import Doorkeeper, Kubelet, Where

BESIDE = 100  # ports further on, for a host that is a node too
AGAIN = timedelta(minutes=1)  # after a certificate was not to be had

log = structlog.get_logger()


class Listening(OnHost, Protocol):
    """The options that say where the endpoint is."""

    @property
    def kubelet_address(self) -> str:
        """What nodes publish; "" for the address that we listen on, or else the Service's."""
        ...

    @property
    def kubelet_port(self) -> int:
        """HTTPS; 0 for no endpoint."""
        ...


@dataclass(slots=True, kw_only=True)
class Ways:
    """Where pods are, and the way there; on every replica, for those that stand by have no loops that know it."""

    stores: Stores
    abroad: Abroad
    clusters: PeerClusters
    namespace: str  # Liqo's own
    home_id: str
    leads: Callable[[], bool]

    def locate(self, namespace: str, pod: str, container: str) -> Where | None:
        """Return where a container of a pod at home runs; "" is the whole pod."""
        found = self.stores.pods.get(Key(namespace, pod))
        cluster_id = self.abroad.cluster_of(found)
        if found is None or not cluster_id:
            return None
        spec = found["spec"]
        names = {
            c["name"]
            for kind in ("containers", "initContainers", "ephemeralContainers")
            for c in spec.get(kind) or ()
        }
        if container and container not in names:
            return None
        remote = self.remote(cluster_id, namespace)
        return Where(spec["nodeName"], cluster_id, remote) if remote else None

    def remote(self, cluster_id: str, namespace: str) -> str:
        """Return the namespace on a cluster that stands for one of home's, "" if none does."""
        place = self.abroad.place(cluster_id, namespace)
        return place.remote if place is not None else remote_namespace(namespace, self.home_id)

    def cluster(self, cluster_id: str) -> Cluster:
        """Return a foreign cluster, to ask it something.

        Raises:
            Fault: there is no peering with it.
        """
        if not self.leads():
            self._use(cluster_id)
        session = self.clusters.get(cluster_id, Way.OUTGOING)
        if session is None:
            raise Unreachable("there is no peering with that cluster")
        return session.cluster

    async def open(self, cluster_id: str) -> Stream:
        """Return a connection to a foreign cluster.

        Raises:
            Fault: there is none to be had.
        """
        if not self.leads():
            self._use(cluster_id)
        return await self.clusters.stream(cluster_id, Way.OUTGOING)

    def _use(self, cluster_id: str) -> None:
        """Take up the credentials that the leader uses."""
        foreign = self.stores.counting(cluster_id)
        offer = self.stores.advertisements.get(Key(self.namespace, cluster_id))
        outgoing = foreign.status.outgoing if foreign is not None else None
        if offer is None or outgoing is None or outgoing.phase != "Established":
            raise Unreachable("there is no peering with that cluster")
        self.clusters.use(cluster_id, Way.OUTGOING, Advertisement.parse(offer).spec.kube_config or "")


class Endpoint:
    """The kubelet endpoint of this replica, if there is an address for one."""

    def __init__(
        self,
        options: Listening,
        ways: Ways,
        usage: Callable[[str], Awaitable[str | None]],
        certificates: Certificates,
        cluster: Cluster,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._options, self._ways, self._cluster, self._clock = options, ways, cluster, clock
        self._certificates = certificates
        reviews = Reviews(cluster, clock)
        doorkeeper = Doorkeeper(
            locate=ways.locate,
            identify=reviews.identify,
            allows=reviews.allows,
            open=ways.open,
            usage=usage,
        )
        self._kubelet = Kubelet(doorkeeper, metrics)
        self._serving: Serving | None = None
        self.address = Address()

    async def start(self) -> None:
        """Listen, if there is an address that nodes can publish; without one they publish none."""
        host = await published_host(self._options, self._cluster)
        port = self._options.kubelet_port
        if not host or not port:
            log.warning("no kubelet endpoint: kubectl logs and exec do not reach pods abroad", port=port)
            return
        bound = self._bind(port)
        if bound is None:
            return
        self.address = Address(host, bound)
        self._serving = make_serving([host], self._clock.now())
        await self.renew()

    def _bind(self, port: int) -> int | None:
        """Take the port, or the one BESIDE it where this host's own kubelet has it; return which, None for none."""
        for each in (port, port + BESIDE):
            try:
                self._kubelet.bind(self._options.listen, each)
            except OSError as exc:
                log.warning("the kubelet endpoint's port is taken", port=each, reason=exc.strerror)
            else:
                return each
        log.warning("no kubelet endpoint: kubectl logs and exec do not reach pods abroad", port=port)
        return None

    async def renew(self) -> None:
        """Serve with the certificate and the client CA that are current."""
        if self._serving is None:
            return
        await self._kubelet.use(client_context(self._serving, client_ca(self._ways.stores)))

    async def run(self) -> None:
        """Follow the client CA, and keep the certificate fresh, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_client_ca())
            if self._serving is not None:
                group.create_task(self._keep_certificate())

    async def _keep_certificate(self) -> None:
        """Have the cluster's CA sign what we show, again and again; until it does, it is self-signed."""
        while True:
            try:
                signed = await self._certificates.obtain(self.address.host)
            except Fault as fault:
                log.warning(
                    "kubelet certificate not signed: an API server with --kubelet-certificate-authority does not "
                    "reach pods abroad",
                    reason=fault.reason,
                    message=fault.message,
                )
                await self._clock.sleep(AGAIN)
                continue
            self._serving = signed.serving
            await self.renew()
            log.info("kubelet certificate signed", address=self.address.host)
            await self._clock.sleep(signed.renews - self._clock.now())

    async def _follow_client_ca(self) -> None:
        changed = asyncio.Event()
        end = self._ways.stores.client_ca.subscribe(lambda _key, _old, _new: changed.set())
        try:
            while True:
                changed.clear()
                await self.renew()
                await changed.wait()
        finally:
            end()

    async def cleanup(self) -> None:
        """End all streams."""
        await self._kubelet.cleanup()


async def published_host(options: Listening, cluster: Cluster) -> str:
    """Return the IP address at which the API server reaches us, "" where nobody says one.

    Without a Service we run beside the cluster, where the webhook is called at an address of ours.
    """
    if options.kubelet_address:
        return options.kubelet_address
    if options.listen not in ANY:
        return options.listen
    with suppress(Absent, Forbidden):
        service = await cluster.get(SERVICE, Key(options.namespace, KUBELET_SERVICE))
        address = str(service.get("spec", {}).get("clusterIP") or "")
        return "" if address == "None" else address
    for host in await called_hosts(cluster):
        with suppress(ValueError):  # a name is nothing that an API server would dial as InternalIP
            return str(ip_address(host))
    return ""


def client_ca(stores: Stores) -> str:
    """Return the CA that signs client certificates of our cluster, PEM; "" if it is not known."""
    found = stores.client_ca.get(Key(SYSTEM_NAMESPACE, CLIENT_CA_CONFIG_MAP))
    return str(((found or {}).get("data") or {}).get("client-ca-file") or "")


def client_context(serving: Serving, ca_pem: str) -> ssl.SSLContext:
    """Return a server's TLS context that verifies a client certificate, where one is shown.

    While the CA is unknown, no client certificate is taken.
    """
    context = server_context(serving)
    context.verify_mode = ssl.CERT_OPTIONAL
    with suppress(ssl.SSLError):  # an unreadable CA is as good as none
        if ca_pem:
            context.load_verify_locations(cadata=ca_pem)
    return context
