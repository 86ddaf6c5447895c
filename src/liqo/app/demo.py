"""The main job, to look at: two clusters of a lab find each other; one becomes a node of the other, and runs pods."""

import asyncio
import os
import shutil
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlsplit

from liqo.adapters.clock import SystemClock
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.kinds import FOREIGN_CLUSTER
from liqo.app.demo_pods import DEPLOYMENT, run_pods
from liqo.app.demo_pods import NAMESPACE as SHOP
from liqo.app.demo_screen import Say, Screen
from liqo.app.lab import up_with_liqo
from liqo.app.peers import follow_join
from liqo.app.setup import connected
from liqo.errors import Unavailable
from liqo.lab.lab import Lab
from liqo.lab.real_nodes import ensure_node
from liqo.lab.spec import NAMESPACE, ClusterSpec
from liqo.runtime.ports import Clock, Selection

HOME, FOREIGN = "rome", "milan"
BOTH_WAYS = ((HOME, FOREIGN), (FOREIGN, HOME))
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


def run_demo(lab: Lab, say: Say) -> None:
    """Run the main job in a lab and leave it running.

    Raises:
        Unavailable: a cluster does not start, the node is not Ready or a pod does not run in time; the message says
            why.
        Refused: a command fails.
    """
    clock = SystemClock()
    screen = Screen(lab, say, clock)
    screen.step(f"starting two Kubernetes clusters on this machine, {HOME} and {FOREIGN}, with Liqo in them")
    real = _can_be_real(lab, say)
    for spec, _, created in up_with_liqo(lab, (HOME, FOREIGN), real=real or None):
        screen.step(f"{spec.name} is up at {spec.api_url}" + ("" if created else " (it was already)"))
    ids = {}
    for name in (HOME, FOREIGN):
        ids[name] = screen.run(name, "get", "configmap", "cluster-id", "-n", NAMESPACE, "-o", _ID)
        screen.step(f"the ClusterID of {name} is {ids[name]}")
    _find_all(screen, ids)
    _join(screen, ids[FOREIGN])
    say("")
    run_pods(screen, HOME, FOREIGN, fake=not lab.cluster(FOREIGN).real)


def _can_be_real(lab: Lab, say: Say) -> bool:
    """Return whether a new lab can have nodes that run containers: root on what is like Debian."""
    if os.geteuid() != 0 or set(lab.names()) or shutil.which("apt-get") is None:
        return False
    try:
        ensure_node(lab.progress)
    except Unavailable as fault:
        say(f"nodes will be fake: {fault.message}")
        return False
    return True


def _find_all(screen: Screen, ids: Mapping[str, str]) -> None:
    """Have the clusters find each other, in each way that there is."""
    screen.doing("looking around")
    for side, other in BOTH_WAYS:
        if screen.lab.cluster(side).has_agent:
            asyncio.run(_find(screen.lab.cluster(side), ids[other], "lan", screen.clock))
            screen.step(f"{side} has found {other} on the LAN, by itself")
    _publish(screen, ids)
    screen.doing(f"looking in the domain {DOMAIN}")
    for side, other in BOTH_WAYS:
        asyncio.run(_find(screen.lab.cluster(side), ids[other], f"dns/{DOMAIN}", screen.clock))
        screen.step(f"{side} has found {other} in the domain {DOMAIN}, and skipped itself")
    screen.show(HOME, "get", "searchdomains,foreignclusters")


def _join(screen: Screen, cluster_id: str) -> None:
    """Apply the seed's ForeignCluster at home, and follow until the node is Ready."""
    lab, clock = screen.lab, screen.clock
    manifest = fill(MANIFEST, cluster_id, lab.cluster(FOREIGN))
    path = lab.folder / FILE
    path.write_text(manifest)
    screen.file(manifest)
    applied = clock.now()
    screen.run(HOME, "apply", "-f", str(path))
    screen.doing("joining")
    node = asyncio.run(_follow(lab.cluster(HOME), screen.step, clock))
    took = (clock.now() - applied).total_seconds()
    screen.step(f"node {node} is Ready, {took:.1f} s after kubectl apply")
    screen.say("")
    screen.show(HOME, "get", SHOWN, "-n", NAMESPACE)


def _publish(screen: Screen, ids: Mapping[str, str]) -> None:
    """Put the seed's zone into the lab's name server, and have both clusters search it."""
    lab = screen.lab
    host, port = lab.name_server()
    places = {"liqo1": lab.cluster(HOME), "liqo2": lab.cluster(FOREIGN)}
    zone = "".join(
        ZONE.format(name=name, number=name[-1], id=ids[spec.name], namespace=NAMESPACE, host=spec.host)
        for name, spec in places.items()
    )
    lab.set_records(zone)
    path = lab.folder / "mydomain.yaml"
    path.write_text(SEARCH)
    settings = f'{{"spec":{{"discoveryConfig":{{"dnsServer":"{host}:{port}","searchInterval":2}}}}}}'
    screen.file("\n".join([*zone.splitlines(), "", *SEARCH.splitlines()]))
    for side, _ in BOTH_WAYS:
        screen.run(side, "patch", "clusterconfig", "clusterconfig", "--type", "merge", "-p", settings)
        screen.run(side, "apply", "-f", str(path))


async def _find(home: ClusterSpec, cluster_id: str, finder: str, clock: Clock) -> None:
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


async def _follow(home: ClusterSpec, step: Say, clock: Clock) -> str:
    """Say each step of the join as it happens."""
    async with connected(home.kubeconfig, None) as (cluster, _):
        return await follow_join(cluster, NAME, step, within=WITHIN, clock=clock)


def next_commands(liqo: str) -> list[str]:
    """Return what to try next; `liqo` is how this program was called."""
    on = f"{liqo} lab exec {HOME} --"
    return [
        f"{on} sh   # a shell in {HOME}: kubectl and liqo as above; `exit` leaves it; {FOREIGN} has one too",
        f"{on} liqo status",
        f"{on} kubectl scale {DEPLOYMENT} -n {SHOP} --replicas 5",
        f"{liqo} lab stop {FOREIGN} kube-apiserver; {on} kubectl get nodes -w   # back: {liqo} lab start {FOREIGN}",
        f"{on} liqo unjoin {NAME}; {on} kubectl get foreignclusters,nodes",
    ]
