"""kubectl logs of pods that run on foreign, through the API server of home."""

import pytest

from offloading import FOREIGN, HOME, Shop

pytestmark = pytest.mark.lab

HELLO = f"a fake pod of {FOREIGN} says hello\n"


def test_the_virtual_node_publishes_where_it_answers(shop: Shop) -> None:
    (node,) = shop.peers.virtual_nodes(HOME)
    host = shop.peers.lab.cluster(HOME).host
    assert node["status"]["addresses"] == [{"type": "InternalIP", "address": host}]
    assert node["status"]["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 10250}}


def test_logs_of_a_pod_abroad_are_read_at_home(shop: Shop) -> None:
    shop.deploy(1)
    shop.peers.until(lambda: shop.is_running(1))
    (pod,) = shop.at_home()
    name = pod["metadata"]["name"]
    assert shop.kubectl("logs", name) == HELLO
    assert shop.kubectl("logs", name, "-c", "web", "--tail=1") == HELLO
