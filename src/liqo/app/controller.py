"""The controller: every loop, the admission webhook, health and metrics, in one process."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from liqo.adapters.clock import SystemClock, SystemRandom
from liqo.adapters.clusters import PeerClusters, open_peer
from liqo.adapters.contact import HttpContact
from liqo.adapters.kube import HttpCluster
from liqo.adapters.kubeconfig import load_access
from liqo.adapters.own import certificate_names, open_cluster
from liqo.adapters.tls import resolve_host
from liqo.adapters.watches import Watches
from liqo.api.cluster_config import ClusterConfigSpec, effective
from liqo.api.kinds import FEDERATION_REQUEST
from liqo.api.meta import Key
from liqo.api.names import CONTROLLER, DOOR_PORT, KUBELET_PORT
from liqo.app.door import Door, lets_strangers_in
from liqo.app.gate import Gate
from liqo.app.home import Home, read_cluster_info, read_service_cidrs
from liqo.app.identity import ensure_identity, tell_lost
from liqo.app.kubelet import Endpoint, Ways
from liqo.app.kubelet_certificate import Certificates
from liqo.app.loops import Reconciles, make_groups, make_loops, make_queues, retry_all
from liqo.app.magnet import Magnet
from liqo.app.own_access import OwnAccess
from liqo.app.resolvers import Resolvers
from liqo.app.rooms import build_rooms
from liqo.app.serving import start_servers
from liqo.app.stores import Stores, count_peers, make_stores, selections
from liqo.app.trust import Trust
from liqo.app.usage import Usages
from liqo.app.wiring import Triggers
from liqo.discovery.sightings import Sightings
from liqo.errors import Malformed, Refused
from liqo.identity.cluster_id import ClusterID, Identity
from liqo.node.abroad import Abroad
from liqo.runtime.events import EventWriter
from liqo.runtime.lease import Election
from liqo.runtime.log import choose_level, setup_logging
from liqo.runtime.metrics import Metrics
from liqo.runtime.watch import reflect

RETRY_WITHIN = timedelta(seconds=5)  # our own API server is near, and everything waits for it

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a controller is started with."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str = "liqo"
    listen: str = "0.0.0.0"  # noqa: S104  a pod's own address is what it serves on
    webhook_port: int = 9443
    health_port: int = 8080
    door: bool | None = None  # whether strangers have a door; None: if the API server lets none in
    door_port: int = DOOR_PORT
    kubelet_address: str = ""  # that virtual nodes publish; "": that of `listen`, or else the Service's
    kubelet_port: int = KUBELET_PORT  # 0: no kubelet endpoint
    allow_loopback: bool = (
        False  # may other clusters have loopback addresses; a lab without namespaces needs it
    )
    skew: timedelta = field(default_factory=timedelta)
    log_level: str | None = None


class Settings:
    """The settings in force; the last good ones where the stored ones cannot be read."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._good = ClusterConfigSpec()
        self._seen: object = None

    def __call__(self) -> ClusterConfigSpec:
        """Return the settings in force."""
        stored = self._stores.config()
        if stored is not self._seen:
            self._seen = stored
            try:
                self._good = effective(stored)
            except Malformed as fault:
                log.warning("invalid ClusterConfig, the last good one stays", reason=fault.message)
        return self._good


