#!/usr/bin/python3
"""A FastCGI application that misbehaves as the query string says; one connection and one request at a time.

hello           a page                       stream=N        N octets without a Content-Length
sleep=S         a page after S seconds       cut=N           N octets of an answer, then exit
garbage=S       after S seconds something that is not FastCGI
raw=TEXT        these octets as output, then the connection is closed, its request not ended
short=N         N octets of an answer, then the connection is closed
stall=N         N octets of an answer (0: not even a head), then nothing for half a minute
exit            the process ends             wrongid         a page for a request that nobody made
head=N          a head of N octets           stderr=N        N octets of complaints, then a page
mark=FILE       a line more in FILE (the nonce), then what follows in the query
nonce=TEXT      names the request              echo=N          nonce, hash of the body, N octets of nonce
grow=N          N MiB of memory are taken for good, then a page
deaf            the listening socket is closed, then a page: nobody can connect any more
Standard library only; the listening socket is on descriptor 0.
"""

import hashlib
import os
import signal
import socket
import struct
import sys
import time
from urllib.parse import parse_qsl

HEAD = b"Content-Type: text/plain\r\n\r\n"


def read(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def record(kind: int, content: bytes, request: int = 1) -> bytes:
    return struct.pack(">BBHHBx", 1, kind, request, len(content), 0) + content


def parameters(data: bytes) -> dict[str, str]:
    found = {}
    position = 0
    while position < len(data):
        sizes = []
        for _ in range(2):
            size = data[position]
            if size & 128:
                size = struct.unpack_from(">I", data, position)[0] & 0x7FFFFFFF
                position += 3
            position += 1
            sizes.append(size)
        name, value = data[position : position + sizes[0]], data[position + sizes[0] : position + sum(sizes)]
        found[name.decode()] = value.decode("utf-8", "replace")
        position += sum(sizes)
    return found


def send(connection: socket.socket, data: bytes, kind: int = 6) -> None:
    for start in range(0, len(data), 32768):
        connection.sendall(record(kind, data[start : start + 32768]))


def answer(connection: socket.socket, query: str, digest: str) -> None:
    """Raises EOFError for a connection that is to be closed. `digest` is that of the request's body."""
    nonce = "ran"
    for name, value in parse_qsl(query, keep_blank_values=True) or [("hello", "")]:
        if name == "sleep":
            time.sleep(float(value))
        elif name == "garbage":
            send(connection, HEAD + b"a beginning")
            time.sleep(float(value))
            connection.sendall(b"this is not FastCGI at all")
            return
        elif name == "raw":
            send(connection, value.encode())
            raise EOFError
        elif name in ("short", "stall"):
            send(connection, HEAD + b"x" * int(value) if value != "0" else b"")
            if name == "stall":
                time.sleep(30)
            raise EOFError
        elif name == "exit":
            sys.exit(3)
        elif name == "wrongid":
            connection.sendall(record(6, HEAD + b"for somebody else", 7) + record(3, bytes(8), 7))
            return
        elif name == "head":
            send(connection, b"X-Long: " + b"x" * int(value))
        elif name == "stderr":
            for start in range(0, int(value), 32768):
                send(
                    connection,
                    (b"a complaint".ljust(4095, b".") + b"\n") * min(8, (int(value) - start) // 4096),
                    7,
                )
        elif name == "mark":
            with open(value, "a") as file:
                file.write(nonce + "\n")
        elif name == "nonce":
            nonce = value
        elif name == "echo":
            filling = (nonce.encode() * (int(value) // len(nonce) + 1))[: int(value)]
            send(connection, HEAD + f"{nonce} {digest} {os.getpid()}\n".encode() + filling)
            connection.sendall(record(6, b"") + record(3, bytes(8)))
            return
        elif name == "grow":
            TAKEN.append(b"x" * (int(value) << 20))
        elif name == "deaf":
            LISTENER.close()
        elif name in ("stream", "cut"):
            send(connection, HEAD + b"x" * int(value))
            if name == "cut":
                sys.exit(3)
            connection.sendall(record(6, b"") + record(3, bytes(8)))
            return
    send(connection, HEAD + str(os.getpid()).encode())
    connection.sendall(record(6, b"") + record(3, bytes(8)))


def serve(connection: socket.socket) -> None:
    while True:
        keep, collected, body = False, b"", hashlib.sha256()
        while True:
            _, kind, _, length, padding = struct.unpack(">BBHHBx", read(connection, 8))
            content = read(connection, length + padding)[:length]
            if kind == 1:
                keep = bool(content[2] & 1)
            elif kind == 4:
                collected += content
            elif kind == 5:
                body.update(content)
                if not content:
                    break
        answer(connection, parameters(collected).get("QUERY_STRING", ""), body.hexdigest())
        if not keep:
            return


TAKEN: list[bytes] = []
LISTENER = socket.socket(fileno=0)


def main() -> None:
    while True:
        try:
            connection, _ = LISTENER.accept()
        except OSError:
            signal.pause()  # it was closed: alive, and of no use to anybody
        try:
            serve(connection)
        except (EOFError, ConnectionError):
            pass
        finally:
            connection.close()


if __name__ == "__main__":
    main()
