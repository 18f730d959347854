"""The hash formats of password files: recognising, checking, making.

bcrypt, $1$, $5$, $6$ and DES crypt are computed by the system's libcrypt (crypt_r is thread-safe, and
ctypes gives the GIL away while it runs); Apache's apr1 and {SHA} are computed here. Rules: every comparison
takes the same time wherever the texts differ, and no line of a file can make one check take minutes
(`MAXIMUM_COST`, `MAXIMUM_ROUNDS`). A text that looks like a hash we do not know is never taken for a
password in plain text: the hash would be one.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import ctypes
import enum
import functools
import hashlib
import hmac
import os
import re
from dataclasses import dataclass

from appliance.errors import UserError

MAXIMUM_PASSWORD = 511  # octets: libxcrypt refuses more; nothing longer can be right
MAXIMUM_COST = 16  # bcrypt: each step doubles the time; 16 is about 3 s of one core
MAXIMUM_ROUNDS = 1_000_000  # $5$ and $6$: about 0.6 s of one core
DEFAULT_COST = 12
BCRYPT_OCTETS = 72  # bcrypt ignores what comes after

_STATE_OCTETS = 256 * 1024  # struct crypt_data: 32 KiB in libxcrypt, 128 KiB in old glibc
_ALPHABET = "./0-9A-Za-z"
_BCRYPT = re.compile(rf"\$2[aby]\$(\d\d)\$[{_ALPHABET}]{{53}}")
_SHA2 = re.compile(
    rf"\$(?:5\$(?:rounds=(\d+)\$)?[^$:]{{0,16}}\$[{_ALPHABET}]{{43}}|6\$(?:rounds=(\d+)\$)?[^$:]{{0,16}}\$[{_ALPHABET}]{{86}})"
)
_MD5 = re.compile(rf"\$(apr1|1)\$[^$:]{{0,8}}\$[{_ALPHABET}]{{22}}")
_DES = re.compile(rf"[{_ALPHABET}]{{13}}")
_SHA1 = re.compile(r"\{SHA\}([A-Za-z0-9+/]{27}=)")
# What /etc/shadow and its tools write for "nobody logs in as this", and prefixes of other hash formats.
_LOCKED = ("x", "*", "!")
_FOREIGN = ("$", "{", "*", "!", "_")


class FormatError(ValueError):
    """A stored password that cannot be checked; the message says why, and never quotes it."""


class Kind(enum.Enum):
    """The formats, by the names people know them under."""

    BCRYPT = "bcrypt"
    APR1 = "apr1"
    SHA1 = "{SHA}"
    MD5 = "$1$"
    SHA256 = "$5$"
    SHA512 = "$6$"
    DES = "DES crypt"
    PLAIN = "plain text"


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored password. Entries of equal kind and cost take equally long to check."""

    kind: Kind
    cost: int  # bcrypt: the exponent; $5$ and $6$: rounds; else 0
    text: str


def parse(stored: str) -> Entry:
    """Recognise what stands after `user:` in an htpasswd file.

    Fields after a further colon are ignored when the first is a hash, as Apache does. Raises FormatError.
    """
    first = stored.split(":", 1)[0].rstrip()
    if match := _BCRYPT.fullmatch(first):
        cost = int(match[1])
        if not 4 <= cost <= MAXIMUM_COST:
            raise FormatError(f"its bcrypt cost {cost} is outside 4 to {MAXIMUM_COST}")
        return Entry(Kind.BCRYPT, cost, first)
    if match := _SHA2.fullmatch(first):
        given = match[1] or match[2]
        rounds = int(given) if given else 5000
        if not 1000 <= rounds <= MAXIMUM_ROUNDS:
            raise FormatError(f"its rounds={given} is outside 1000 to {MAXIMUM_ROUNDS}")
        return Entry(Kind.SHA256 if first[1] == "5" else Kind.SHA512, rounds, first)
    if match := _MD5.fullmatch(first):
        return Entry(Kind.APR1 if match[1] == "apr1" else Kind.MD5, 0, first)
    if _SHA1.fullmatch(first):
        return Entry(Kind.SHA1, 0, first)
    if _DES.fullmatch(first):
        return Entry(Kind.DES, 0, first)
    if not first or first in _LOCKED:
        raise FormatError("it has no password, so nobody can log in as that user")
    if stored.startswith(_FOREIGN):
        raise FormatError(
            "its hash is damaged or of an unknown format"
            " (known: bcrypt, apr1, {SHA}, $1$, $5$, $6$, DES crypt)"
        )
    return plain(stored)


def plain(stored: str) -> Entry:
    """A password that stands in the file as it is."""
    return Entry(Kind.PLAIN, 0, stored)


def matches(entry: Entry, password: bytes) -> bool:
    """Whether `password` is the one that was stored; to be called in a worker thread.

    Raises FormatError if this machine's libcrypt does not know the format.
    """
    if not password or len(password) > MAXIMUM_PASSWORD or b"\0" in password:
        return False
    stored = entry.text.encode("utf-8", "surrogateescape")
    if entry.kind is Kind.PLAIN:
        # Digests of both, so that not even the length shows in the time.
        return hmac.compare_digest(hashlib.sha256(stored).digest(), hashlib.sha256(password).digest())
    if entry.kind is Kind.SHA1:
        digest = hashlib.sha1(password, usedforsecurity=False).digest()
        return hmac.compare_digest(b"{SHA}" + base64.b64encode(digest), stored)
    if entry.kind is Kind.APR1:
        return hmac.compare_digest(_apr1(password, stored.split(b"$")[2]), stored)
    return hmac.compare_digest(_crypt(password, stored), stored)