async def run_controller(options: Options) -> None:
    """Run until SIGTERM or SIGINT; a background task that dies takes the process with it.

    Expected flow: connect, find out who we are, fill the stores, serve the webhook on every replica; the leader
    runs the loops. Whoever loses the lead stops them, since one that goes on would write beside its successor.
    """
    setup_logging(choose_level(options.log_level, os.environ), os.environ)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock, random, metrics = SystemClock(options.skew), SystemRandom(), Metrics(CollectorRegistry())
    access = load_access(options.kubeconfig, options.context)
    cluster = open_cluster(access, clock=clock, random=random, metrics=metrics)
    stores = make_stores()
    settings = Settings(stores)
    events = EventWriter(
        cluster,
        clock=clock,
        metrics=metrics,
        component=CONTROLLER,
        instance=_own_name(),
        namespace=options.namespace,
    )
    try:
        cluster_id, identity = await _own_identity(cluster, options.namespace, events)
        door = options.door
        if door is None:
            door = not await lets_strangers_in(access, options.namespace)
        home = Home(
            cluster_id=cluster_id,
            identity=identity,
            namespace=options.namespace,
            access=access,
            cluster_info=await read_cluster_info(cluster),
            nodes=stores.nodes,
            config=settings,
            door_port=options.door_port if door else 0,
            certificate_names=await certificate_names(access) or (),
            service_cidrs=await read_service_cidrs(cluster),
        )
        log.info(
            "started", cluster_id=cluster_id, namespace=options.namespace, server=access.server, door=door
        )
        parts = _Parts(options, cluster, home, stores, settings, clock, random, metrics, events)
        await parts.run(stop)
    finally:
        await cluster.close()


async def _own_identity(
    cluster: HttpCluster, namespace: str, events: EventWriter
) -> tuple[ClusterID, Identity]:
    """Return who we are; where that cannot be said, an event tells why before the process ends."""
    try:
        return await ensure_identity(cluster, namespace)
    except Refused as fault:
        await tell_lost(cluster, namespace, fault, events)
        await events.flush()
        raise


