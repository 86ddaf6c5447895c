"""Which ConfigMaps and Secrets a pod refers to; pure."""

from collections.abc import Iterable, Iterator

from liqo.api.kinds import CONFIG_MAP, SECRET
from liqo.api.meta import Kind, Wire

OF_EVERY_NAMESPACE = "kube-root-ca.crt"  # each cluster puts its own there

Reference = tuple[Kind, str]


def references(pod: Wire) -> frozenset[Reference]:
    """Return the ConfigMaps and Secrets that a pod needs, by kind and name."""
    spec = pod["spec"]
    found = {(SECRET, name) for r in spec.get("imagePullSecrets") or () if (name := r.get("name"))}
    for group in ("initContainers", "containers"):
        for container in spec.get(group) or ():
            found.update(_of_container(container))
    for volume in spec.get("volumes") or ():
        found.update(_of_volume(volume))
    return frozenset(found - {(CONFIG_MAP, OF_EVERY_NAMESPACE)})


def _of_container(container: Wire) -> Iterator[Reference]:
    for source in container.get("envFrom") or ():
        yield from _named(CONFIG_MAP, source.get("configMapRef"))
        yield from _named(SECRET, source.get("secretRef"))
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        yield from _named(CONFIG_MAP, source.get("configMapKeyRef"))
        yield from _named(SECRET, source.get("secretKeyRef"))


def _of_volume(volume: Wire) -> Iterable[Reference]:
    if volume["name"].startswith("kube-api-access-"):
        return
    yield from _named(CONFIG_MAP, volume.get("configMap"))
    yield from _named(SECRET, volume.get("secret"), "secretName")
    for source in (volume.get("projected") or {}).get("sources") or ():
        yield from _named(CONFIG_MAP, source.get("configMap"))
        yield from _named(SECRET, source.get("secret"))


def _named(kind: Kind, source: Wire | None, field: str = "name") -> Iterator[Reference]:
    if source and (name := source.get(field)):
        yield kind, name
