"""Tries to get more out of this cluster than its pods' place, with the token of a home cluster.

Each attack has its negative control: with the one policy left out it succeeds.
"""

from typing import Any

import pytest

from liqo.adapters.kube import HttpCluster
from liqo.api.kinds import (
    POD,
    SERVICE_ACCOUNT,
)
from liqo.api.meta import Key, Kind, Wire
from liqo.api.names import (
    HOME_UID_ANNOTATION,
)
from liqo.api.rights import (
    forge_object,
)
from rights_lab import Bench, clear
from tenant_lab import OWNER, PLACE, STRANGE, Attack, forge_mine, stopped

pytestmark = pytest.mark.lab

RUNTIME_CLASS = Kind("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", namespaced=False)


async def _create(admin: HttpCluster, tenant: HttpCluster, pod: Wire) -> Wire:
    await clear(admin, POD, Key.of(pod))
    return await tenant.create(POD, pod)


def _with(**spec: Any) -> Attack:
    """Return the creation of a pod with these fields."""

    async def attack(admin: HttpCluster, tenant: HttpCluster) -> None:
        await _create(admin, tenant, forge_mine(**spec))

    return attack


def _container(**fields: Any) -> Attack:
    return _with(containers=[{"name": "web", "image": "web:1", **fields}])


def _volume(**source: Any) -> Attack:
    return _with(volumes=[{"name": "v", **source}])


def _noted(name: str, text: str) -> Attack:
    async def attack(admin: HttpCluster, tenant: HttpCluster) -> None:
        pod = forge_mine()
        pod["metadata"]["annotations"][name] = text
        await _create(admin, tenant, pod)

    return attack


def _marked(**metadata: Any) -> Attack:
    """Return the creation of a pod with that metadata."""

    async def attack(admin: HttpCluster, tenant: HttpCluster) -> None:
        pod = forge_mine()
        pod["metadata"] |= metadata
        await _create(admin, tenant, pod)

    return attack


def _changed(patch: Wire) -> Attack:
    """Return the change of a pod that is there."""

    async def attack(admin: HttpCluster, tenant: HttpCluster) -> None:
        pod = forge_mine()
        await clear(admin, POD, Key.of(pod))
        await admin.create(POD, pod)
        await tenant.patch(POD, Key.of(pod), patch)

    return attack


def _in(namespace: str) -> Attack:
    async def attack(admin: HttpCluster, tenant: HttpCluster) -> None:
        await _create(admin, tenant, forge_mine(namespace))

    return attack


async def _runtime_class(admin: HttpCluster, tenant: HttpCluster) -> None:
    await admin.apply(RUNTIME_CLASS, {"metadata": {"name": "other"}, "handler": "other"}, manager="test")
    await _with(runtimeClassName="other")(admin, tenant)


async def _account(admin: HttpCluster, tenant: HttpCluster) -> None:
    await admin.apply(SERVICE_ACCOUNT, forge_object(SERVICE_ACCOUNT, "mighty", PLACE), manager="test")
    await _with(serviceAccountName="mighty")(admin, tenant)


async def _adopt(admin: HttpCluster, tenant: HttpCluster) -> None:
    pod = forge_mine()
    await clear(admin, POD, Key.of(pod))
    await admin.create(POD, {**pod, "metadata": {"name": "web", "namespace": PLACE}})
    await tenant.patch(POD, Key.of(pod), {"metadata": {"annotations": {HOME_UID_ANNOTATION: "5a"}}})


