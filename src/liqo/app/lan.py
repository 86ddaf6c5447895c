"""The LAN agent: announces this cluster and browses for others; a process of its own, with few rights."""

import asyncio
import os
import signal
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from liqo.adapters.clock import SystemClock, SystemRandom
from liqo.adapters.contact import HttpContact
from liqo.adapters.kube import HttpCluster
from liqo.adapters.kubeconfig import Access, load_access
from liqo.adapters.lan_prover import LanProver
from liqo.adapters.mdns import Mdns, Said
from liqo.adapters.own import open_cluster
from liqo.adapters.tls import system_context
from liqo.api.cluster_config import ClusterConfigSpec, effective
from liqo.api.kinds import CLUSTER_CONFIG, CONFIG_MAP, FOREIGN_CLUSTER, NODE
from liqo.api.meta import Key, Kind, Wire
from liqo.api.names import CLUSTER_ID_CONFIG_MAP, CONFIG_NAME, WELL_KNOWN_CONFIG_MAP
from liqo.app.home import read_cluster_info
from liqo.app.lan_said import forge_said, service_type
from liqo.app.own_address import own_door, own_server
from liqo.discovery.lan_records import Record
from liqo.discovery.lan_table import LanTable
from liqo.discovery.loop_lan import LanClusters
from liqo.discovery.sighting import LAN
from liqo.errors import Absent, Fault, Malformed, Unavailable
from liqo.identity.trust import Verdict, check_address
from liqo.runtime.log import choose_level, setup_logging
from liqo.runtime.loop import Loop, supervise
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Selection
from liqo.runtime.queue import Queue
from liqo.runtime.store import Store
from liqo.runtime.watch import reflect
from liqo.serve.health import health_app

HEALTH_PORT = 8081  # the controller on the same host has 8080
HOST_TTL = timedelta(seconds=120)  # RFC 6762 §10
RETRY = timedelta(seconds=1)
RETRY_WITHIN = timedelta(seconds=2)
TICK = timedelta(seconds=1)
SWEEP_TICKS = 10
LOOK_AGAIN = timedelta(seconds=30)  # at our interfaces, nodes and names, which nobody tells us of
BROWSE_MAX = timedelta(
    seconds=60
)  # between two questions (RFC 6762 §5.2 allows an hour; a healed LAN should not wait)
QUESTIONS_MAX = 20  # a second
CONCURRENCY = 32
PER_SENDER = 4  # clusters that one sender spoke of and that are asked at once who they are

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What an agent is started with."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str = "liqo"
    interfaces: Sequence[str] = ()
    listen: str = "0.0.0.0"  # noqa: S104  the host's; only health and metrics are there
    health_port: int = HEALTH_PORT
    ttl: timedelta = HOST_TTL
    allow_loopback: bool = False
    log_level: str | None = None


class Silence:
    """Implements `runtime.ports.Events` for a process that has no right to write any."""

    def emit(self, about: Wire, kind: Kind, *, reason: str, message: str, warning: bool = False) -> None:
        """Do nothing."""


async def run_lan(options: Options) -> None:
    """Run until SIGTERM or SIGINT, then say goodbye; a background task that dies takes the process with it."""
    setup_logging(choose_level(options.log_level, os.environ), os.environ)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    metrics = Metrics(CollectorRegistry())
    access = load_access(options.kubeconfig, options.context)
    cluster = open_cluster(access, clock=SystemClock(), random=SystemRandom(), metrics=metrics)
    try:
        running = asyncio.ensure_future(_Agent(options, access, cluster, metrics).run())
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if running.done():
            await running
        running.cancel()
        await asyncio.wait({running})
    finally:
        await cluster.close()


