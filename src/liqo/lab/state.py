"""What a lab remembers between commands: which clusters it has, not what runs (see process.py)."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from liqo.errors import Invalid, Malformed
from liqo.lab.spec import LAN, MAX_CLUSTERS, ClusterSpec, Mode

FILE = "lab.json"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A lab, as written in its folder."""

    folder: Path
    mode: Mode
    subnet: str = LAN
    serial: int = 1  # of the name server's zone
    clusters: Mapping[str, ClusterSpec] = field(default_factory=dict)

    def cluster(self, name: str) -> ClusterSpec:
        """Return one cluster.

        Raises:
            Invalid: there is none of that name.
        """
        if name not in self.clusters:
            known = ", ".join(self.clusters) or "none"
            raise Invalid(
                f"no cluster {name!r} in this lab", hint=f"it has {known}; `liqo lab up {name}` adds it"
            )
        return self.clusters[name]

    def having(self, spec: ClusterSpec) -> "State":
        """Return the lab with that cluster added or replaced; the zone's serial grows."""
        return replace(self, clusters={**self.clusters, spec.name: spec}, serial=self.serial + 1)

    def next_index(self) -> int:
        """Return the place of the next cluster.

        Raises:
            Invalid: the lab is full.
        """
        index = max((spec.index for spec in self.clusters.values()), default=0) + 1
        if index > MAX_CLUSTERS:
            raise Invalid(
                f"a lab has at most {MAX_CLUSTERS} clusters", hint="start another in another folder"
            )
        return index


def format_state(state: State) -> str:
    """Return the text of lab.json."""
    clusters = [
        {
            "name": spec.name,
            "index": spec.index,
            "nodes": spec.nodes,
            "anonymous": spec.anonymous,
            "kubernetes": spec.kubernetes,
            "kubelet_ca": spec.kubelet_ca,
            "real": spec.real,
            "metrics": spec.metrics,
            "liqo": spec.liqo,
            "lan": spec.lan,
            "skew": spec.skew,
            "ports": dict(spec.ports),
        }
        for spec in state.clusters.values()
    ]
    value = {
        "version": VERSION,
        "mode": state.mode.value,
        "subnet": state.subnet,
        "serial": state.serial,
        "clusters": clusters,
    }
    return json.dumps(value, indent=2) + "\n"


def parse_state(folder: Path, text: str) -> State:
    """Read lab.json.

    Raises:
        Malformed: it is not ours, or of another version.
    """
    try:
        value: dict[str, Any] = json.loads(text)
        if value["version"] != VERSION:
            raise Malformed(f"{folder / FILE} was written by another version of liqo", hint="liqo lab down")
        mode = Mode(value["mode"])
        clusters = {
            item["name"]: ClusterSpec(**item, folder=folder / item["name"], mode=mode, subnet=value["subnet"])
            for item in value["clusters"]
        }
        return State(
            folder=folder, mode=mode, subnet=value["subnet"], serial=value["serial"], clusters=clusters
        )
    except (ValueError, KeyError, TypeError) as exc:
        raise Malformed(f"{folder / FILE} cannot be read", hint="liqo lab down") from exc


def read_state(folder: Path) -> State | None:
    """Return the lab in that folder; None where there is none."""
    try:
        text = (folder / FILE).read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return parse_state(folder, text)


def write_state(state: State) -> None:
    """Write lab.json in one step, so that a kill leaves the old or the new one."""
    write_private(state.folder / FILE, format_state(state))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)
