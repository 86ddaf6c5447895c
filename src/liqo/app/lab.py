"""Liqo in the clusters of a lab: installed by its administrator, run with its own ServiceAccount's rights."""

import asyncio
from collections.abc import Sequence

from liqo.app.setup import install_into_lab
from liqo.lab.lab import LIQO, LIQO_LAN, Lab
from liqo.lab.spec import NAMESPACE, ClusterSpec


def up_with_liqo(
    lab: Lab,
    names: Sequence[str] = (),
    *,
    nodes: int | None = None,
    anonymous: bool | None = None,
    kubelet_ca: bool | None = None,
    kubernetes: str | None = None,
    real: bool | None = None,
    metrics: bool | None = None,
    liqo: bool | None = None,
    lan: bool | None = None,
    loopback: bool = False,
) -> list[tuple[ClusterSpec, list[str], bool]]:
    """Bring clusters up with Liqo in them; return each with what was started, and whether it is new.

    What runs already is left alone. Where the lab has a LAN, each cluster's agent runs too, unless `lan` is False.
    """
    done = lab.up(
        names,
        nodes=nodes,
        anonymous=anonymous,
        kubelet_ca=kubelet_ca,
        kubernetes=kubernetes,
        real=real,
        metrics=metrics,
        liqo=liqo,
        lan=lan,
        loopback=loopback,
    )
    wanted = [lab.cluster(name) for name in done.started]
    todo = [spec for spec in wanted if not all(lab.is_running(spec.name, part) for part in _parts(spec))]
    if todo:
        lab.progress.doing("installing Liqo")
        asyncio.run(_install(todo))
        lab.start_liqo([spec.name for spec in todo])
    return [
        (spec, [*done.started[spec.name], *(_parts(spec) if spec in todo else [])], spec.name in done.created)
        for spec in wanted
    ]


def _parts(spec: ClusterSpec) -> list[str]:
    """Return the processes of Liqo that belong to a cluster."""
    return [*([LIQO] if spec.liqo else []), *([LIQO_LAN] if spec.has_agent else [])]


async def _install(specs: Sequence[ClusterSpec]) -> None:
    """Install Liqo into clusters, all at once, and write the kubeconfigs of its controllers and agents."""
    await asyncio.gather(
        *(
            install_into_lab(
                kubeconfig=spec.kubeconfig,
                namespace=NAMESPACE,
                controller_kubeconfig=spec.controller_kubeconfig,
                lan_kubeconfig=spec.agent_kubeconfig if spec.has_agent else None,
                host=spec.host,
                cluster_name=spec.name,
                api_url=spec.api_url,
            )
            for spec in specs
        )
    )
