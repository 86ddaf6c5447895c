"""Liqo in the clusters of a lab: installed by its administrator, run with its own ServiceAccount's rights."""

import asyncio
from collections.abc import Sequence

from liqo.app.setup import install_into_lab
from liqo.lab.lab import LIQO, Lab
from liqo.lab.spec import NAMESPACE, ClusterSpec


def up_with_liqo(
    lab: Lab,
    names: Sequence[str] = (),
    *,
    nodes: int | None = None,
    anonymous: bool | None = None,
    liqo: bool | None = None,
    loopback: bool = False,
) -> list[tuple[ClusterSpec, list[str], bool]]:
    """Bring clusters up with Liqo in them; return each with what was started, and whether it is new.

    What runs already is left alone.
    """
    done = lab.up(names, nodes=nodes, anonymous=anonymous, liqo=liqo, loopback=loopback)
    wanted = [lab.cluster(name) for name in done.started]
    todo = [spec for spec in wanted if spec.liqo and not lab.is_running(spec.name, LIQO)]
    if todo:
        lab.progress.doing("installing Liqo")
        asyncio.run(_install(todo))
        lab.start_liqo([spec.name for spec in todo])
    return [
        (spec, [*done.started[spec.name], *([LIQO] if spec in todo else [])], spec.name in done.created)
        for spec in wanted
    ]


async def _install(specs: Sequence[ClusterSpec]) -> None:
    """Install Liqo into clusters, all at once, and write its controllers' kubeconfigs."""
    await asyncio.gather(
        *(
            install_into_lab(
                kubeconfig=spec.kubeconfig,
                namespace=NAMESPACE,
                controller_kubeconfig=spec.controller_kubeconfig,
                host=spec.host,
                cluster_name=spec.name,
                api_url=spec.api_url,
            )
            for spec in specs
        )
    )
