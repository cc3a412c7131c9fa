"""Copies as many bytes through a socket on loopback to another process. Arguments: BYTES."""

import socket
import sys
from multiprocessing import get_context

from bench.history import EVENTS_PER_SESSION, SESSIONS
from bench.measurement import Stopwatch

PIECE_BYTES = 256 << 10
"""As large as a record batch."""


def receive(port: int) -> None:
    """Receive until the sender closes the connection."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        piece = bytearray(PIECE_BYTES)
        while connection.recv_into(piece):
            pass


def main(size: int) -> None:
    piece = bytes(PIECE_BYTES)
    with socket.create_server(("127.0.0.1", 0)) as server:
        receiver = get_context("spawn").Process(target=receive, args=(server.getsockname()[1],))
        receiver.start()
        connection, _ = server.accept()
    with connection:
        watch = Stopwatch()
        for _ in range(size // PIECE_BYTES):
            connection.sendall(piece)
        watch.report(SESSIONS * EVENTS_PER_SESSION)
    receiver.join()


if __name__ == "__main__":
    main(int(sys.argv[1]))
