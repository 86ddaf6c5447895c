"""A pod of home as it is created on foreign."""

import re
from typing import Any

import pytest

from liqo.api.meta import Wire
from liqo.api.names import PASSED_ANNOTATION, short_hash
from liqo.api.reasons import Reason
from liqo.errors import Refused
from liqo.node.forge_pod import AS_THEY_ARE, OF_A_CONTAINER, forge_pod

REMOTE = "shop-abcdefghijklmnopqrstuvwxyz234567"
TOKEN = {
    "name": "kube-api-access-x7x7x",
    "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}, {"downwardAPI": {}}]},
}
TOKEN_MOUNT = {"name": "kube-api-access-x7x7x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}


def pod(**spec: Any) -> Wire:
    """Return a pod at home, as the API server stored it."""
    return {
        "metadata": {
            "name": "web-0",
            "namespace": "shop",
            "uid": "5a",
            "labels": {"app": "web"},
            "annotations": {"note": "1", "liqo.io/home-uid": "forged", "kubernetes.io/config.source": "api"},
            "ownerReferences": [{"kind": "StatefulSet", "name": "web", "uid": "1", "apiVersion": "apps/v1"}],
            "finalizers": ["x/y"],
        },
        "spec": {
            "nodeName": "liqo-milan-abcdef",
            "serviceAccountName": "shopkeeper",
            "containers": [{"name": "web", "image": "web:1"}],
            **spec,
        },
    }


def test_metadata_says_for_whom_it_stands_and_brings_no_owners() -> None:
    metadata = forge_pod(pod(), REMOTE)["metadata"]
    assert metadata["annotations"].pop("liqo.io/home-form")
    assert metadata == {
        "name": "web-0",
        "namespace": REMOTE,
        "labels": {"app": "web"},
        "annotations": {
            "note": "1",
            "liqo.io/home-labels": "app",
            "liqo.io/home-namespace": "shop",
            "liqo.io/home-uid": "5a",
            "liqo.io/home-node": "liqo-milan-abcdef",
            "liqo.io/home-service-account": "shopkeeper",
        },
    }


def test_labels_of_the_virtual_node_are_not_those_of_a_node_there() -> None:
    bound = pod()
    bound["metadata"]["labels"]["topology.kubernetes.io/zone"] = "liqo-milan-abcdef"
    assert forge_pod(bound, REMOTE)["metadata"]["labels"] == {"app": "web"}


def test_annotations_that_speak_to_a_cluster_s_tools_stay_at_home() -> None:
    home = pod()
    home["metadata"]["annotations"] = {
        "checksum": "1",
        "k8s.v1.cni.cncf.io/networks": "host",
        "io.kubernetes.cri-o.Devices": "/dev/sda",
        "prometheus.io/scrape": "true",
    }
    annotations = forge_pod(home, REMOTE)["metadata"]["annotations"]
    assert {name for name in annotations if not name.startswith("liqo.io/home-")} == {"checksum"}
    assert all(re.match(PASSED_ANNOTATION, name) for name in annotations)


def test_an_annotation_that_the_pod_itself_asks_for_can_be_read_by_nobody_else() -> None:
    ask = {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['shop.io/till']"}}}
    home = pod(containers=[{"name": "web", "image": "web:1", "env": [ask]}])
    home["metadata"]["annotations"] = {"shop.io/till": "4", "shop.io/other": "5"}
    forged = forge_pod(home, REMOTE)
    name = f"liqo.io/home-annotation-{short_hash('shop.io/till')}"
    told = forged["spec"]["containers"][0]["env"][0]["valueFrom"]["fieldRef"]["fieldPath"]
    assert told == f"metadata.annotations['{name}']"
    assert forged["metadata"]["annotations"][name] == "4"
    assert "5" not in forged["metadata"]["annotations"].values()


def test_what_is_home_s_scheduling_stays_at_home() -> None:
    spec = forge_pod(
        pod(
            affinity={"nodeAffinity": {}},
            tolerations=[{"operator": "Exists"}],
            priorityClassName="high",
            priority=1000,
            schedulerName="mine",
            topologySpreadConstraints=[{}],
            preemptionPolicy="Never",
            readinessGates=[{"conditionType": "x"}],
            nodeSelector={"liqo.io/type": "virtual-node", "kubernetes.io/arch": "arm64"},
        ),
        REMOTE,
    )["spec"]
    assert spec == {
        "containers": [{"name": "web", "image": "web:1"}],
        "nodeSelector": {"kubernetes.io/arch": "arm64"},
        "automountServiceAccountToken": False,
    }


def test_what_means_the_same_goes_over() -> None:
    fields: dict[str, object] = {name: f"value of {name}" for name in AS_THEY_ARE}
    spec = forge_pod(pod(**fields), REMOTE)["spec"]
    assert {name: spec[name] for name in AS_THEY_ARE} == fields


def test_a_field_that_nobody_knows_stays_at_home() -> None:
    container = {"name": "web", "image": "web:1", "somethingNew": 1}
    spec = forge_pod(pod(containers=[container], somethingNew=1), REMOTE)["spec"]
    assert "somethingNew" not in spec
    assert spec["containers"] == [{"name": "web", "image": "web:1"}]


def test_all_of_a_container_goes_over_that_is_known() -> None:
    plain = [name for name in OF_A_CONTAINER if name not in {"env", "volumeMounts"}]
    container: Wire = {name: f"value of {name}" for name in plain}
    sidecar = {"name": "side", "restartPolicy": "Always"}
    spec = forge_pod(pod(containers=[container], initContainers=[sidecar]), REMOTE)["spec"]
    assert spec["containers"] == [container]
    assert spec["initContainers"] == [sidecar]


def test_the_token_that_is_mounted_by_itself_is_left_out() -> None:
    data = {"name": "data", "mountPath": "/data"}
    container = {"name": "web", "image": "web:1", "volumeMounts": [data, TOKEN_MOUNT]}
    spec = forge_pod(pod(containers=[container], volumes=[TOKEN, {"name": "data", "emptyDir": {}}]), REMOTE)[
        "spec"
    ]
    assert spec["volumes"] == [{"name": "data", "emptyDir": {}}]
    assert spec["containers"][0]["volumeMounts"] == [data]


def test_a_token_volume_that_somebody_mounts_elsewhere_is_one_he_asks_for() -> None:
    container = {
        "name": "web",
        "image": "web:1",
        "volumeMounts": [TOKEN_MOUNT, {**TOKEN_MOUNT, "mountPath": "/t"}],
    }
    with pytest.raises(Refused, match="serviceAccountToken"):
        forge_pod(pod(containers=[container], volumes=[TOKEN]), REMOTE)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"hostNetwork": True}, "hostNetwork"),
        ({"hostPID": True}, "hostPID"),
        ({"hostIPC": True}, "hostIPC"),
        ({"runtimeClassName": "kata"}, "runtimeClassName"),
        ({"setHostnameAsFQDN": True}, "setHostnameAsFQDN"),
        ({"resourceClaims": [{"name": "gpu"}]}, "resourceClaims"),
        ({"ephemeralContainers": [{"name": "debug"}]}, "ephemeral"),
        ({"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}, "hostPath"),
        (
            {"volumes": [{"name": "disk", "persistentVolumeClaim": {"claimName": "x"}}]},
            "persistentVolumeClaim",
        ),
        ({"volumes": [{"name": "new", "somethingNew": {}}]}, "somethingNew"),
        (
            {"volumes": [{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]},
            "serviceAccountToken",
        ),
        (
            {"volumes": [{"name": "t", "projected": {"sources": [{"clusterTrustBundle": {"path": "t"}}]}}]},
            "clusterTrustBundle",
        ),
    ],
)
def test_what_only_its_own_cluster_has_is_refused_by_name(spec: Wire, says: str) -> None:
    with pytest.raises(Refused, match=says) as caught:
        forge_pod(pod(**spec), REMOTE)
    assert caught.value.reason == Reason.NOT_OFFLOADABLE


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("metadata.namespace", "metadata.annotations['liqo.io/home-namespace']"),
        ("metadata.uid", "metadata.annotations['liqo.io/home-uid']"),
        ("spec.nodeName", "metadata.annotations['liqo.io/home-node']"),
        ("spec.serviceAccountName", "metadata.annotations['liqo.io/home-service-account']"),
        ("metadata.name", "metadata.name"),
        ("status.podIP", "status.podIP"),
        ("metadata.labels['app']", "metadata.labels['app']"),
        ("metadata.annotations['note']", "metadata.annotations['note']"),
    ],
)
def test_what_a_pod_asks_about_itself_is_answered_as_at_home(asked: str, told: str) -> None:
    env = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": asked}}}, {"name": "B", "value": "b"}]
    items = [{"path": "a", "fieldRef": {"fieldPath": asked}}, {"path": "b", "resourceFieldRef": {}}]
    volumes = [
        {"name": "one", "downwardAPI": {"items": items}},
        {
            "name": "two",
            "projected": {"sources": [{"downwardAPI": {"items": items}}, {"secret": {"name": "s"}}]},
        },
    ]
    container = {"name": "web", "image": "web:1", "env": env}
    spec = forge_pod(pod(containers=[container], volumes=volumes), REMOTE)["spec"]
    answered = [{"path": "a", "fieldRef": {"fieldPath": told}}, items[1]]
    assert spec["containers"][0]["env"] == [
        {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": told}}},
        {"name": "B", "value": "b"},
    ]
    assert spec["volumes"] == [
        {"name": "one", "downwardAPI": {"items": answered}},
        {
            "name": "two",
            "projected": {"sources": [{"downwardAPI": {"items": answered}}, {"secret": {"name": "s"}}]},
        },
    ]


def test_the_pod_at_home_is_not_changed() -> None:
    before = pod(volumes=[TOKEN])
    after = pod(volumes=[TOKEN])
    forge_pod(before, REMOTE)
    assert before == after
