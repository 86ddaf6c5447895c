"""Two whole clusters in memory: every loop of both, real sealing and proofs, time turned by hand.

The API servers are `memory_cluster`, which a contract test holds to the real one. Rights are modelled as far as
peerings need them: a token counts while its ServiceAccount is there, its end has not come and a RoleBinding
names the account. A cluster with a CA is verified with the one that its credentials or its document name.
"""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson
from prometheus_client import CollectorRegistry

from liqo.adapters.clusters import PeerClusters
from liqo.adapters.failover import FailoverCluster
from liqo.adapters.kubeconfig import Access
from liqo.adapters.tls import PeerTrust
from liqo.adapters.watches import Watches
from liqo.api.kinds import (
    ADVERTISEMENT,
    CLUSTER_CONFIG,
    CONFIG_MAP,
    FEDERATION_REQUEST,
    FOREIGN_CLUSTER,
    NAMESPACE,
    NODE,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
)
from liqo.api.meta import Key, Kind, Wire, format_time
from liqo.api.names import CLUSTER_ID_CONFIG_MAP, WELL_KNOWN_CONFIG_MAP, WELL_KNOWN_KEY
from liqo.api.reasons import Reason
from liqo.app.controller import Settings
from liqo.app.gate import Gate
from liqo.app.home import Home
from liqo.app.identity import ensure_identity
from liqo.app.loops import make_groups, make_loops, make_queues
from liqo.app.rooms import build_rooms
from liqo.app.stores import Stores, make_stores, selections
from liqo.app.trust import Trust
from liqo.app.wiring import Triggers
from liqo.discovery.dns import Answer, Type
from liqo.discovery.sightings import Sightings
from liqo.errors import Absent, Forbidden, NotTrusted, Unauthorized, Unreachable
from liqo.identity.document import parse_document
from liqo.identity.kubeconfig import Credentials
from liqo.identity.trust import TRUSTED
from liqo.node.abroad import Abroad
from liqo.node.decide import Address
from liqo.peering.ports import Met
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Page, Selection, Way
from liqo.runtime.secret import Secret
from liqo.runtime.watch import reflect
from manual_clock import FixedRandom, ManualClock
from memory_cluster import MemoryCluster

NS = "liqo"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass
class Quiet:
    """Implements `runtime.ports.Events`: remembers."""

    told: list[tuple[str, str]] = field(default_factory=list)

    def emit(self, about: Wire, kind: Kind, *, reason: str, message: str, warning: bool = False) -> None:
        del about, kind, warning
        self.told.append((reason, message))


class Killed(BaseException):
    """The process is killed at this very point."""


@dataclass
class Tripwire:
    """Kills a controller before or after its n-th write, wherever that goes; 0 is never."""

    at: int = 0
    after: bool = False
    writes: int = 0
    dead: bool = False

    def before_write(self) -> None:
        self.check()
        self.writes += 1
        if self.writes == self.at and not self.after:
            self._kill()

    def after_write(self) -> None:
        if self.writes == self.at and self.after:
            self._kill()

    def check(self) -> None:
        if self.dead:
            raise Killed

    def _kill(self) -> None:
        self.dead = True
        raise Killed


WRITES = {"create", "apply", "patch", "delete", "post"}


class Late:
    """A Cluster that answers to what is written after a while."""

    def __init__(self, inner: Any, clock: ManualClock, lag: Callable[[], timedelta]) -> None:
        self._inner, self._clock, self._lag = inner, clock, lag

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in WRITES or not self._lag():
            return found

        async def write(*args: Any, **kwargs: Any) -> Any:
            await self._clock.sleep(self._lag())
            return await found(*args, **kwargs)

        return write


class Wired:
    """A Cluster whose writes go over a tripwire."""

    def __init__(self, inner: Any, wire: Tripwire) -> None:
        self._inner, self._wire = inner, wire

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in WRITES:
            return found

        async def write(*args: Any, **kwargs: Any) -> Any:
            self._wire.before_write()
            answer = await found(*args, **kwargs)
            self._wire.after_write()
            return answer

        return write


