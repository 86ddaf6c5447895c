"""What the tests of the lab share."""

import sys
from collections.abc import Callable

import pytest

from ordinary import ordinary

__all__ = ["ordinary"]

# Asks as nobody in particular, trusting anybody, and prints the status code.
STRANGER = """
import ssl, sys, urllib.error, urllib.request
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
try:
    with urllib.request.urlopen(sys.argv[1], context=context, timeout=20) as answer:
        print(answer.status)
except urllib.error.HTTPError as answer:
    print(answer.code)
"""


@pytest.fixture
def stranger() -> Callable[[str], list[str]]:
    """Return a command that asks for a URL without any credentials."""
    return lambda url: [sys.executable, "-c", STRANGER, url]
