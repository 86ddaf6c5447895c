"""Logs: JSON on stderr, pretty on a terminal; structlog and the standard library alike.

A message is constant, values are fields. Bound once by `runtime.loop`: controller, kind, namespace, name,
reconcile_id, attempt.
"""

import logging
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor

from liqo.runtime.secret import Secret

LEVEL_VARIABLE = "LIQO_LOG"
LEVELS = ("debug", "info", "warning", "error")
QUIET = ("aiohttp.access", "asyncio")  # libraries that tell more than anybody reads


def choose_level(argument: str | None, environ: Mapping[str, str]) -> str:
    """Return the level of an argument, else of the environment's LIQO_LOG, else info.

    Raises:
        ValueError: it is none.
    """
    level = (argument or environ.get(LEVEL_VARIABLE) or "info").lower()
    if level not in LEVELS:
        raise ValueError(f"log level {level!r} is none of {', '.join(LEVELS)}")
    return level


def setup_logging(level: str, environ: Mapping[str, str], *, stream: TextIO | None = None) -> None:
    """Send all logs of the process to a stream, stderr by default.

    Args:
        level: one of LEVELS; libraries' own messages are shown from warning on, or all at debug.
        environ: NO_COLOR, if set and not empty, switches colours off (no-color.org).
        stream: where to.
    """
    out = stream if stream is not None else sys.stderr
    least = logging.getLevelNamesMapping()[level.upper()]
    terminal = out.isatty()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[Processor]
    if terminal:
        colours = not environ.get("NO_COLOR")
        plain = structlog.dev.plain_traceback
        render = [structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=plain)]
    else:
        # Never with the local variables of a traceback: a token may be among them.
        tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        render = [
            structlog.processors.ExceptionRenderer(tracebacks),
            structlog.processors.JSONRenderer(serializer=_dump),
        ]
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, _render_exc_info],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(least if level == "debug" else max(least, logging.WARNING))
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _render_exc_info(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Keep the traceback of a standard library record for the renderers."""
    record: logging.LogRecord | None = event.get("_record")
    if record is not None and record.exc_info:
        event["exc_info"] = record.exc_info
    return event


def _dump(event: EventDict, **_: Any) -> str:
    return orjson.dumps(event, default=_plain, option=orjson.OPT_NON_STR_KEYS).decode()


def _plain(value: object) -> str:
    """Return what orjson does not know as text; a Secret stays one."""
    return "***" if isinstance(value, Secret) else str(value)
