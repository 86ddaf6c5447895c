"""`liqo offload` on a real API server."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from liqo.lab.lab import Lab

pytestmark = pytest.mark.lab


def liqo(plane: Lab, *args: str) -> subprocess.CompletedProcess[str]:
    config = str(plane.cluster("rome").kubeconfig)
    argv = [sys.executable, "-m", "liqo", args[0], "--kubeconfig", config, *args[1:]]
    return subprocess.run(argv, capture_output=True, text=True, timeout=90, check=False)


def marks(plane: Lab, name: str) -> tuple[str | None, str | None]:
    """Return the label and the annotation of a namespace."""
    metadata = json.loads(plane.kubectl("rome", "get", "namespace", name, "-o", "json"))["metadata"]
    return (
        metadata.get("labels", {}).get("liqo.io/enabled"),
        metadata.get("annotations", {}).get("liqo.io/clusters"),
    )


def foreign(plane: Lab, name: str, cluster_id: str, cluster_name: str) -> None:
    spec = {
        "clusterID": cluster_id,
        "clusterName": cluster_name,
        "join": False,
        "apiUrl": "https://192.0.2.9:6443",
    }
    obj = {
        "apiVersion": "discovery.liqo.io/v1",
        "kind": "ForeignCluster",
        "metadata": {"name": name},
        "spec": spec,
    }
    plane.kubectl("rome", "apply", "-f", "-", text=json.dumps(obj))


@pytest.fixture
def shop(plane: Lab) -> Iterator[str]:
    """A namespace, and two clusters that are known."""
    foreign(plane, "milan", "a" * 32, "milano")
    foreign(plane, "f" * 70, "b" * 32, "paris")
    plane.kubectl("rome", "create", "namespace", "shop")
    yield "shop"
    plane.kubectl("rome", "delete", "namespace", "shop")
    plane.kubectl("rome", "delete", "fc", "milan", "f" * 70)


@pytest.mark.usefixtures("bench", "shop")
def test_a_person_lets_pods_go_says_where_to_and_ends_it(plane: Lab) -> None:
    assert liqo(plane, "offload", "shop").stdout == (
        "new pods of shop may run on every cluster that a person joined\n"
    )
    assert marks(plane, "shop") == ("true", None)
    named = liqo(plane, "offload", "shop", "--clusters", "milano, paris,milan", "-o", "json")
    (row,) = [o for o in json.loads(named.stdout)["namespaces"] if o["namespace"] == "shop"]
    assert row == {"namespace": "shop", "clusters": sorted(["milan", "b" * 32]), "narrowed": True}
    assert marks(plane, "shop") == ("true", f"milan,{'b' * 32}")
    assert f"shop: {'b' * 32}, milan" in liqo(plane, "status").stdout
    assert liqo(plane, "offload", "shop").returncode == 0  # all again
    assert marks(plane, "shop") == ("true", None)
    assert liqo(plane, "offload", "shop", "--end").stdout == "new pods of shop stay here\n"
    assert marks(plane, "shop") == (None, None)
    assert "shop" not in liqo(plane, "offload").stdout.split()


@pytest.mark.usefixtures("bench")
@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nowhere"], "there is no namespace 'nowhere'"),
        (["nowhere", "--end"], "there is no namespace 'nowhere'"),
        (["default", "--clusters", "nobody"], "no cluster is called 'nobody'"),
        (["kube-system"], "namespace kube-system is what this cluster itself lives by"),
        (["liqo"], "namespace liqo is what this cluster itself lives by"),
        (["default", "--end", "--clusters", "milan"], "that says two things"),
        (["--end"], "that says two things"),
        (["../nodes"], "there is no namespace '../nodes'"),
    ],
)
def test_a_mistake_is_one_sentence_and_a_hint(plane: Lab, args: list[str], said: str) -> None:
    found = liqo(plane, "offload", *args)
    assert found.returncode == 2
    assert found.stderr.startswith(f"error: {said}")
    assert "hint: " in found.stderr
    assert "Traceback" not in found.stderr
