"""Which ConfigMaps and Secrets a pod refers to."""

from liqo.api.kinds import CONFIG_MAP, SECRET
from liqo.node.references import references


def test_every_way_to_refer_to_one() -> None:
    container = {
        "envFrom": [{"configMapRef": {"name": "c1"}}, {"secretRef": {"name": "s1"}}],
        "env": [
            {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c2", "key": "k"}}},
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s2", "key": "k"}}},
            {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "D", "value": "d"},
        ],
    }
    volumes = [
        {"name": "1", "configMap": {"name": "c3"}},
        {"name": "2", "secret": {"secretName": "s3"}},
        {"name": "3", "projected": {"sources": [{"configMap": {"name": "c4"}}, {"secret": {"name": "s4"}}]}},
        {"name": "4", "emptyDir": {}},
    ]
    init = {"env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s5", "key": "k"}}}]}
    spec = {
        "containers": [container],
        "initContainers": [init],
        "volumes": volumes,
        "imagePullSecrets": [{"name": "s6"}, {}],
    }
    assert references({"spec": spec}) == {
        *((CONFIG_MAP, f"c{n}") for n in range(1, 5)),
        *((SECRET, f"s{n}") for n in range(1, 7)),
    }


def test_what_every_namespace_has_and_a_token_s_own_volume_are_none() -> None:
    ca = {"name": "kube-root-ca.crt"}
    volumes = [
        {
            "name": "kube-api-access-x",
            "projected": {"sources": [{"configMap": ca}, {"secret": {"name": "no"}}]},
        },
        {"name": "ca", "configMap": ca},
    ]
    assert not references({"spec": {"containers": [{}], "volumes": volumes}})
