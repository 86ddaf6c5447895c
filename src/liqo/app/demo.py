"""The main job, to look at: two clusters of a lab, the seed's YAML, and a node that becomes Ready."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

from liqo.adapters.clock import SystemClock
from liqo.app.lab import up_with_liqo
from liqo.app.peers import follow_join
from liqo.app.setup import connected
from liqo.lab.lab import Lab
from liqo.lab.spec import NAMESPACE, ClusterSpec

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
