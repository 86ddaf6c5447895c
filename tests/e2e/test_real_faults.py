"""A real node of foreign that dies, with the pods of home's on it."""

import os
from pathlib import Path

import pytest

from liqo.lab.image import IMAGE
from offloading import FOREIGN, HOME, Shop, is_ready
from recorder import recorded

pytestmark = [
    pytest.mark.lab,
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a real node"),
]

LOST_SECONDS = 180.0  # Kubernetes believes a silent node for 50 s, and says that of its pods then
NODE = f"{FOREIGN}-real"


def test_a_node_that_dies_is_told_at_home_and_its_pods_are_made_anew_once_it_is_given_up(
    real_shop: Shop, tmp_path: Path
) -> None:
    shop, lab = real_shop, real_shop.peers.lab
    shop.deploy(1, containers=[{"name": "web", "image": IMAGE}])
    shop.peers.until(lambda: shop.is_running(1))
    (old,) = shop.at_home()
    with recorded(lab, FOREIGN, tmp_path / "pods"):
        lab.kill(FOREIGN, "node")
        try:
            shop.peers.until(lambda: not is_ready(shop.at_home()[0]), LOST_SECONDS)
            assert shop.peers.is_ready(HOME)  # the cluster answers; one of its nodes does not
            lab.kubectl(FOREIGN, "delete", "node", NODE)
            lost = old["metadata"]["name"]
            shop.peers.until(lambda: shop.phases()[lost][0] == "Failed", LOST_SECONDS)
        finally:
            lab.start(FOREIGN, "kubelet")
        shop.kubectl("delete", "pod", lost)
        shop.peers.until(lambda: shop.is_running(1), LOST_SECONDS)
    (new,) = shop.at_home()
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
