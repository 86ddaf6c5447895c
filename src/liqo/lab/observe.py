"""Looks at a cluster: what runs, and whether it is ready."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from liqo.errors import Invalid
from liqo.lab.client import is_ready
from liqo.lab.component import LIQO, LIQO_LAN, Component, liqo, liqo_lan, metrics_server, plane
from liqo.lab.plane import in_parallel, read_cluster_id
from liqo.lab.process import Running
from liqo.lab.real import real_components
from liqo.lab.spec import NAMESPACE, ClusterSpec
from liqo.lab.status import ClusterStatus, ComponentStatus

STATUS_SECONDS = 5.0  # how long a component may take to say that it is ready


def components_of(spec: ClusterSpec) -> tuple[Component, ...]:
    """Return what a cluster consists of; to look at or to stop, since kwok's stages are left out."""
    return (
        *plane(spec, ""),
        *(real_components(spec, Path(), "") if spec.real else ()),
        *((metrics_server(spec),) if spec.metrics else ()),
        *((liqo(spec),) if spec.liqo else ()),
        *((liqo_lan(spec),) if spec.has_agent else ()),
    )


def component_of(
    spec: ClusterSpec, name: str, *, extra_args: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Component:
    """Return one component of a cluster; further arguments and environment are for Liqo's own.

    Raises:
        Invalid: it has none of that name.
    """
    if name == LIQO:
        return liqo(spec, extra_args=extra_args, env=env)
    if name == LIQO_LAN and spec.has_agent:
        return liqo_lan(spec, extra_args=extra_args, env=env)
    known = {component.name: component for component in components_of(spec)}
    if name not in known:
        raise Invalid(f"{spec.name} has no component {name!r}", hint=f"it has {', '.join(known)}")
    return known[name]


def observe_cluster(spec: ClusterSpec, processes: Sequence[Running]) -> ClusterStatus:
    """Return one cluster with its components, given the processes of the lab."""
    pids = {running.part: running.pid for running in processes if running.cluster == spec.name}
    components = components_of(spec)

    def one(component: Component) -> ComponentStatus:
        pid = pids.get(component.name)
        probe = component.probe
        ready = pid is not None and (probe is None or is_ready(spec, probe, timeout=STATUS_SECONDS))
        return ComponentStatus(component.name, pid, ready)

    with in_parallel(len(components)) as pool:
        found = tuple(pool.map(one, components))
    api_ready = any(c.ready and c.name == "kube-apiserver" for c in found)
    return ClusterStatus(
        name=spec.name,
        kubeconfig=spec.kubeconfig,
        api_url=spec.api_url,
        cluster_id=read_cluster_id(spec) if api_ready else "",
        namespace=NAMESPACE,
        components=found,
    )
