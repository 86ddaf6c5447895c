"""`python -m liqo` is `liqo`."""

from liqo.cli.main import main

main()
