"""Every command explains itself with an example."""

from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from liqo.cli.root import app


def commands(command: Any, path: str = "liqo") -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, each in command.commands.items():
            yield from commands(each, f"{path} {name}")
    else:
        yield path, command


ALL = dict(commands(get_command(app)))


def test_the_commands_that_a_person_needs_are_there() -> None:
    needed = {"install", "uninstall", "controller", "join", "unjoin", "clusters", "share", "status", "demo"}
    assert {f"liqo {name}" for name in needed} | {"liqo lab up", "liqo lab skew"} <= set(ALL)


@pytest.mark.parametrize("path", ALL)
def test_a_command_s_help_says_what_it_does_and_shows_an_example(path: str) -> None:
    text = ALL[path].help or ""
    assert "Example: " in text
    assert "liqo" in text.split("Example: ")[1]
    assert len(text.splitlines()[0]) > 15


@pytest.mark.parametrize("path", ALL)
def test_every_option_says_what_it_is_for(path: str) -> None:
    silent = [p.name for p in ALL[path].params if p.param_type_name == "option" and not p.help]
    assert silent == []
