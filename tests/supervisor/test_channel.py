"""Frames and descriptors between supervisor and front."""

from __future__ import annotations

import os
import socket
import struct

import pytest

from appliance.supervisor.channel import Channel, ChannelBroken, Message


def pair() -> tuple[Channel, Channel]:
    ours, theirs = socket.socketpair()
    return Channel(ours), Channel(theirs)


def test_messages_arrive_in_order_with_their_descriptors() -> None:
    here, there = pair()
    first, second = os.pipe()
    here.send({"type": "ready"})
    here.send({"type": "logs", "names": ["a", "b"]}, [first, second])
    here.send({"type": "drain", "limit": 3})
    os.close(first)
    os.close(second)
    messages = there.receive()
    assert [message["type"] for message, _ in messages] == ["ready", "logs", "drain"]
    assert [len(fds) for _, fds in messages] == [0, 2, 0]
    reader, writer = messages[1][1]
    os.write(writer, b"x")
    assert os.read(reader, 1) == b"x"
    os.close(reader)
    os.close(writer)
    here.close()
    there.close()


def test_a_large_message_waits_without_blocking_and_keeps_its_descriptors() -> None:
    here, there = pair()
    null = os.open(os.devnull, os.O_RDONLY)
    here.send({"type": "file", "content": "ä\udc80" * 500_000})
    here.send({"type": "logs"}, [null])
    os.close(null)
    assert here.wants_write
    received: list[tuple[Message, list[int]]] = []
    while len(received) < 2:
        here.flush()
        received += there.receive()
    assert received[0][0]["content"] == "ä\udc80" * 500_000
    assert os.fstat(received[1][1][0]).st_rdev == os.stat(os.devnull).st_rdev
    os.close(received[1][1][0])
    here.close()
    there.close()


def test_the_end_comes_after_the_last_message() -> None:
    here, there = pair()
    here.send({"type": "drained"})
    here.close()
    assert [message for message, _ in there.receive()] == [{"type": "drained"}]
    with pytest.raises(EOFError):
        there.receive()
    with pytest.raises(EOFError):
        there.send({"type": "drain"})
    there.close()


@pytest.mark.parametrize(
    "frame", [struct.pack(">I", 1 << 30), struct.pack(">I", 2) + b"[]", struct.pack(">I", 1) + b"{"]
)
def test_what_is_no_frame_is_refused(frame: bytes) -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(theirs)
    ours.sendall(frame)
    with pytest.raises(ChannelBroken):
        channel.receive()
    ours.close()
    channel.close()
