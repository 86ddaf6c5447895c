"""What a running Liqo holds: memory, tasks, files."""

import re
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from liqo.lab.lab import LIQO, Lab

TASKS = re.compile(r"^liqo_tasks (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Look:
    """What one Liqo holds at a moment."""

    memory: float  # MiB
    tasks: int
    files: int


def look_at(lab: Lab, side: str) -> Look:
    """Return what the Liqo of a cluster holds."""
    status = next(c for c in lab.status() if c.name == side)
    process = Path(f"/proc/{next(c.pid for c in status.components if c.name == LIQO)}")
    memory = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmRSS:"))
    address, port = lab.cluster(side).reach(LIQO)
    with urllib.request.urlopen(f"http://{address}:{port}/metrics", timeout=30) as answer:
        found = TASKS.search(answer.read().decode())
    assert found
    files = sum(1 for _ in (process / "fd").iterdir())
    return Look(int(memory.split()[1]) / 1024, int(float(found[1])), files)
