"""What a running Liqo holds: memory, tasks, watches, files."""

import re
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from liqo.lab.lab import LIQO, Lab

GAUGE = re.compile(r"^liqo_(tasks|watches)(?:\{.*\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Look:
    """What one Liqo holds at a moment."""

    memory: float  # MiB
    tasks: int
    watches: int
    files: int


def look_at(lab: Lab, side: str) -> Look:
    """Return what the Liqo of a cluster holds."""
    status = next(c for c in lab.status() if c.name == side)
    process = Path(f"/proc/{next(c.pid for c in status.components if c.name == LIQO)}")
    memory = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmRSS:"))
    address, port = lab.cluster(side).reach(LIQO)
    found = Counter[str]()
    with urllib.request.urlopen(f"http://{address}:{port}/metrics", timeout=30) as answer:
        for gauge, value in GAUGE.findall(answer.read().decode()):
            found[gauge] += int(float(value))
    assert set(found) == {"tasks", "watches"}
    files = sum(1 for _ in (process / "fd").iterdir())
    return Look(round(int(memory.split()[1]) / 1024, 1), found["tasks"], found["watches"], files)