class Guarded:
    """A MemoryCluster as seen with a token, over a connection verified with a CA; "" verifies nothing."""

    def __init__(self, world: "World", server: str, token: str, ca_pem: str) -> None:
        self._world, self.server, self._ca_pem = world, server, ca_pem
        self._token = orjson.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))

    def _check(self) -> MemoryCluster:
        side, claims = self._world.at(self.server), self._token
        if self._ca_pem not in {"", side.ca_pem}:
            raise NotTrusted("another CA signed its certificate", reason=Reason.CA_NOT_TRUSTED)
        account = side.api.seen(SERVICE_ACCOUNT, claims["name"], claims["namespace"])
        if account is None or account["metadata"]["uid"] != claims["uid"]:
            raise Unauthorized("the token's account is gone")
        if side.world.clock.now().timestamp() >= claims["exp"]:
            raise Unauthorized("the token ended")
        subjects = [s for b in side.api.objects(ROLE_BINDING) for s in b.get("subjects") or ()]
        if not any((s["name"], s["namespace"]) == (claims["name"], claims["namespace"]) for s in subjects):
            raise Forbidden("no rights")
        return side.api

    async def get(self, kind: Kind, key: Key) -> Wire:
        return await self._check().get(kind, key)

    async def list(self, selection: Selection, *, limit: int = 500, continue_token: str = "") -> Page:
        return await self._check().list(selection, limit=limit, continue_token=continue_token)

    async def watch(self, selection: Selection, resource_version: str) -> AsyncIterator[Wire]:
        async for event in self._check().watch(selection, resource_version):
            yield event

    async def create(self, kind: Kind, obj: Wire) -> Wire:
        return await self._check().create(kind, obj)

    async def apply(self, kind: Kind, obj: Wire, *, manager: str, subresource: str = "") -> Wire:
        return await self._check().apply(kind, obj, manager=manager, subresource=subresource)

    async def patch(
        self, kind: Kind, key: Key, patch: Wire, *, manager: str = "", subresource: str = ""
    ) -> Wire:
        return await self._check().patch(kind, key, patch, manager=manager, subresource=subresource)

    async def delete(
        self, kind: Kind, key: Key, *, uid: str = "", version: str = "", grace: int | None = None
    ) -> None:
        await self._check().delete(kind, key, uid=uid, version=version, grace=grace)

    async def post(self, path: str, body: Wire) -> Wire:
        return await self._check().post(path, body)

    async def fetch(self, path: str, *, within: timedelta | None = None) -> Wire:  # noqa: ARG002
        return await self._check().get(FEDERATION_REQUEST, Key(NS, path.rsplit("/", 1)[1]))

    async def give_up(self) -> None:
        """Nothing is on its way."""

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class Acquaintance:
    """Implements `peering.ports.Contact` between the sides of a world."""

    world: "World"
    wire: Tripwire

    async def meet(
        self,
        servers: Sequence[str],
        namespace: str,
        *,
        expected: str | None,
        allow_untrusted: bool,
        door: str = "",  # noqa: ARG002  nobody has one here
    ) -> Met:
        for server in servers:
            try:
                side = self.world.at(server)
                break
            except Unreachable as fault:
                last = fault
        else:
            raise last
        if not allow_untrusted:
            raise NotTrusted("no known CA", reason="CANotTrusted")
        found = side.api.seen(CONFIG_MAP, WELL_KNOWN_CONFIG_MAP, namespace)
        if found is None:
            raise Unreachable("no document yet", reason="DocumentMissing")
        document = parse_document(found["data"][WELL_KNOWN_KEY], self.world.clock.now(), expected=expected)
        now, ca_pem = self.world.clock.now(), document.ca_bundle
        if ca_pem != side.ca_pem:
            raise NotTrusted("another CA is shown", reason=Reason.CA_NOT_SHOWN)
        return Met(document=document, server=server, entry=server, ca_pem=ca_pem, at=now)

    async def ask(
        self,
        met: Met,
        namespace: str,
        request: Wire,
        *,
        token: Secret | None = None,  # noqa: ARG002  the API server checks it
    ) -> Sequence[str]:
        self.wire.before_write()
        warnings = await self.world.at(met.server).admit(namespace, request)
        self.wire.after_write()
        return warnings