TOLERATIONS = [
    {
        "key": f"node.kubernetes.io/{what}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 300,
    }
    for what in ("not-ready", "unreachable")
]
LOOPBACK = {"port": 8080, "host": "127.0.0.1"}
TOKEN_SOURCE = {"serviceAccountToken": {"path": "token"}}
BUNDLE = {"clusterTrustBundle": {"name": "x", "path": "ca.pem"}}
POD_ATTACKS: dict[str, tuple[str, Attack]] = {
    **{f"runs in {what}": ("not one of that cluster's", _in(name)) for what, name in STRANGE.items()},
    "hangs for ever": ("finalizers", _marked(finalizers=["liqo.io/mine"])),
    "vanishes with another": ("ownerReferences", _marked(ownerReferences=[OWNER])),
    "stands for none": (HOME_UID_ANNOTATION, _marked(annotations={})),
    "joins the hosts' network by its CNI": ("steer", _noted("k8s.v1.cni.cncf.io/networks", "host")),
    "asks the runtime for a device": ("steer", _noted("io.kubernetes.cri-o.Devices", "/dev/sda")),
    "asks a plugin of the runtime for a device": ("steer", _noted("devices.nri.io/pod", "/dev/sda")),
    "asks for a role in the cloud": ("steer", _noted("iam.amazonaws.com/role", "admin")),
    "says later what it may not at first": (
        "steer",
        _changed({"metadata": {"annotations": {"cni.projectcalico.org/ipAddrs": "[]"}}}),
    ),
    "goes past the scheduler": ("chooses no node", _with(nodeName="rome-node-1")),
    "is more important than ours": ("no more important", _with(priorityClassName="system-node-critical")),
    "takes another runtime": ("chooses no node", _runtime_class),
    "keeps pods of others away": (
        "chooses no node",
        _with(
            affinity={
                "podAntiAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        {
                            "namespaceSelector": {},
                            "labelSelector": {},
                            "topologyKey": "kubernetes.io/hostname",
                        }
                    ]
                }
            }
        ),
    ),
    "takes a device": (
        "chooses no node",
        _with(resourceClaims=[{"name": "gpu", "resourceClaimName": "gpu"}]),
    ),
    "waits for a gate": ("chooses no node", _with(schedulingGates=[{"name": "x/y"}])),
    "is on the host's network": ("chooses no node", _with(hostNetwork=True)),
    "sees the host's processes": ("chooses no node", _with(hostPID=True)),
    "shares the host's memory": ("chooses no node", _with(hostIPC=True)),
    "has its own scheduler": ("default scheduler", _with(schedulerName="mine")),
    "selects a host": ("select nodes", _with(nodeSelector={"kubernetes.io/hostname": "rome-node-1"})),
    "runs on the control plane": ("no taints", _with(tolerations=[{"operator": "Exists"}])),
    "stays on a dead node": (
        "no taints",
        _with(tolerations=[{"key": TOLERATIONS[0]["key"], "operator": "Exists", "effect": "NoExecute"}]),
    ),
    "tolerates a taint later": (
        "no taints",
        _changed({"spec": {"tolerations": [*TOLERATIONS, {"key": "a", "operator": "Exists"}]}}),
    ),
    "reads the host's files": ("volumes of these kinds", _volume(hostPath={"path": "/"})),
    "mounts what the host can reach": (
        "volumes of these kinds",
        _volume(nfs={"server": "192.0.2.1", "path": "/"}),
    ),
    "has a driver of the host's mount": ("volumes of these kinds", _volume(csi={"driver": "secrets"})),
    "takes a disk": ("volumes of these kinds", _volume(persistentVolumeClaim={"claimName": "x"})),
    "takes a port of the host": ("no ports", _container(ports=[{"containerPort": 80, "hostPort": 80}])),
    "probes the host": ("pod itself", _container(livenessProbe={"httpGet": LOOPBACK})),
    "dials the host": ("pod itself", _container(readinessProbe={"tcpSocket": LOOPBACK})),
    "posts to the host": ("pod itself", _container(lifecycle={"preStop": {"httpGet": LOOPBACK}})),
    "probes the host at first": (
        "pod itself",
        _with(
            initContainers=[
                {
                    "name": "first",
                    "image": "web:1",
                    "restartPolicy": "Always",
                    "startupProbe": {"httpGet": LOOPBACK},
                }
            ]
        ),
    ),
    "runs as another account": ("service account default", _account),
    "has its token mounted": ("no token", _with(automountServiceAccountToken=True)),
    "asks for a token": ("no token", _volume(projected={"sources": [TOKEN_SOURCE]})),
    "asks for certificates": ("no token", _volume(projected={"sources": [BUNDLE]})),
    "takes over a pod of ours": (HOME_UID_ANNOTATION, _adopt),
}


async def test_a_pod_of_a_home_cluster_never(bench: Bench, tenant: HttpCluster) -> None:
    await stopped(bench, tenant, "liqo-tenants-pods", POD_ATTACKS)


GOOD_PODS: dict[str, Wire] = {
    "a plain one": {},
    "one with all that goes over": {
        "nodeSelector": {"kubernetes.io/arch": "amd64", "topology.kubernetes.io/region": "eu"},
        "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["a"]}],
        "imagePullSecrets": [{"name": "pull"}],
        "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
        "activeDeadlineSeconds": 60,
        "securityContext": {"runAsUser": 1000},
        "initContainers": [{"name": "first", "image": "web:1", "restartPolicy": "Always"}],
        "containers": [
            {
                "name": "web",
                "image": "web:1",
                "ports": [{"containerPort": 80}],
                "livenessProbe": {"httpGet": {"port": 80}},
                "lifecycle": {"preStop": {"exec": {"command": ["true"]}}},
                "resources": {"requests": {"cpu": "1m"}},
            }
        ],
        "volumes": [
            {"name": "a", "emptyDir": {}},
            {"name": "b", "configMap": {"name": "x"}},
            {"name": "c", "secret": {"secretName": "x"}},
            {
                "name": "d",
                "projected": {
                    "sources": [
                        {
                            "downwardAPI": {
                                "items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]
                            }
                        },
                        {"configMap": {"name": "x"}},
                    ]
                },
            },
        ],
    },
}


@pytest.mark.parametrize("what", GOOD_PODS)
async def test_a_pod_that_asks_for_nothing_of_ours_is_taken_and_may_change(
    bench: Bench, tenant: HttpCluster, what: str
) -> None:
    pod = forge_mine(**GOOD_PODS[what])
    made = await _create(bench.admin, tenant, pod)
    assert made["spec"]["serviceAccountName"] == "default"
    patch = {
        "metadata": {"labels": {"app": "new"}, "annotations": {"note": "2"}},
        "spec": {
            "activeDeadlineSeconds": 30,
            "containers": [{**made["spec"]["containers"][0], "image": "web:2"}],
        },
    }
    await tenant.patch(POD, Key.of(pod), patch)
    await tenant.delete(POD, Key.of(pod), grace=0)
