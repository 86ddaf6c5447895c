"""Processes, relay and locks without any cluster."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from liqo.lab.process import Running, command_name, end, find, is_alive, launch, marks, small_env, tail
from liqo.lab.pytest_plugin import Eventually
from liqo.lab.relaying import PROGRAM

Launch = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Launch]:
    def run(*argv: str, part: str = "part", fds: tuple[int, ...] = ()) -> Running:
        env = {**small_env(tmp_path), **marks(tmp_path, "rome", part)}
        log = tmp_path / "logs" / f"{part}.log"
        return Running(launch(argv, env=env, cwd=tmp_path, log=log, descriptors=fds), "rome", part)

    yield run
    end(find(tmp_path), tmp_path, term_seconds=0)


def test_what_was_launched_is_found_by_its_mark(start: Launch, tmp_path: Path) -> None:
    sleeping, other = start("sleep", "infinity"), start("sleep", "infinity", part="other")
    assert set(find(tmp_path)) == {sleeping, other}
    assert find(tmp_path / "elsewhere") == []
    assert find(tmp_path.parent) == []


def test_a_process_is_alive_while_it_becomes_another_program(start: Launch, tmp_path: Path) -> None:
    script = tmp_path / "again.sh"
    script.write_text('exec sh "$0"')
    restless = start("sh", str(script))
    assert all(is_alive(restless, tmp_path) for _ in range(3_000))
    assert all(find(tmp_path) == [restless] for _ in range(20))


def test_a_process_ends_when_asked(start: Launch, tmp_path: Path) -> None:
    sleeping = start("sleep", "infinity")
    end([sleeping], tmp_path)
    assert not is_alive(sleeping, tmp_path)


def test_one_that_does_not_listen_is_killed(start: Launch, tmp_path: Path, eventually: Eventually) -> None:
    stubborn = start("sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 60; done")
    eventually(lambda: tail(tmp_path / "logs" / "part.log") == "deaf")
    end([stubborn], tmp_path, term_seconds=0.1)
    assert not is_alive(stubborn, tmp_path)


def test_a_process_without_the_mark_is_never_signalled(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "infinity"]) as stranger:
        end([Running(stranger.pid, "rome", "etcd")], tmp_path, term_seconds=0)
        assert stranger.poll() is None
        stranger.kill()


def test_who_runs_inside_the_lab_does_not_find_himself(tmp_path: Path) -> None:
    code = (
        f"from pathlib import Path; from liqo.lab.process import find; print(find(Path({str(tmp_path)!r})))"
    )
    env = {**os.environ, **marks(tmp_path, "rome", "exec")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_program_gets_nothing_of_our_environment(
    start: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    start("env")
    text = eventually(lambda: tail(tmp_path / "logs" / "part.log"))
    assert "proxy" not in text


@pytest.fixture
def echo() -> Iterator[int]:
    """A port that sends back what it gets, and ends when the other side does."""

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while data := connection.recv(65_536):
                connection.sendall(data)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threads.append(threading.Thread(target=answer, args=(connection,)))
                threads[-1].start()

    threads: list[threading.Thread] = []
    server = socket.create_server(("127.0.0.1", 0))
    threads.append(threading.Thread(target=accept))
    threads[0].start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    for thread in threads:
        thread.join()


@pytest.fixture
def relay(start: Launch) -> Callable[[int], int]:
    """Starts a relay to a port; returns its own."""

    def run(target: int) -> int:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port: int = listening.getsockname()[1]
            way = f"{listening.fileno()}=127.0.0.1:{target}"
            start(sys.executable, "-I", str(PROGRAM), way, part="relay", fds=(listening.fileno(),))
        return port

    return run


def test_the_relay_carries_more_than_fits_into_any_buffer(relay: Callable[[int], int], echo: int) -> None:
    sent = os.urandom(8_000_000)
    got = bytearray()
    with socket.create_connection(("127.0.0.1", relay(echo)), timeout=30) as connection:

        def send() -> None:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)  # the other way stays open

        sender = threading.Thread(target=send)
        sender.start()
        while data := connection.recv(65_536):
            got += data
        sender.join()
    assert bytes(got) == sent


def test_the_relay_resets_when_nobody_listens_there(relay: Callable[[int], int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        free = unused.getsockname()[1]
    connection = socket.create_connection(("127.0.0.1", relay(free)), timeout=30)
    with connection, pytest.raises(ConnectionResetError):
        connection.recv(1)


def test_a_holder_is_known_by_what_it_runs(start: Launch, eventually: Eventually) -> None:
    holder = start("sleep", "infinity")
    eventually(lambda: command_name(holder.pid) == "sleep")