class _Parts:
    """The parts of a running controller, built from those that were there first."""

    def __init__(
        self,
        options: Options,
        cluster: HttpCluster,
        home: Home,
        stores: Stores,
        settings: Settings,
        clock: SystemClock,
        random: SystemRandom,
        metrics: Metrics,
        events: EventWriter,
    ) -> None:
        self._options, self._cluster, self._home, self._stores = options, cluster, home, stores
        self._clock, self._random, self._metrics = clock, random, metrics
        self._settings, self._events = settings, events
        self._trust = Trust(stores, home, allow_loopback=options.allow_loopback)
        self._abroad = Abroad(stores.nodes, home.closed)
        self._groups = make_groups(self._abroad, stores.pods)
        self._queues = make_queues(clock, random, self._groups)
        self._triggers = Triggers(self._queues, stores, self._abroad, options.namespace)
        self._views = Watches(cluster, self._triggers.offloading.viewed, clock=clock, random=random)
        self._triggers.offloading.retell = self._views.retell
        self._clusters = PeerClusters(
            us=home.us,
            check=self._trust.check,
            changed=self._triggers.peer,
            seen=self._triggers.seen,
            clock=clock,
            random=random,
            connect=partial(open_peer, check=self._trust.check, clock=clock, random=random, metrics=metrics),
            trust=self._trust.of_peer,
            endpoints=stores.endpoints,
        )
        self._contact = HttpContact(
            system=self._trust.context, check=self._trust.check, clock=clock, random=random, metrics=metrics
        )
        self._sightings = Sightings()
        self._resolvers = Resolvers(lambda result: metrics.dns_queries.labels(result).inc())
        self._own = OwnAccess(
            home, cluster, partial(read_cluster_info, cluster), self._triggers.everything, clock
        )
        stores.keys.subscribe(self._own.take_keys)
        self._subscribed = False
        self._leads = False
        ways = Ways(
            stores=stores,
            abroad=self._abroad,
            clusters=self._clusters,
            namespace=options.namespace,
            home_id=home.cluster_id,
            leads=lambda: self._leads,
        )
        certificates = Certificates(
            cluster=cluster,
            access=lambda: home.access,
            namespace=options.namespace,
            clock=clock,
            random=random,
            metrics=metrics,
        )
        usages = Usages(ways=ways, events=self._events, clock=clock)
        self._kubelet = Endpoint(options, ways, usages.page, certificates, cluster, clock, metrics)

    async def run(self, stop: asyncio.Event) -> None:
        """Run everything until told to stop, or until a part dies."""
        gate = Gate(self._stores, self._home, self._settings, self._clock, self._metrics, self._events)
        magnet = Magnet(self._stores.enabled, self._metrics)
        servers = await start_servers(
            self._options,
            cluster=self._cluster,
            judges={FEDERATION_REQUEST.plural: gate.judge, **magnet.judges()},
            registry=self._metrics.registry,
            unready=self._unready,
            refresh=self._count,
            clock=self._clock,
            door=self._door() if self._home.door_port else None,
        )
        await self._kubelet.start()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._reflect()),
                    group.create_task(self._kubelet.run()),
                    group.create_task(self._events.run()),
                    group.create_task(self._own.run()),
                    group.create_task(self._lead()),
                ]
                await stop.wait()
                for task in tasks:
                    task.cancel()
        finally:
            await self._kubelet.cleanup()
            await self._views.close()
            await self._clusters.close()
            await self._resolvers.close()
            for server in servers:
                await server.cleanup()

    def _door(self) -> Door:
        return Door(lambda: self._home.access, self._cluster, self._options.namespace, self._clock)

    def _unready(self) -> list[str]:
        """Name the stores that are not filled yet."""
        names = type(self._stores).__dataclass_fields__
        return [name for name in names if not getattr(self._stores, name).synced]

    def _count(self) -> None:
        """Bring the gauges up to date that nobody sets meanwhile."""
        count_peers(self._stores, self._metrics)
        self._metrics.tasks.set(len(asyncio.all_tasks()))

    async def _reflect(self) -> None:
        """Keep all stores equal to the API server."""
        async with asyncio.TaskGroup() as group:
            for selection, store in selections(self._options.namespace, self._stores):
                group.create_task(
                    reflect(
                        self._cluster,
                        selection,
                        store,
                        self._clock,
                        self._random,
                        cap=RETRY_WITHIN,
                        on_restart=self._count_restart(selection.kind.plural),
                    )
                )

    def _count_restart(self, resource: str) -> Callable[[str], None]:
        return lambda reason: self._metrics.watch_restarts.labels(resource, reason).inc()

    async def _lead(self) -> None:
        """Wait for the lead, and run the loops while we have it."""
        election = Election(
            self._cluster,
            Key(self._options.namespace, CONTROLLER),
            _own_name(),
            clock=self._clock,
            random=self._random,
            on_change=self._take_lead,
        )
        await election.run(self._loops)

    def _take_lead(self, leading: bool) -> None:
        self._leads = leading
        self._metrics.leader.set(int(leading))

    async def _loops(self) -> None:
        """Run the loops until cancelled."""
        for name in type(self._stores).__dataclass_fields__:
            await getattr(self._stores, name).wait_synced()
        if not self._subscribed:  # the lead may be lost and won again
            self._subscribed = True
            self._triggers.subscribe()
        self._triggers.everything()
        retry_all(self._queues)  # our own API server may have been away, and the lead with it
        async with asyncio.TaskGroup() as group:
            reconciles, clock = self._reconciles(), self._clock
            for loop in make_loops(reconciles, self._queues, self._groups, clock, self._metrics):
                group.create_task(loop.run())

    def _reconciles(self) -> Reconciles:
        """Build the rooms."""
        return build_rooms(
            cluster=self._cluster,
            stores=self._stores,
            settings=self._settings,
            us=self._home.us,
            clusters=self._clusters,
            contact=self._contact,
            resolve=resolve_host,
            events=self._events,
            clock=self._clock,
            sightings=self._sightings,
            resolver=self._resolvers.of,
            encode=self._resolvers.encode,
            took=self._metrics.observe_search,
            changed=self._triggers.found,
            moved=self._triggers.offloading.moved,
            views=self._views,
            abroad=self._abroad,
            address=self._kubelet.address,
        )


def _own_name() -> str:
    """Return the name that this replica keeps over a restart."""
    return os.environ.get("POD_NAME") or socket.gethostname()
