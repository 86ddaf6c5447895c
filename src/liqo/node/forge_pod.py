"""A pod of home as it is created on foreign; pure.

Only known fields go over, so that a new one in the Kubernetes API is left out rather than passed on unseen. What is
about home's scheduling (affinity, tolerations, priority) did its work when the pod was bound to the virtual node;
what is about home's own hosts or its API server cannot be had abroad, and is refused with a reason.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import orjson

from liqo.api.kinds import POD
from liqo.api.meta import Wire
from liqo.api.names import (
    HELD_ANNOTATION,
    HOME_ACCOUNT_ANNOTATION,
    HOME_FORM_ANNOTATION,
    HOME_LABELS_ANNOTATION,
    HOME_NAMESPACE_ANNOTATION,
    HOME_NODE_ANNOTATION,
    HOME_UID_ANNOTATION,
    NODE_LABELS,
    PASSED_ANNOTATION,
    short_hash,
)
from liqo.api.reasons import Reason
from liqo.errors import Refused

AS_THEY_ARE = (
    "activeDeadlineSeconds",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "hostAliases",
    "hostUsers",
    "hostname",
    "hostnameOverride",
    "imagePullSecrets",
    "os",
    "resources",
    "restartPolicy",
    "securityContext",
    "shareProcessNamespace",
    "subdomain",
    "terminationGracePeriodSeconds",
)
"""Fields of a pod's spec that mean the same on both clusters (core/v1 PodSpec)."""

OF_A_CONTAINER = (
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "name",
    "ports",
    "readinessProbe",
    "resources",
    "restartPolicy",
    "restartPolicyRules",
    "securityContext",
    "startupProbe",
    "stdin",
    "stdinOnce",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
)
"""Fields of a container that go over (core/v1 Container)."""

VOLUMES = ("configMap", "downwardAPI", "emptyDir", "projected", "secret")
"""Volumes that can be had on another cluster; all others are of home's own hosts or storage."""

PROJECTED = {"configMap", "downwardAPI", "secret"}  # of a projected volume's sources
HOST = ("hostIPC", "hostNetwork", "hostPID")
OWN_ANNOTATIONS = ("liqo.io/", "kubectl.kubernetes.io/last-applied-configuration", "kubernetes.io/config.")
OF_A_NODE = "topology.kubernetes.io/"  # labels that a pod gets from its node when it is bound (KEP-4742)
TOKEN_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105  where the API server mounts a token by itself

FIELDS = {
    "metadata.namespace": HOME_NAMESPACE_ANNOTATION,
    "metadata.uid": HOME_UID_ANNOTATION,
    "spec.nodeName": HOME_NODE_ANNOTATION,
    "spec.serviceAccountName": HOME_ACCOUNT_ANNOTATION,
}
"""What a pod may ask about itself that would be another's abroad: answered by an annotation instead."""

_ASKED_ANNOTATION = re.compile(r"metadata\.annotations\['(.+)'\]")


def forge_pod(home: Wire, remote: str) -> Wire:
    """Return a home cluster's pod as it is created in the namespace `remote` on foreign.

    Raises:
        Refused: it asks for what only its own cluster has; the message says for what.
    """
    spec = home["spec"]
    check(spec)
    dropped = _token_volumes(spec)
    forged: Wire = {name: spec[name] for name in AS_THEY_ARE if name in spec}
    for group in ("initContainers", "containers"):
        if spec.get(group):
            forged[group] = [_container(c, dropped) for c in spec[group]]
    volumes = [_volume(v) for v in spec.get("volumes") or () if v["name"] not in dropped]
    if volumes:
        forged["volumes"] = volumes
    selector = {k: v for k, v in (spec.get("nodeSelector") or {}).items() if k in NODE_LABELS}
    if selector:
        forged["nodeSelector"] = selector
    forged["automountServiceAccountToken"] = False
    return {
        "apiVersion": POD.api_version,
        "kind": POD.kind,
        "metadata": forge_metadata(home, remote),
        "spec": forged,
    }


def forge_metadata(home: Wire, remote: str) -> Wire:
    """Return the metadata of the pod on foreign: home's labels and annotations, and whom it stands for.

    Annotations with a prefix speak to a cluster's network, runtime and tools, which are others there; one that the
    pod itself asks for goes over under a name that nobody else reads.
    """
    metadata, spec = home["metadata"], home["spec"]
    asked = set(_asked(spec))
    annotations = {}
    for name, text in (metadata.get("annotations") or {}).items():
        if re.match(PASSED_ANNOTATION, name) and not name.startswith(OWN_ANNOTATIONS):
            annotations[name] = text
        elif _annotation(name) in asked:
            annotations[_held(name)] = text
    annotations |= {
        HOME_NAMESPACE_ANNOTATION: metadata["namespace"],
        HOME_UID_ANNOTATION: metadata["uid"],
        HOME_NODE_ANNOTATION: spec.get("nodeName", ""),
        HOME_ACCOUNT_ANNOTATION: spec.get("serviceAccountName") or "default",
    }
    forged: Wire = {"name": metadata["name"], "namespace": remote, "annotations": annotations}
    labels = metadata.get("labels") or {}
    if labels := {name: text for name, text in labels.items() if not name.startswith(OF_A_NODE)}:
        forged["labels"] = labels
        annotations[HOME_LABELS_ANNOTATION] = ",".join(sorted(labels))
    annotations[HOME_FORM_ANNOTATION] = _form(forged, spec)
    return forged