class _Agent:
    """The parts of a running agent."""

    def __init__(self, options: Options, access: Access, cluster: HttpCluster, metrics: Metrics) -> None:
        self._options, self._access, self._cluster, self._metrics = options, access, cluster, metrics
        self._clock, self._random = SystemClock(), SystemRandom()
        self._foreigns = Store(indexes={"cluster-id": _cluster_id})
        self._configs, self._nodes, self._documents = Store(), Store(), Store()
        self._config = ClusterConfigSpec()
        self._table = LanTable(service_type(self._config.discovery_config))
        self._service_type = service_type(self._config.discovery_config)
        self._mdns = Mdns(self._hear, self._drop_packet, options.interfaces)
        self._queue = Queue(self._clock, self._random, group=self._group, per_group=PER_SENDER)
        self._answers = False  # whether our API server does
        self._look = asyncio.Event()
        self._pause = TICK
        self._browse_at = self._clock.now()
        self._home_id, self._cluster_info = "", ""
        self._rooms: LanClusters | None = None
        self._prover: LanProver | None = None
        self._pushed_out = 0

    async def run(self) -> None:
        """Run until cancelled; leave no announcement behind."""
        health = await self._serve()
        reflecting = asyncio.ensure_future(supervise(self._reflectors()))
        try:
            self._home_id = await self._read_id()
            self._cluster_info = await read_cluster_info(self._cluster)
            await self._mdns.open()
            for store in (self._foreigns, self._configs, self._documents):
                await store.wait_synced()
            self._begin()
            log.info("started", cluster_id=self._home_id, server=self._server())
            assert self._rooms is not None
            loop = Loop(
                "lan",
                self._rooms.reconcile,
                self._queue,
                clock=self._clock,
                metrics=self._metrics,
                concurrency=CONCURRENCY,
            )
            tasks = {"loop": loop.run(), "announce": self._announce(), "browse": self._browse()}
            working = asyncio.ensure_future(supervise(tasks))
            try:
                await asyncio.wait({working, reflecting}, return_when=asyncio.FIRST_COMPLETED)
                await (working if working.done() else reflecting)
            finally:
                working.cancel()
                await asyncio.wait({working})
        finally:
            reflecting.cancel()
            await asyncio.wait({reflecting})
            if self._prover is not None:
                await self._prover.close()
            await self._mdns.close()
            await health.cleanup()

    def _begin(self) -> None:
        """Build the room, and look at what an earlier life of this process wrote."""
        contact = HttpContact(
            system=cache(partial(system_context, "")),
            check=self._check,
            clock=self._clock,
            random=self._random,
            metrics=self._metrics,
            knocking=timedelta(),  # whoever says that he has no place is there
        )
        self._prover = LanProver(contact=contact, clock=self._clock, heard=self._hear_proof)
        self._rooms = LanClusters(
            home=self._cluster,
            foreigns=self._foreigns,
            table=self._table,
            prover=self._prover,
            config=lambda: self._config,
            home_id=self._home_id,
            events=Silence(),
            clock=self._clock,
            lost=self._browse_soon,
            dropped=lambda reason: self._metrics.lan_dropped.labels(reason).inc(),
        )
        self._foreigns.subscribe(self._foreign)
        self._configs.subscribe(lambda *_: self._settle())
        for store in (self._nodes, self._documents):
            store.subscribe(lambda *_: self._look.set())
        self._settle()

    def _group(self, key: Key) -> str:
        """Return whose turn a key takes: its own if we know the cluster, else that of whoever spoke of it."""
        if self._rooms is not None and self._rooms.has_place(key.name):
            return key.name
        return self._table.sender(key.name) or key.name

    # What is heard.

    def _hear(self, records: Sequence[Record], sender: str) -> None:
        for cluster_id in self._table.hear(records, sender, self._clock.now()):
            self._queue.add(Key("", cluster_id))

    def _hear_proof(self, cluster_id: str) -> None:
        self._queue.add(Key("", cluster_id))

    def _drop_packet(self) -> None:
        self._metrics.lan_dropped.labels("Packets").inc()

    def _foreign(self, _key: Key, old: Wire | None, new: Wire | None) -> None:
        for cluster_id in {i for w in (old, new) if w is not None for i in _cluster_id(w)}:
            assert self._rooms is not None
            if self._rooms.has_place(cluster_id) or _is_ours(new):
                self._queue.add(Key("", cluster_id))

    def _settle(self) -> None:
        """Take up the settings."""
        try:
            self._config = effective(self._configs.get(Key("", CONFIG_NAME)))
        except Malformed as fault:
            log.warning("invalid ClusterConfig, the last good one stays", reason=fault.message)
        wanted = service_type(self._config.discovery_config)
        if wanted != self._service_type:
            self._service_type = wanted
            for cluster_id in self._table.restart(wanted):
                self._queue.add(Key("", cluster_id))
        for wire in self._foreigns.values():
            if _is_ours(wire):
                for cluster_id in _cluster_id(wire):
                    self._queue.add(Key("", cluster_id))
        for listing in self._table.list(self._clock.now()):
            if listing.claim is not None:
                self._queue.add(Key("", listing.claim.sighting.cluster_id))
        self._browse_soon()
        self._look.set()

    # What is said.

    async def _announce(self) -> None:
        """Keep what we announce equal to what is; withdraw it while our API server does not answer."""
        before: Said | None = None
        while True:
            self._look.clear()
            try:
                said = await self._said()
                name = await self._mdns.announce(said)
                if said != before:
                    before = said
                    log.info("announced" if said is not None else "withdrawn", name=name)
                if said is not None and name != said.name:
                    log.info("another instance has our name", wanted=said.name, announced=name)
            except Fault as fault:
                log.warning("not announced", reason=fault.message)
            await _wait(self._look, LOOK_AGAIN)
            await self._mdns.follow_interfaces()

    async def _said(self) -> Said | None:
        config, server, namespace = self._config.discovery_config, self._server(), self._options.namespace
        document = self._documents.get(Key(namespace, WELL_KNOWN_CONFIG_MAP))
        if not (config.enable_advertisement and self._answers and server and self._service_type):
            return None
        if document is None:
            return None  # nobody could verify us, and a door that is told later is told too late
        return await forge_said(
            config,
            server,
            self._home_id,
            namespace,
            self._service_type,
            self._options.ttl,
            door_url=own_door(document, self._home_id, self._clock.now()),
        )

    def _server(self) -> str:
        own = own_server(self._cluster_info, self._access, self._nodes)
        return self._config.discovery_config.api_url or own

    # What is asked.

    async def _browse(self) -> None:
        """Ask who is there with pauses that double (RFC 6762 §5.2), and for what is about to run out."""
        assert self._rooms is not None
        ticks = 0
        while True:
            now = self._clock.now()
            if self._config.discovery_config.enable_discovery and self._service_type:
                if now >= self._browse_at:
                    self._mdns.browse(self._service_type)
                    self._browse_at = now + self._pause
                    self._pause = min(self._pause * 2, BROWSE_MAX)
                self._mdns.ask(self._table.due(now, self._rooms.has_place, QUESTIONS_MAX))
            ticks += 1
            if ticks % SWEEP_TICKS == 0:
                for cluster_id in self._table.forget_old(now):
                    self._queue.add(Key("", cluster_id))
            await self._clock.sleep(TICK)

    def _browse_soon(self) -> None:
        self._pause, self._browse_at = TICK, self._clock.now()

    # Around.

    def _reflectors(self) -> dict[str, Coroutine[Any, Any, object]]:
        document = Selection(CONFIG_MAP, namespace=self._options.namespace, name=WELL_KNOWN_CONFIG_MAP)
        watched = [
            (Selection(FOREIGN_CLUSTER), self._foreigns),
            (Selection(CLUSTER_CONFIG), self._configs),
            (document, self._documents),
        ]
        if self._access.in_cluster:
            watched.append((Selection(NODE), self._nodes))
        return {
            selection.kind.plural: reflect(
                self._cluster,
                selection,
                store,
                self._clock,
                self._random,
                cap=RETRY_WITHIN,
                on_fault=self._hear_nothing,
                on_heard=self._hear_answer,
            )
            for selection, store in watched
        }

    def _hear_answer(self) -> None:
        if not self._answers:
            self._answers = True
            self._look.set()

    def _hear_nothing(self, fault: Fault) -> None:
        if isinstance(fault, Unavailable) and self._answers:
            self._answers = False
            self._look.set()

    async def _read_id(self) -> str:
        """Return our own ClusterID, as soon as the controller has made it."""
        while True:
            try:
                found = await self._cluster.get(
                    CONFIG_MAP, Key(self._options.namespace, CLUSTER_ID_CONFIG_MAP)
                )
                return str((found.get("data") or {})[CLUSTER_ID_CONFIG_MAP]).strip()
            except (Absent, Unavailable, KeyError):
                await self._clock.sleep(RETRY)

    def _check(self, address: str) -> Verdict:
        own = urlsplit(self._access.server).hostname or ""
        return check_address(address, own=[own], allow_loopback=self._options.allow_loopback)

    async def _serve(self) -> web.AppRunner:
        runner = web.AppRunner(
            health_app(self._metrics.registry, self._unready, self._refresh), access_log=None
        )
        await runner.setup()
        await web.TCPSite(runner, self._options.listen, self._options.health_port).start()
        return runner

    def _unready(self) -> list[str]:
        missing = [] if self._rooms is not None else ["room"]
        return missing + ([] if self._answers else ["api-server"])

    def _refresh(self) -> None:
        self._metrics.lan_instances.set(len(self._table))
        self._metrics.lan_dropped.labels("Crowded").inc(self._table.dropped - self._pushed_out)
        self._pushed_out = self._table.dropped


def _cluster_id(obj: Wire) -> Sequence[str]:
    found = obj.get("spec", {}).get("clusterID")
    return (found,) if found else ()


def _is_ours(wire: Wire | None) -> bool:
    """Return whether an object has our entry."""
    sources = ((wire or {}).get("status") or {}).get("sources") or ()
    return any(s.get("name") == LAN for s in sources)


async def _wait(event: asyncio.Event, at_most: timedelta) -> None:
    try:
        async with asyncio.timeout(at_most.total_seconds()):
            await event.wait()
    except TimeoutError:
        return
