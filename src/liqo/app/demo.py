"""The main job, to look at: two clusters of a lab find each other, and one becomes a node of the other."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

from liqo.adapters.clock import SystemClock
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.kinds import FOREIGN_CLUSTER
from liqo.app.lab import up_with_liqo
from liqo.app.peers import follow_join
from liqo.app.setup import connected
from liqo.errors import Unavailable
from liqo.lab.lab import Lab
from liqo.lab.spec import NAMESPACE, ClusterSpec
from liqo.runtime.ports import Selection

HOME, FOREIGN = "rome", "milan"
NAME = "foreign-cluster"
FILE = "foreign-cluster.yaml"
WITHIN = timedelta(seconds=60)
SHOWN = "foreignclusters,advertisements,nodes"

MANIFEST = """\
apiVersion: discovery.liqo.io/v1
kind: ForeignCluster
metadata:
  name: foreign-cluster
spec:
  clusterID: <ForeignClusterID>
  join: true
  namespace: <LiqoNamespace>
  apiUrl: https://<ForeignIP>:6443
  discoveryType: Manual
  allowUntrustedCA: true
"""

DOMAIN = "mydomain.com"
ZONE = """\
mydomain.com.                         5  PTR  {name}._liqo._tcp.mydomain.com.
{name}._liqo._tcp.mydomain.com.        5  SRV  0 0 6443 apiserver{number}.mydomain.com.
{name}._liqo._tcp.mydomain.com.        5  TXT  "id={id}" "namespace={namespace}"
apiserver{number}.mydomain.com.              5  A    {host}
"""
SEARCH = """\
apiVersion: discovery.liqo.io/v1
kind: SearchDomain
metadata:
  name: mydomain.com
spec:
  domain: mydomain.com
  autojoin: false
"""
POLL = timedelta(milliseconds=100)

Say = Callable[[str], None]


def run_demo(lab: Lab, say: Say) -> None:
    """Run the main job in a lab and leave it running.

    Raises:
        Unavailable: a cluster does not start, or the node is not Ready in time; the message says why.
    """
    clock = SystemClock()
    start = clock.now()

    def step(text: str) -> None:
        say(f"{(clock.now() - start).total_seconds():6.1f} s  {text}")

    step(f"starting two Kubernetes clusters on this machine, {HOME} and {FOREIGN}, with Liqo in them")
    for spec, _, created in up_with_liqo(lab, (HOME, FOREIGN)):
        step(f"{spec.name} is up at {spec.api_url}" + ("" if created else " (it was already)"))
    home = lab.cluster(HOME)
    cluster_id = _command(lab, FOREIGN, say, "get", "configmap", "cluster-id", "-n", NAMESPACE, "-o", _ID)
    step(f"the ClusterID of {FOREIGN} is {cluster_id}")
    if home.has_agent:
        asyncio.run(_find(home, cluster_id, "lan", clock))
        step(f"{HOME} has found {FOREIGN} on the LAN, by itself")
    _publish(lab, say)
    asyncio.run(_find(home, cluster_id, f"dns/{DOMAIN}", clock))
    step(f"{HOME} has found {FOREIGN} in the domain {DOMAIN}, and skipped itself")
    say(_command(lab, HOME, say, "get", "searchdomains,foreignclusters"))
    manifest = fill(MANIFEST, cluster_id, lab.cluster(FOREIGN))
    path = lab.folder / FILE
    path.write_text(manifest)
    say("")
    for line in manifest.splitlines():
        say(f"    {line}")
    say("")
    applied = clock.now()
    _command(lab, HOME, say, "apply", "-f", str(path))
    node = asyncio.run(_follow(home, step, clock))
    took = (clock.now() - applied).total_seconds()
    step(f"node {node} is Ready, {took:.1f} s after kubectl apply")
    say("")
    say(_command(lab, HOME, say, "get", SHOWN, "-n", NAMESPACE))


def _publish(lab: Lab, say: Say) -> None:
    """Put the seed's zone into the lab's name server, and search it."""
    host, port = lab.name_server()
    ids = {
        name: lab.kubectl(name, "get", "cm", "cluster-id", "-n", NAMESPACE, "-o", _ID).strip()
        for name in lab.names()
    }
    places = {"liqo1": lab.cluster(HOME), "liqo2": lab.cluster(FOREIGN)}
    zone = "".join(
        ZONE.format(name=name, number=name[-1], id=ids[spec.name], namespace=NAMESPACE, host=spec.host)
        for name, spec in places.items()
    )
    lab.set_records(zone)
    settings = f'{{"spec":{{"discoveryConfig":{{"dnsServer":"{host}:{port}","searchInterval":2}}}}}}'
    _command(lab, HOME, say, "patch", "clusterconfig", "clusterconfig", "--type", "merge", "-p", settings)
    path = lab.folder / "mydomain.yaml"
    path.write_text(SEARCH)
    say("")
    for line in [*zone.splitlines(), "", *SEARCH.splitlines()]:
        say(f"    {line}")
    say("")
    _command(lab, HOME, say, "apply", "-f", str(path))


async def _find(home: ClusterSpec, cluster_id: str, finder: str, clock: SystemClock) -> None:
    """Wait until a finder sees a cluster.

    Raises:
        Unavailable: it does not in time.
    """
    end = clock.now() + WITHIN
    async with connected(home.kubeconfig, None) as (cluster, _):
        while True:
            for wire in (await cluster.list(Selection(FOREIGN_CLUSTER))).items:
                foreign = ForeignCluster.parse(wire)
                seen = {s.name for s in foreign.status.sources}
                if foreign.spec.cluster_id == cluster_id and finder in seen:
                    return
            if clock.now() >= end:
                raise Unavailable(f"{finder} does not see {cluster_id}", hint="liqo lab logs rome liqo-lan")
            await clock.sleep(POLL)


_ID = "jsonpath={.data.cluster-id}"


def fill(manifest: str, cluster_id: str, foreign: ClusterSpec) -> str:
    """Return the manifest with its three placeholders filled."""
    return (
        manifest.replace("<ForeignClusterID>", cluster_id)
        .replace("<LiqoNamespace>", NAMESPACE)
        .replace("<ForeignIP>", urlsplit(foreign.api_url).hostname or "")
    )


def _command(lab: Lab, name: str, say: Say, *args: str) -> str:
    """Run kubectl in a cluster as a person would, and show the command."""
    say(f"  {name}$ kubectl {' '.join(args)}")
    return lab.kubectl(name, *args).strip()


async def _follow(home: ClusterSpec, step: Say, clock: SystemClock) -> str:
    """Say each step of the join as it happens."""
    async with connected(home.kubeconfig, None) as (cluster, _):
        return await follow_join(cluster, NAME, step, within=WITHIN, clock=clock)


def next_commands(liqo: str) -> list[str]:
    """Return three things to try next; `liqo` is how this program was called."""
    kubectl = f"{liqo} lab exec {HOME} -- kubectl"
    return [
        f"{liqo} lab exec {HOME} -- {liqo} status",
        f"{liqo} lab stop {FOREIGN} kube-apiserver; {kubectl} get nodes -w   # back: {liqo} lab start {FOREIGN}",
        f"{liqo} lab exec {HOME} -- {liqo} unjoin {NAME}; {kubectl} get foreignclusters,nodes",
    ]
