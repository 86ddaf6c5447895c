"""Where `liqo` and `kubectl liqo` begin: runs a command and prints what went wrong."""

import sys

from liqo.cli.output import print_fault
from liqo.errors import Fault, Invalid

EXIT_FAULT = 1
EXIT_USAGE = 2


def main() -> None:
    """Run a command; a Fault is one sentence and a hint, exit code 1, or 2 for wrong usage.

    The controller is what starts on its own and has to be quick; the other groups would cost it 0.2 s of imports.
    """
    if sys.argv[1:2] == ["controller"]:
        from liqo.cli.controller import alone as app  # noqa: PLC0415
    else:
        from liqo.cli.root import app  # noqa: PLC0415
    try:
        app()
    except Fault as fault:
        print_fault(fault)
        sys.exit(EXIT_USAGE if isinstance(fault, Invalid) else EXIT_FAULT)
