"""Logs: JSON or pretty, never a secret, the standard library's too."""

import io
import logging
import pickle
from collections.abc import Iterator

import orjson
import pytest
import structlog

from liqo.runtime.log import choose_level, setup_logging
from liqo.runtime.secret import Secret

TOKEN = "eyJ-very-secret"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def fail_with(token: str) -> None:
    hidden = token
    raise ValueError(len(hidden))


def test_a_line_is_json_with_the_bound_fields() -> None:
    out = io.StringIO()
    setup_logging("info", {}, stream=out)
    with structlog.contextvars.bound_contextvars(controller="x"):
        structlog.get_logger().info("reconciled", writes=2)
        structlog.get_logger().debug("not shown")
    (line,) = out.getvalue().splitlines()
    found = orjson.loads(line)
    assert (found["event"], found["controller"], found["writes"], found["level"]) == (
        "reconciled",
        "x",
        2,
        "info",
    )
    assert found["timestamp"].endswith("Z")


@pytest.mark.parametrize("out", [io.StringIO(), Terminal()], ids=["json", "terminal"])
def test_no_secret_is_shown_not_even_in_a_traceback(out: io.StringIO) -> None:
    setup_logging("debug", {}, stream=out)
    secret = Secret(TOKEN)
    try:
        fail_with(TOKEN)
    except ValueError as exc:
        structlog.get_logger().error("bug", token=secret, text=f"{secret} {secret!r}", exc_info=exc)
        logging.getLogger("aiohttp.server").exception("bug %s", secret)
    shown = out.getvalue()
    assert "ValueError" in shown
    assert "fail_with" in shown
    assert "***" in shown
    assert TOKEN not in shown


def test_the_standard_library_is_shown_from_warning_on_and_all_of_it_at_debug() -> None:
    for level, expected in (("info", 1), ("debug", 2)):
        out = io.StringIO()
        setup_logging(level, {}, stream=out)
        logging.getLogger("some.library").info("chatter")
        logging.getLogger("some.library").warning("careful")
        lines = [orjson.loads(line) for line in out.getvalue().splitlines()]
        assert len(lines) == expected
        assert (lines[-1]["event"], lines[-1]["logger"]) == ("careful", "some.library")


def test_a_terminal_is_coloured_unless_it_must_not_be() -> None:
    for environ, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)):
        out = Terminal()
        setup_logging("info", environ, stream=out)
        structlog.get_logger().info("hello")
        assert ("\x1b[" in out.getvalue()) == coloured


def test_the_level_is_the_argument_else_the_environment_else_info() -> None:
    assert choose_level("DEBUG", {"LIQO_LOG": "error"}) == "debug"
    assert choose_level(None, {"LIQO_LOG": "error"}) == "error"
    assert choose_level(None, {}) == "info"
    with pytest.raises(ValueError, match="none of debug, info"):
        choose_level("loud", {})


def test_a_secret_gives_itself_away_only_when_asked() -> None:
    secret = Secret(TOKEN)
    assert (str(secret), repr(secret), f"{secret}") == ("***", "Secret(***)", "***")
    assert secret.reveal() == TOKEN
    assert secret == Secret(TOKEN)
    assert secret != TOKEN
    assert len({secret, Secret(TOKEN)}) == 1
    assert not Secret("")
    with pytest.raises(TypeError):
        pickle.dumps(secret)
