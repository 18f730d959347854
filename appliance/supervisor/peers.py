"""Who has accepted a connection: the inode of the other end of a unix socket, asked of the kernel.

SO_PEERCRED names whoever called listen() (that is us); sock_diag(7) knows the other end itself. Its inode is
0 as long as nobody has accepted. No privilege is needed; the answer comes without a wait.
"""

from __future__ import annotations

import os
import socket
import struct

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_UDIAG_SHOW_PEER = 4
_UNIX_DIAG_PEER = 2
_ALL_STATES = 0xFFFFFFFF
_NO_COOKIE = 0xFFFFFFFF

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_REQUEST = struct.Struct("=BBHIIIII")  # struct unix_diag_req
_ATTRIBUTE = struct.Struct("=HH")  # struct rtattr
_MESSAGE_SIZE = 16  # struct unix_diag_msg
_ANSWER_LIMIT = 4096


def peer_inode(descriptor: int) -> int | None:
    """The inode of the socket at the other end of a unix socket; 0: not accepted yet; None: the kernel does
    not tell (an old one, or one without unix_diag)."""
    try:
        inode = os.fstat(descriptor).st_ino
        with socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG
        ) as netlink:
            body = _REQUEST.pack(
                socket.AF_UNIX, 0, 0, _ALL_STATES, inode, _UDIAG_SHOW_PEER, _NO_COOKIE, _NO_COOKIE
            )
            size = _HEADER.size + len(body)
            netlink.settimeout(1.0)
            netlink.send(_HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0) + body)
            answer = netlink.recv(_ANSWER_LIMIT)
        return _peer(answer)
    except (OSError, struct.error):
        return None


def _peer(answer: bytes) -> int | None:
    size, kind, *_ = _HEADER.unpack_from(answer)
    if kind != _SOCK_DIAG_BY_FAMILY:
        return None
    position = _HEADER.size + _MESSAGE_SIZE
    while position + _ATTRIBUTE.size <= min(size, len(answer)):
        length, number = _ATTRIBUTE.unpack_from(answer, position)
        if number == _UNIX_DIAG_PEER:
            return int(struct.unpack_from("=I", answer, position + _ATTRIBUTE.size)[0])
        position += max(_ATTRIBUTE.size, (length + 3) & ~3)
    return None
