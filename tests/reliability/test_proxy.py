"""The proxy does to a connection exactly what was ordered."""

import socket
import threading
from collections.abc import Iterator

import pytest

from reliability.proxy import ConnectionCut, CuttingProxy, Treatment

pytestmark = pytest.mark.network


@pytest.fixture
def echo_port() -> Iterator[int]:
    """A server that sends back what it gets."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                pass

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def exchanged(port: int, data: bytes) -> tuple[bytes, bool]:
    """What comes back, and whether the end was a reset."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                got += piece
        except ConnectionResetError:
            return got, True
    return got, False


DATA = bytes(range(256)) * 40


@pytest.mark.parametrize(
    "cut",
    [
        ConnectionCut(),
        ConnectionCut(treatment=Treatment.SPLIT),
        ConnectionCut(treatment=Treatment.DELAY, seconds=0.01),
        ConnectionCut(treatment=Treatment.RESET, after_bytes=len(DATA)),
    ],
)
def test_what_is_not_cut_comes_through_whole(echo_port: int, cut: ConnectionCut) -> None:
    with CuttingProxy(echo_port) as proxy:
        proxy.order(cut)
        assert exchanged(proxy.port, DATA) == (DATA, False)


@pytest.mark.parametrize("treatment", [Treatment.RESET, Treatment.CLOSE, Treatment.STALL])
def test_a_cut_lets_no_more_than_its_bytes_through(echo_port: int, treatment: Treatment) -> None:
    with CuttingProxy(echo_port) as proxy:
        proxy.order(ConnectionCut(treatment=treatment, after_bytes=777, seconds=0.1))
        got, is_reset = exchanged(proxy.port, DATA)
        assert len(got) <= 777
        assert DATA.startswith(got)
        assert is_reset or treatment is Treatment.CLOSE
        assert exchanged(proxy.port, DATA) == (DATA, False)


def test_answers_are_cut_too(echo_port: int) -> None:
    with CuttingProxy(echo_port) as proxy:
        proxy.order(ConnectionCut(treatment=Treatment.CLOSE, after_bytes=50, of_answers=True))
        got, _ = exchanged(proxy.port, DATA)
        assert len(got) <= 50


def test_open_connections_are_reset_on_demand(echo_port: int) -> None:
    with (
        CuttingProxy(echo_port) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), 10) as client,
    ):
        client.sendall(b"ping")
        assert client.recv(4) == b"ping"
        assert proxy.cut_all() == 1
        with pytest.raises(ConnectionResetError):
            client.recv(1)
