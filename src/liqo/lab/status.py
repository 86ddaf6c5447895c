"""What a lab is doing, as types and as the JSON of `liqo lab status`; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One program of a cluster."""

    name: str
    pid: int | None  # None: it does not run
    ready: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """One cluster."""

    name: str
    kubeconfig: Path
    api_url: str
    cluster_id: str  # "" before Liqo has made one
    namespace: str
    components: tuple[ComponentStatus, ...]

    @property
    def ready(self) -> bool:
        """Whether all of it is."""
        return all(component.ready for component in self.components)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upped:
    """What `up` did."""

    created: tuple[str, ...]  # clusters
    started: Mapping[str, tuple[str, ...]]  # components by cluster; nothing where all ran already


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run in a cluster's network, with its whole environment."""

    argv: list[str]
    env: dict[str, str]


def forge_status(clusters: tuple[ClusterStatus, ...]) -> dict[str, Any]:
    """Return the JSON of `liqo lab status -o json`."""
    return {
        "clusters": [
            {
                "name": cluster.name,
                "kubeconfig": str(cluster.kubeconfig),
                "apiUrl": cluster.api_url,
                "clusterID": cluster.cluster_id,
                "namespace": cluster.namespace,
                "components": [
                    {"name": component.name, "pid": component.pid, "ready": component.ready}
                    for component in cluster.components
                ],
            }
            for cluster in clusters
        ]
    }
