"""Links with IPv6 alone, hosts on several links, and interfaces that come and go, without clusters."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from links import Link, link
from liqo.lab.pytest_plugin import Eventually

__all__ = ["link"]  # a fixture

SPEAKER = Path(__file__).parent / "speaker.py"

Speak = Callable[..., "subprocess.Popen[str]"]
"""(host, name, address, interface, …) → who announces that there, heard or not."""


@pytest.fixture
def speak(link: Link) -> Iterator[Speak]:
    with ExitStack() as stack:

        def start(*said: str) -> "subprocess.Popen[str]":
            command = link.command(said[0], (sys.executable, str(SPEAKER), *said[1:]))
            speaker = stack.enter_context(
                subprocess.Popen(command.argv, env=command.env, stdout=subprocess.PIPE, text=True)
            )
            stack.callback(speaker.kill)
            assert speaker.stdout
            assert speaker.stdout.readline() == "announced\n"
            return speaker

        yield start


def shown(link: Link, host: str, *options: str) -> dict[str, list[str]]:
    """Return the endpoints of the instances that a host sees.

    Two seconds: who has just answered another question answers the next one a second later (RFC 6762 §6).
    """
    argv = (sys.executable, "-m", "liqo", "discover", "lan", "--seconds", "2", "-o", "json", *options)
    return {x["instance"]: x.get("endpoints", []) for x in json.loads(link.run(host, *argv))}


def test_two_hosts_with_ipv6_alone(link: Link, speak: Speak, eventually: Eventually) -> None:
    rome, _ = link.plug("rome", ipv6=True), link.plug("milan", ipv6=True)
    assert link.run("rome", "ip", "-4", "addr", "show", "dev", "eth0") == ""
    speaker = speak("rome", "rome", rome)
    eventually(lambda: shown(link, "milan") == {"rome": [f"https://[{rome}]:6443"]})
    speaker.terminate()
    speaker.wait(30)
    assert shown(link, "milan") == {}


def test_a_host_on_two_links_finds_neighbours_on_both(
    link: Link, speak: Speak, eventually: Eventually
) -> None:
    places = {"milan": link.plug("milan"), "turin": link.plug("turin", "second")}
    places["rome"] = link.plug("rome")
    link.plug_too("rome", "second")
    for name, address in places.items():
        speak(name, name, address)
    urls = {name: [f"https://{address}:6443"] for name, address in places.items()}
    eventually(lambda: shown(link, "rome") == urls)
    eventually(lambda: shown(link, "milan") == {name: urls[name] for name in ("milan", "rome")})
    eventually(lambda: shown(link, "turin") == {name: urls[name] for name in ("turin", "rome")})


def test_an_interface_chosen_by_name_is_the_only_one(
    link: Link, speak: Speak, eventually: Eventually
) -> None:
    speak("milan", "milan", link.plug("milan"))
    speak("turin", "turin", link.plug("turin", "second"))
    link.plug("rome")
    link.plug_too("rome", "second")
    eventually(lambda: set(shown(link, "rome")) == {"milan", "turin"})
    eventually(lambda: set(shown(link, "rome", "--interface", "eth0")) == {"milan"})
    eventually(lambda: set(shown(link, "rome", "--interface", "eth1")) == {"turin"})


def test_an_interface_that_comes_later_is_taken_up(link: Link, speak: Speak, eventually: Eventually) -> None:
    link.plug("turin", "second")
    speak("rome", "rome", link.plug("rome"))
    assert shown(link, "turin") == {}
    link.plug_too("rome", "second")
    eventually(lambda: set(shown(link, "turin")) == {"rome"})


def test_a_named_interface_that_is_made_anew_is_taken_up(
    link: Link, speak: Speak, eventually: Eventually
) -> None:
    link.plug("turin", "second")
    link.plug("rome")
    address = link.plug_too("rome", "second")
    speaker = speak("rome", "rome", address, "eth1")
    eventually(lambda: set(shown(link, "turin")) == {"rome"})
    for pause in (False, True):  # too short to be noticed, and long enough
        link.run("rome", "ip", "link", "del", "eth1")
        if pause:
            eventually(lambda: shown(link, "turin") == {})
        link.plug_too("rome", "second")
        eventually(lambda: set(shown(link, "turin")) == {"rome"})
    assert speaker.poll() is None


def test_an_ipv6_address_that_the_kernel_still_tries_is_taken_up(
    link: Link, speak: Speak, eventually: Eventually
) -> None:
    rome, _ = link.plug("rome", ipv6=True), link.plug("milan", ipv6=True)
    link.run("rome", "ip", "addr", "flush", "dev", "eth0")
    shown_at_once = link.run("rome", "sh", "-c", f"ip addr add {rome}/64 dev eth0 && ip addr")
    assert "tentative" in shown_at_once
    speak("rome", "rome", rome)
    eventually(lambda: shown(link, "milan"))


def test_a_new_ipv6_address_of_an_interface_is_taken_up(
    link: Link, speak: Speak, eventually: Eventually
) -> None:
    rome, _ = link.plug("rome", ipv6=True), link.plug("milan", ipv6=True)
    speak("rome", "rome", rome)
    assert f"[{rome}]:5353" in link.run("rome", "ss", "-Hlnu")
    link.run("rome", "ip", "addr", "add", "fd77::beef/64", "dev", "eth0", "nodad")
    link.run("rome", "ip", "addr", "del", f"{rome}/64", "dev", "eth0")
    eventually(lambda: "[fd77::beef]:5353" in link.run("rome", "ss", "-Hlnu"))
    eventually(lambda: shown(link, "milan"))
