"""Printing: data on stdout, everything else on stderr."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from liqo.errors import Fault

PIPED_WIDTH = 10_000
stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print JSON on stdout."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def print_json_line(value: Any) -> None:
    """Print JSON on one line of stdout, at once: whoever reads a stream waits for it."""
    sys.stdout.write(orjson.dumps(value).decode() + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    """Print a table as kubectl does: no lines, columns apart; or a sentence if there is nothing."""
    if not rows:
        stderr.print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="", show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else PIPED_WIDTH  # grep and awk want a line a row
    Console(highlight=False, width=width).print(table)


def print_fault(fault: Fault) -> None:
    """Print what is wrong and what to do, on stderr."""
    stderr.print(f"error: {fault.message}", markup=False)
    if fault.hint:
        stderr.print(f"hint: {fault.hint}", markup=False)


def age(since: datetime | None, now: datetime) -> str:
    """Return an age as kubectl writes it: 5s, 3m, 2h, 4d."""
    if since is None:
        return ""
    seconds = max(int((now - since).total_seconds()), 0)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