def _form(metadata: Wire, spec: Wire) -> str:
    """Return a digest of all that may change of a pod while it runs (core/v1, pods update)."""
    images = [[c.get("image") for c in spec.get(group) or ()] for group in ("initContainers", "containers")]
    changing = (metadata["annotations"], metadata.get("labels"), images, spec.get("activeDeadlineSeconds"))
    return short_hash(orjson.dumps(changing, option=orjson.OPT_SORT_KEYS).decode())


def check(spec: Wire) -> None:
    """See that a pod asks for nothing that only its own cluster has.

    Raises:
        Refused: it does.
    """
    for name in HOST:
        if spec.get(name):
            raise _no(f"{name} is of the host's own; a pod on another cluster has none of ours")
    if spec.get("runtimeClassName"):
        raise _no("runtimeClassName names something of this cluster")
    if spec.get("setHostnameAsFQDN"):
        raise _no(
            "setHostnameAsFQDN asks for its name in this cluster's DNS, which is another on another cluster"
        )
    if spec.get("resourceClaims"):
        raise _no("resourceClaims are of this cluster")
    if spec.get("ephemeralContainers"):
        raise _no("it has ephemeral containers already")
    dropped = _token_volumes(spec)
    for volume in spec.get("volumes") or ():
        if volume["name"] not in dropped:
            _check_volume(volume)


def _check_volume(volume: Wire) -> None:
    kinds = [name for name in volume if name != "name"]
    if any(kind not in VOLUMES for kind in kinds):
        raise _no(f"volume {volume['name']} is a {kinds[0]}; only {', '.join(VOLUMES)} can be had abroad")
    for source in (volume.get("projected") or {}).get("sources") or ():
        if any(kind not in PROJECTED for kind in source):
            kind = next(iter(source))
            raise _no(f"volume {volume['name']} asks for a {kind}, which another cluster cannot give")


def _no(message: str) -> Refused:
    return Refused(message, reason=Reason.NOT_OFFLOADABLE)


def _token_volumes(spec: Wire) -> frozenset[str]:
    """Return the volumes with a token that nobody asked for: mounted by the API server at its own place only."""
    mounts: dict[str, set[str]] = {}
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        for mount in container.get("volumeMounts") or ():
            mounts.setdefault(mount["name"], set()).add(mount["mountPath"])
    return frozenset(
        volume["name"]
        for volume in spec.get("volumes") or ()
        if volume["name"].startswith("kube-api-access-")
        and "projected" in volume
        and mounts.get(volume["name"], {TOKEN_MOUNT}) == {TOKEN_MOUNT}
    )


def _container(container: Wire, dropped: frozenset[str]) -> Wire:
    forged: Wire = {name: container[name] for name in OF_A_CONTAINER if name in container}
    mounts = [m for m in container.get("volumeMounts") or () if m["name"] not in dropped]
    forged.pop("volumeMounts", None)
    if mounts:
        forged["volumeMounts"] = mounts
    if forged.get("env"):
        forged["env"] = [_variable(v) for v in forged["env"]]
    return forged


def _variable(variable: Wire) -> Wire:
    source = variable.get("valueFrom") or {}
    if "fieldRef" not in source:
        return variable
    return {**variable, "valueFrom": {**source, "fieldRef": _field(source["fieldRef"])}}


def _volume(volume: Wire) -> Wire:
    """Return a volume whose downward fields tell what they would tell at home."""
    if "downwardAPI" in volume:
        return {**volume, "downwardAPI": _downward(volume["downwardAPI"])}
    if "projected" not in volume:
        return volume
    sources: Sequence[Wire] = volume["projected"].get("sources") or ()
    told = [{**s, "downwardAPI": _downward(s["downwardAPI"])} if s.get("downwardAPI") else s for s in sources]
    return {**volume, "projected": {**volume["projected"], "sources": told}}


def _downward(source: Wire) -> Wire:
    items = [
        {**item, "fieldRef": _field(item["fieldRef"])} if "fieldRef" in item else item
        for item in source.get("items") or ()
    ]
    return {**source, "items": items}


def _field(reference: Mapping[str, str]) -> dict[str, str]:
    asked = reference["fieldPath"]
    if asked in FIELDS:
        return {**reference, "fieldPath": _annotation(FIELDS[asked])}
    found = _ASKED_ANNOTATION.fullmatch(asked)
    if found and (found[1].startswith(OWN_ANNOTATIONS) or not re.match(PASSED_ANNOTATION, found[1])):
        return {**reference, "fieldPath": _annotation(_held(found[1]))}
    return dict(reference)


def _annotation(name: str) -> str:
    return f"metadata.annotations['{name}']"


def _held(name: str) -> str:
    """Return the name that an annotation of home's has abroad if nobody but the pod may read it."""
    return f"{HELD_ANNOTATION}{short_hash(name)}"


def _asked(spec: Wire) -> Iterator[str]:
    """Return the paths of all fields that a pod asks for."""
    sources = []
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        sources += [variable.get("valueFrom") or {} for variable in container.get("env") or ()]
    for volume in spec.get("volumes") or ():
        projected = (volume.get("projected") or {}).get("sources") or ()
        for source in (volume, *projected):
            sources += (source.get("downwardAPI") or {}).get("items") or ()
    return (source["fieldRef"]["fieldPath"] for source in sources if "fieldRef" in source)
