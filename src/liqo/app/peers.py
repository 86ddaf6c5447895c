"""What a person does with other clusters: join, unjoin, and see how that goes."""

from collections.abc import Callable
from datetime import timedelta

from liqo.api.cluster_config import ClusterConfigSpec, effective
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.kinds import CLUSTER_CONFIG, FOREIGN_CLUSTER
from liqo.api.meta import Condition, Key, Wire, find_condition
from liqo.api.names import AUTOJOINED_LABEL, CONFIG_NAME
from liqo.api.reasons import ConditionType
from liqo.errors import Absent, Invalid, Malformed, Unavailable
from liqo.identity.trust import parse_server_url
from liqo.runtime.ports import Clock, Cluster, Selection

POLL = timedelta(milliseconds=100)
STEPS = (
    ConditionType.IDENTITY_VERIFIED,
    ConditionType.TRUSTED,
    ConditionType.REQUESTED,
    ConditionType.ACCEPTED,
    ConditionType.ADVERTISED,
    ConditionType.NODE_READY,
)
Say = Callable[[str], None]


async def list_foreign(cluster: Cluster) -> list[ForeignCluster]:
    """Return all ForeignClusters, by name.

    Raises:
        Invalid: Liqo is not installed there.
    """
    try:
        page = await cluster.list(Selection(FOREIGN_CLUSTER))
    except Absent:
        raise Invalid("Liqo is not installed in this cluster", hint="liqo install") from None
    return sorted((ForeignCluster.parse(w) for w in page.items), key=lambda f: f.metadata.name)


async def find_foreign(cluster: Cluster, name: str) -> ForeignCluster:
    """Return the ForeignCluster with that name, cluster name or ClusterID.

    Raises:
        Invalid: none has it, or several have.
    """
    known = await list_foreign(cluster)
    found = [f for f in known if f.metadata.name == name] or [
        f for f in known if name in {f.spec.cluster_name, f.spec.cluster_id}
    ]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f.metadata.name for f in (found or known)) or "none"
    what = "several clusters are" if found else "no cluster is"
    raise Invalid(f"{what} called {name!r}", hint=f"the known ones: {names}")


async def join_url(cluster: Cluster, url: str, *, name: str, cluster_id: str | None, namespace: str) -> str:
    """Create a ForeignCluster for an address and have it joined; return its name.

    Raises:
        Invalid: that is no address of an API server.
    """
    try:
        host = parse_server_url(url).host
    except Malformed as fault:
        raise Invalid(fault.message, hint="such as https://192.168.1.20:6443") from None
    spec: Wire = {
        "apiUrl": url,
        "join": True,
        "namespace": namespace,
        "allowUntrustedCA": (await read_config(cluster)).discovery_config.accept_untrusted_ca,
    }
    if cluster_id is not None:
        spec["clusterID"] = cluster_id
    chosen = name or host.replace(":", "-")
    await cluster.create(FOREIGN_CLUSTER, forge_manual(chosen, spec))
    return chosen


def forge_manual(name: str, spec: Wire) -> Wire:
    """Return a ForeignCluster as a person enters it."""
    return {
        "apiVersion": FOREIGN_CLUSTER.api_version,
        "kind": FOREIGN_CLUSTER.kind,
        "metadata": {"name": name},
        "spec": {"discoveryType": "Manual", **spec},
    }


async def read_config(cluster: Cluster) -> ClusterConfigSpec:
    """Return the settings in force."""
    try:
        return effective(await cluster.get(CLUSTER_CONFIG, Key("", CONFIG_NAME)))
    except Absent:
        return effective(None)


async def set_join(cluster: Cluster, name: str, *, join: bool) -> str:
    """Set spec.join of a known cluster; return the name of its ForeignCluster.

    One that discovery joined, and that a person joins, is joined by a person from then on.
    """
    foreign = await find_foreign(cluster, name)
    patch: Wire = {"spec": {"join": join}}
    if join and AUTOJOINED_LABEL in foreign.metadata.labels:
        patch["metadata"] = {"labels": {AUTOJOINED_LABEL: None}}
    await cluster.patch(FOREIGN_CLUSTER, Key("", foreign.metadata.name), patch, manager="liqo-cli")
    return foreign.metadata.name


async def take_offer(cluster: Cluster, name: str) -> str:
    """Have the offer of a cluster taken, whatever the settings say; return the name of its ForeignCluster."""
    foreign = await find_foreign(cluster, name)
    patch: Wire = {"spec": {"acceptOffer": True}}
    await cluster.patch(FOREIGN_CLUSTER, Key("", foreign.metadata.name), patch, manager="liqo-cli")
    return foreign.metadata.name


async def follow_join(cluster: Cluster, name: str, say: Say, *, within: timedelta, clock: Clock) -> str:
    """Say each step of a join as it happens; return the node's name when it is Ready.

    Raises:
        Unavailable: it is not Ready in time; the message says which step it is at, and why.
    """
    end, told, last = clock.now() + within, set[str](), None
    while True:
        foreign = ForeignCluster.parse(await cluster.get(FOREIGN_CLUSTER, Key("", name)))
        for step in STEPS:
            found = find_condition(foreign.status.conditions, step)
            if found is None:
                continue
            line = describe(found)
            if line not in told:
                told.add(line)
                say(line)
            if found.status != "True":
                last = found
        ready = find_condition(foreign.status.conditions, ConditionType.NODE_READY)
        if ready is not None and ready.status == "True" and foreign.status.outgoing is not None:
            return foreign.status.outgoing.node_name or ""
        if clock.now() >= end:
            why = describe(last) if last is not None else "nothing happened: is Liqo's controller running?"
            raise Unavailable(
                f"{name} is not joined yet: {why}", hint=f"liqo status; kubectl describe fc {name}"
            )
        await clock.sleep(POLL)


async def follow_unjoin(cluster: Cluster, name: str, *, within: timedelta, clock: Clock) -> None:
    """Wait until nothing of a peering is left.

    Raises:
        Unavailable: it takes longer.
    """
    end = clock.now() + within
    while True:
        try:
            foreign = ForeignCluster.parse(await cluster.get(FOREIGN_CLUSTER, Key("", name)))
        except Absent:
            return  # it was only found, and no finder sees it any more
        outgoing = foreign.status.outgoing
        if outgoing is None or outgoing.phase is None:
            return
        if clock.now() >= end:
            raise Unavailable(f"{name} is still being unjoined", hint=f"kubectl describe fc {name}")
        await clock.sleep(POLL)


def describe(found: Condition) -> str:
    """Return one line about a condition."""
    mark = {"True": "yes", "False": "no", "Unknown": "..."}[found.status]
    return f"{found.type}: {mark}, {found.reason}: {found.message}"