class Unanswered:
    """Name servers that do not answer: what a domain shows, a test makes up."""

    ipv6 = False

    async def ask(self, _name: str, _kind: Type) -> Answer:
        return Answer(fault=Reason.SERVER_AWAY)


class Side:
    """One cluster and its controller."""

    def __init__(self, world: "World", name: str, number: int, ca_pem: str) -> None:
        self.world, self.name = world, name
        self.server = f"https://10.0.0.{number}:6443"
        self.ca_pem = ca_pem
        self.api = MemoryCluster(now=world.clock.now)
        self.api.answers["token"] = self._issue
        self.api.answers["subjectaccessreviews"] = self._review
        self.events = Quiet()
        self.aliases: set[str] = set()  # further addresses of its API server
        self.down = False  # its API server, for others
        self.lag = timedelta(0)  # of its answers to what others write
        self.wire = Tripwire()
        self.sightings = Sightings()  # of its searches, which a test makes up
        self.gate: Gate | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._clusters: PeerClusters | None = None
        self._views: Watches

    def _issue(self, path: str, body: Wire) -> Wire:
        parts = path.split("/")
        namespace, name = parts[4], parts[6]
        account = self.api.seen(SERVICE_ACCOUNT, name, namespace)
        if account is None:
            raise Absent(f"serviceaccounts {name} not found")
        asked = timedelta(seconds=body["spec"]["expirationSeconds"])
        end = self.world.clock.now() + min(asked, self.world.longest_token)
        claims = {
            "name": name,
            "namespace": namespace,
            "uid": account["metadata"]["uid"],
            "exp": int(end.timestamp()),
            "n": len(self.api.calls),
        }
        payload = base64.urlsafe_b64encode(orjson.dumps(claims)).rstrip(b"=").decode()
        return {"status": {"token": f"h.{payload}.s", "expirationTimestamp": format_time(end)}}

    def _review(self, _path: str, body: Wire) -> Wire:
        _, _, namespace, name = body["spec"]["user"].split(":")
        subjects = [s for b in self.api.objects(ROLE_BINDING) for s in b.get("subjects") or ()]
        return {
            "status": {"allowed": any((s["name"], s["namespace"]) == (name, namespace) for s in subjects)}
        }

    async def admit(self, namespace: str, request: Wire) -> Sequence[str]:
        if self.down or self.gate is None:
            raise Unreachable(f"{self.server} does not answer")
        ruling = self.gate.judge(request, request["metadata"]["name"])
        if not ruling.allowed:
            raise Forbidden(ruling.message, reason=ruling.reason)
        wire = {**request, "metadata": {**request["metadata"], "namespace": namespace}}
        await self.api.create(FEDERATION_REQUEST, wire)
        return ruling.warnings

    def connect(
        self, credentials: Credentials, _way: Way, addresses: Callable[[], Sequence[str]], _trust: PeerTrust
    ) -> Any:
        token = credentials.token.reveal()

        def one(server: str) -> Any:
            guarded = Guarded(self.world, server, token, credentials.ca_pem)
            return Wired(Late(guarded, self.world.clock, lambda: self.world.at(server).lag), self.wire)

        return FailoverCluster(addresses, one, self.world.clock)

    async def start(self) -> None:
        """Start the controller."""
        clock, random, metrics = self.world.clock, FixedRandom(0.5), Metrics(CollectorRegistry())
        stores = make_stores()
        settings = Settings(stores)
        self.wire.dead = False
        own: Any = Wired(self.api, self.wire)
        cluster_id, identity = await ensure_identity(own, NS)
        self.id = cluster_id
        home = Home(
            cluster_id=cluster_id,
            identity=identity,
            namespace=NS,
            access=Access(server=self.server, ssl_context=None, ca_pem=self.ca_pem),
            cluster_info="",
            nodes=stores.nodes,
            config=settings,
        )
        trust = Trust(stores, home, allow_loopback=False)

        def verify(peer: str, ca_pem: str) -> PeerTrust:
            return trust.of_peer(peer, ca_pem) if ca_pem else PeerTrust("known", NO_TLS, None)

        abroad = Abroad(stores.nodes, home.closed)
        groups = make_groups(abroad, stores.pods)
        queues = make_queues(clock, random, groups)
        triggers = self.triggers = Triggers(queues, stores, abroad, NS)
        self._views = Watches(own, triggers.offloading.viewed, clock=clock, random=random)
        triggers.offloading.retell = self._views.retell
        self._clusters = PeerClusters(
            us=home.us,
            check=lambda _ip: TRUSTED,
            changed=triggers.peer,
            seen=triggers.seen,
            clock=clock,
            random=random,
            connect=self.connect,
            trust=verify,
            endpoints=stores.endpoints,
        )
        rooms = build_rooms(
            cluster=own,
            stores=stores,
            settings=settings,
            us=home.us,
            clusters=self._clusters,
            contact=Acquaintance(self.world, self.wire),
            resolve=own_address,
            events=self.events,
            clock=clock,
            sightings=self.sightings,
            resolver=lambda _text: Unanswered(),
            encode=str,
            took=metrics.observe_search,
            changed=triggers.found,
            moved=triggers.offloading.moved,
            views=self._views,
            abroad=abroad,
            address=Address(),
        )
        self.gate = Gate(stores, home, settings, clock, metrics, self.events)
        self._tasks = [
            asyncio.create_task(reflect(self.api, selection, store, clock, random))
            for selection, store in selections(NS, stores)
        ]
        await self._filled(stores)
        triggers.subscribe()
        triggers.everything()
        self._tasks += [
            asyncio.create_task(self._run(loop)) for loop in make_loops(rooms, queues, groups, clock, metrics)
        ]

    async def _filled(self, stores: Stores) -> None:
        for name in type(stores).__dataclass_fields__:
            await getattr(stores, name).wait_synced()

    async def _run(self, loop: Any) -> None:
        await loop.run()

    async def collect(self) -> None:
        """Do what the namespace controller does: what is in a namespace goes with it."""
        there = {o["metadata"]["name"] for o in self.api.objects(NAMESPACE)} | {NS}
        for kind in (ROLE_BINDING, SERVICE_ACCOUNT):
            for obj in self.api.objects(kind):
                if obj["metadata"]["namespace"] not in there:
                    await self.api.delete(kind, Key.of(obj))

    async def stop(self) -> None:
        """End the controller without a word, as kill -9 does."""
        self.gate = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._clusters is not None:
            await self._clusters.close()
            await self._views.close()
        self._tasks = []

    # What a person sees.

    def foreign(self, name: str) -> Wire | None:
        return self.api.seen(FOREIGN_CLUSTER, name)

    def virtual_nodes(self) -> list[Wire]:
        return [n for n in self.api.objects(NODE) if n["metadata"].get("labels", {}).get("liqo.io/type")]

    def condition(self, name: str, kind: str) -> tuple[str, str] | None:
        found = (self.foreign(name) or {}).get("status", {}).get("conditions", [])
        return next(((c["status"], c["reason"]) for c in found if c["type"] == kind), None)


