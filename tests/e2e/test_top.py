"""kubectl top of pods abroad and of the virtual node, with a metrics-server in both clusters."""

import re
import sys
from collections.abc import Iterator

import pytest

from e2e_peers import Peers
from liqo.app.lab import up_with_liqo
from liqo.lab.lab import Lab
from liqo.lab.nodes import CPU_ANNOTATION, MEMORY_ANNOTATION
from liqo.lab.pytest_plugin import Eventually
from offloading import FOREIGN, HOME, Shop

pytestmark = [pytest.mark.lab, pytest.mark.seconds(400)]

USED_SECONDS = 120.0  # four times two scrapes of a server that scrapes what another one scraped
AUTOSCALER = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "web"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "minReplicas": 2,
        "maxReplicas": 2,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
            }
        ],
    },
}
ASK = """
import ssl, sys, urllib.error, urllib.request
url, token = sys.argv[1:]
request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
try:
    print(urllib.request.urlopen(request, context=ssl._create_unverified_context()).status)
except urllib.error.HTTPError as answer:
    print(answer.code)
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two clusters with Liqo, and a metrics-server at home."""
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        up_with_liqo(lab, (HOME, FOREIGN), nodes=1, lan=False)
        lab.up([HOME], metrics=True)
        yield lab
    finally:
        lab.down()


@pytest.fixture
def peers(measured: Lab, eventually: Eventually) -> Peers:
    found = Peers(measured, eventually)
    found.part()
    return found


def node_of(shop: Shop) -> str:
    (node,) = shop.peers.virtual_nodes(HOME)
    return str(node["metadata"]["name"])


def top(shop: Shop, side: str, *what: str) -> dict[str, tuple[int, int]]:
    """Return what kubectl top says: millicores and MiB by name."""
    lines = shop.peers.lab.kubectl(side, "top", *what, "--no-headers").splitlines()
    return {name: (int(cpu), int(memory)) for name, cpu, memory in map(figures, lines)}


def figures(line: str) -> tuple[str, ...]:
    """Return a line's name, millicores and MiB; a node's has percents in between."""
    found = re.fullmatch(r"(\S+)\s+(\d+)m(?:\s+\d+%)?\s+(\d+)Mi(?:\s+\d+%)?\s*", line)
    assert found, line
    return found.groups()


def is_near(found: dict[str, tuple[int, int]], wanted: dict[str, tuple[int, int]]) -> bool:
    """Return whether all names are there, each with these figures but for a twentieth."""
    return found.keys() == wanted.keys() and all(
        abs(have - want) <= max(1, want / 20)
        for name, pair in wanted.items()
        for have, want in zip(found[name], pair, strict=True)
    )


def test_where_foreign_has_no_metrics_server_the_node_says_so_and_all_else_goes_on(shop: Shop) -> None:
    shop.peers.lab.kubectl(FOREIGN, "delete", "apiservice", "v1beta1.metrics.k8s.io", "--ignore-not-found")
    shop.deploy(1)
    shop.peers.until(lambda: shop.is_running(1))
    events = ("events", "-n", "liqo", "--field-selector", "reason=NoUsage,involvedObject.kind=Node")
    told = shop.peers.until(lambda: shop.peers.items(HOME, *events))
    assert told[0]["involvedObject"]["name"] == node_of(shop)
    assert "kubectl top needs a metrics-server in both" in told[0]["message"]
    assert shop.peers.is_ready(HOME)
    assert shop.kubectl("logs", "deployment/web")


def test_who_may_not_see_the_metrics_of_nodes_sees_no_usage(shop: Shop) -> None:
    lab, url = shop.peers.lab, f"https://{shop.peers.lab.cluster(HOME).host}:10250"
    page = f"{url}/metrics/resource/{node_of(shop)}"

    def ask(token: str, url: str = page) -> str:
        done = lab.exec(HOME, [sys.executable, "-c", ASK, url, token])
        return done.stdout.strip() or done.stderr

    def token(*account: str) -> str:
        return lab.kubectl(HOME, "create", "token", *account).strip()

    may, may_not = token("metrics-server", "-n", "kube-system"), token("default", "-n", shop.name)
    assert ask(may) == "200"
    assert ask(may, f"{url}/metrics/resource/liqo-nobody-abcdef") == "404"
    assert ask(may, f"{url}/containerLogs/{shop.name}/web/web") == "401", "a token is good for usage only"
    assert ask("") == "401"
    assert ask("nobody-s") == "401"
    assert ask(token("metrics-server", "-n", "kube-system", "--audience", "elsewhere")) == "401"
    assert ask(may_not) == "403"
    lab.kubectl(HOME, "create", "clusterrole", "sees", "--verb=get", "--resource=nodes/metrics")
    lab.kubectl(HOME, "create", "clusterrolebinding", "sees", "--clusterrole=sees", f"--group={group(shop)}")
    shop.peers.until(lambda: ask(may_not) == "200")


def group(shop: Shop) -> str:
    return f"system:serviceaccounts:{shop.name}"


def test_top_shows_at_home_what_it_shows_on_foreign(shop: Shop) -> None:
    shop.peers.lab.up([FOREIGN], metrics=True)
    web = {"name": "web", "image": "web:1", "resources": {"requests": {"cpu": "250m"}}}
    shop.deploy(2, noted={CPU_ANNOTATION: "250m", MEMORY_ANNOTATION: "64Mi"}, containers=[web])
    shop.apply(AUTOSCALER)
    shop.deploy(1, "idle", noted={CPU_ANNOTATION: "20m", MEMORY_ANNOTATION: "32Mi"})
    shop.peers.until(lambda: shop.is_running(3))
    busy = {p["metadata"]["name"]: p["metadata"]["labels"]["app"] == "web" for p in shop.at_home()}
    wanted = {name: (250, 64) if is_busy else (20, 32) for name, is_busy in busy.items()}

    shop.peers.until(lambda: is_near(top(shop, HOME, "pod", "-n", shop.name), wanted), USED_SECONDS)
    shop.peers.until(lambda: is_near(top(shop, FOREIGN, "pod", "-n", shop.remote), wanted), USED_SECONDS)
    node = node_of(shop)
    shop.peers.until(lambda: is_near(top(shop, HOME, "node", node), {node: (520, 160)}), USED_SECONDS)
    shop.peers.until(lambda: utilization(shop) == pytest.approx(100, abs=5), USED_SECONDS)


def utilization(shop: Shop) -> int:
    """Return how much of what they asked for an autoscaler at home finds its pods to use, in percent."""
    status = shop.peers.get(HOME, "hpa", "web", "-n", shop.name)["status"]
    return int(status["currentMetrics"][0]["resource"]["current"]["averageUtilization"])


def test_a_metrics_server_that_was_killed_is_started_again(measured: Lab) -> None:
    measured.kill(HOME, "metrics-server")
    assert measured.start(HOME, "metrics-server") == ["metrics-server"]
    assert measured.start(HOME, "metrics-server") == []