def hash_password(password: str, cost: int = DEFAULT_COST) -> str:
    """The bcrypt hash of a new password, with the prefix `$2y$` that every server reads. Takes 0.2 s.

    Raises UserError for a password that could not be used: empty, over 72 octets, or with control characters,
    which a browser cannot send (RFC 7617 section 2).
    """
    octets = new_password(password)
    # bcrypt's base64 has the bit order of the usual one and another alphabet.
    salt = base64.b64encode(os.urandom(16)).rstrip(b"=").translate(_TO_BCRYPT)
    try:
        return _crypt(octets, b"$2y$%02d$%s" % (cost, salt)).decode("ascii")
    except FormatError as error:
        raise UserError(f"cannot make a bcrypt hash: {error}") from None


def new_password(password: str) -> bytes:
    """The octets of a password that can be stored as bcrypt. Raises UserError."""
    try:
        octets = password.encode()
    except UnicodeEncodeError:
        raise UserError("the password is not UTF-8 text; type it in a terminal that uses UTF-8") from None
    if not octets:
        raise UserError("the password is empty; give at least one character")
    if has_control(password):
        raise UserError("the password contains a control character, which no browser can send; leave it out")
    if len(octets) > BCRYPT_OCTETS:
        raise UserError(
            f"the password has {len(octets)} octets; bcrypt uses the first {BCRYPT_OCTETS} only and would"
            " accept anything that begins alike: choose a shorter one"
        )
    return octets


def has_control(text: str) -> bool:
    """Whether there is a control character in it (RFC 7617 section 2 allows none in names and passwords)."""
    return any(character < " " or "\x7f" <= character <= "\x9f" for character in text)


_TO_BCRYPT = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
)


def load_library() -> None:
    """Load libcrypt now, for a process that will not find it later; if there is none, `matches` says so."""
    with contextlib.suppress(FormatError):
        _libcrypt()


@functools.cache
def _libcrypt() -> ctypes.CDLL:
    library = _open_libcrypt()
    try:
        library.crypt_r.restype = ctypes.c_char_p
        library.crypt_r.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
    except AttributeError:
        reason = "this machine has no libcrypt; install it (Debian: apt-get install libcrypt1)"
        raise FormatError(reason) from None
    return library


def _open_libcrypt() -> ctypes.CDLL:
    # The names stand as literals in the calls: that is what PyInstaller looks for when it collects libraries.
    try:
        return ctypes.CDLL("libcrypt.so.1")
    except OSError:
        pass
    try:
        return ctypes.CDLL("libcrypt.so.2")
    except OSError:
        return ctypes.CDLL(None)  # musl has crypt_r in its libc


def _crypt(password: bytes, setting: bytes) -> bytes:
    state = ctypes.create_string_buffer(_STATE_OCTETS)
    made: bytes | None = _libcrypt().crypt_r(password, setting, state)
    if made is None or made.startswith(b"*"):
        # crypt(5): a failure token, never equal to the setting.
        name = setting[: setting.find(b"$", 1) + 1].decode("ascii", "replace") or "DES crypt"
        raise FormatError(f"this machine's libcrypt cannot compute {name}")
    return made


def _apr1(password: bytes, salt: bytes) -> bytes:
    """Apache's variant of MD5 crypt (apr_md5.c describes it): as $1$ with another prefix."""
    md5 = functools.partial(hashlib.md5, usedforsecurity=False)
    length = len(password)
    inner = md5(password + salt + password).digest()
    start = password + b"$apr1$" + salt + (inner * (length // 16 + 1))[:length]
    while length:
        start += b"\0" if length & 1 else password[:1]
        length >>= 1
    digest = md5(start).digest()
    for turn in range(1000):
        middle = (salt if turn % 3 else b"") + (password if turn % 7 else b"")
        digest = md5(password + middle + digest if turn & 1 else digest + middle + password).digest()
    return b"$apr1$%s$%s" % (salt, _apr1_text(digest))


def _apr1_text(digest: bytes) -> bytes:
    alphabet = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    text = bytearray()
    groups = [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)]
    for high, middle, low in groups:
        value = digest[high] << 16 | digest[middle] << 8 | digest[low]
        text += bytes(alphabet[value >> shift & 63] for shift in (0, 6, 12, 18))
    text += bytes((alphabet[digest[11] & 63], alphabet[digest[11] >> 6]))
    return bytes(text)


def decode_basic(token: str) -> tuple[bytes, bytes] | None:
    """User and password of a Basic token (RFC 7617 section 2), as sent. None: it is not one."""
    # Some clients leave the padding out, and lighttpd accepts that.
    digits = token.rstrip("=")
    try:
        octets = binascii.a2b_base64(digits + "=" * (-len(digits) % 4), strict_mode=True)
    except ValueError:
        return None
    user, colon, password = octets.partition(b":")
    return (user, password) if colon else None