@dataclass
class World:
    """Two clusters that reach each other."""

    clock: ManualClock = field(default_factory=ManualClock)
    sides: dict[str, Side] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)  # addresses that do not answer
    longest_token: timedelta = timedelta(days=1)  # as --service-account-max-token-expiration says

    def at(self, server: str) -> Side:
        side = next((s for s in self.sides.values() if server in {s.server, *s.aliases}), None)
        if side is None or side.down or server in self.dead:
            raise Unreachable(f"{server} does not answer")
        return side

    async def begin(self) -> None:
        for number, name in enumerate(("rome", "milan"), start=1):
            await self.install(name, number)
        await self.run(timedelta(seconds=1))

    async def install(self, name: str, number: int, *, legacy_id: str = "", ca_pem: str = "") -> None:
        """Make a cluster from nothing; what was at that address before is gone without a word.

        Args:
            name: of the cluster.
            number: the end of its address.
            legacy_id: a UUID that its operator writes down before the first start; "" for none.
            ca_pem: of its API server.
        """
        if name in self.sides:
            await self.sides[name].stop()
            self.sides[name].api.end_watches()
        side = self.sides[name] = Side(self, name, number, ca_pem)
        if legacy_id:
            config_map = {"name": CLUSTER_ID_CONFIG_MAP, "namespace": NS}
            data = {CLUSTER_ID_CONFIG_MAP: legacy_id}
            await side.api.create(CONFIG_MAP, {"metadata": config_map, "data": data})
        await side.api.create(NODE, real_node(f"{name}-1", f"10.{200 + number}.0.0/24"))
        spec = {"discoveryConfig": {"clusterName": name}}
        await side.api.create(CLUSTER_CONFIG, {"metadata": {"name": "clusterconfig"}, "spec": spec})
        await side.start()

    async def run(self, span: timedelta, step: timedelta = timedelta(milliseconds=250)) -> None:
        """Let time pass in small steps."""
        end = self.clock.now() + span
        while self.clock.now() < end:
            await self.clock.advance(min(step, end - self.clock.now()))
            for side in self.sides.values():
                await side.collect()

    async def join(self, home: str, foreign: str, name: str = "foreign-cluster") -> None:
        """Apply the seed's ForeignCluster."""
        there = self.sides[foreign]
        spec = {
            "clusterID": there.id,
            "join": True,
            "namespace": NS,
            "apiUrl": there.server,
            "discoveryType": "Manual",
            "allowUntrustedCA": True,
        }
        await self.sides[home].api.create(FOREIGN_CLUSTER, {"metadata": {"name": name}, "spec": spec})

    async def set_spec(self, side: str, name: str, **spec: object) -> None:
        """Change fields of a ForeignCluster."""
        await self.sides[side].api.patch(FOREIGN_CLUSTER, Key("", name), {"spec": spec})

    def is_ready(self) -> bool:
        """Return whether rome has one virtual node, and it is Ready."""
        rome = self.sides["rome"]
        ready = rome.condition("foreign-cluster", "NodeReady") == ("True", "Ready")
        return len(rome.virtual_nodes()) == 1 and ready

    def leftovers(self) -> dict[str, list[str]]:
        """Return everything that a peering may leave behind, of both sides."""
        found: dict[str, list[str]] = {}
        for name, side in self.sides.items():
            for kind in (ADVERTISEMENT, FEDERATION_REQUEST, NAMESPACE, ROLE, ROLE_BINDING, SERVICE_ACCOUNT):
                there = [o["metadata"]["name"] for o in side.api.objects(kind)]
                if there:
                    found[f"{name}/{kind.plural}"] = there
            if side.virtual_nodes():
                found[f"{name}/nodes"] = [n["metadata"]["name"] for n in side.virtual_nodes()]
        return found

    async def end(self) -> None:
        for side in self.sides.values():
            await side.stop()


async def own_address(host: str) -> frozenset[str]:
    """Names are addresses here."""
    return frozenset({host})


def real_node(name: str, cidr: str) -> Wire:
    return {
        "metadata": {"name": name},
        "spec": {"podCIDRs": [cidr]},
        "status": {
            "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
