"""What the demo says of pods that do not run."""

from typing import Any

import pytest

from liqo.app.demo_pods import waits_for

UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "message": "0/4 nodes are available"}
NOT_READY = {"type": "Ready", "status": "False", "reason": "ContainersNotReady"}
IMAGE = {"name": "web", "state": {"waiting": {"reason": "ImagePullBackOff"}}}
REFUSED = {"name": "web", "state": {"waiting": {"reason": "RefusedThere", "message": "the quota is full"}}}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({}, ""),
        ({"conditions": [UNSCHEDULABLE]}, "web-1: 0/4 nodes are available"),
        ({"conditions": [NOT_READY], "containerStatuses": [IMAGE]}, "web-1: ImagePullBackOff"),
        ({"conditions": [NOT_READY], "containerStatuses": [REFUSED]}, "web-1: the quota is full"),
        ({"conditions": [{**NOT_READY, "status": "True"}], "containerStatuses": [{"state": {}}]}, ""),
    ],
)
def test_a_pod_says_what_it_waits_for(status: dict[str, Any], said: str) -> None:
    assert waits_for({"metadata": {"name": "web-1"}, "status": status}) == said
