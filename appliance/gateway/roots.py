"""One file, two names: paths as the front sees them, and as an application does that has another root.

The front may be in a chroot (`server.chroot`) while applications are not, or the other way round, or each in
its own. What is configured for the server, document roots and x-sendfile-docroot, is the front's view, as in
lighttpd; what an application is told and tells is its own, and so is `docroot` of a host.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from appliance.config import PoolDefinition


@dataclass(frozen=True, slots=True)
class Roots:
    """The two root directories as the machine sees them, without a slash at the end; "" is no chroot."""

    front: str
    application: str

    def to_application(self, path: str) -> str:
        """The application's name of an absolute path of the front. What lies outside of its root has none: it
        stays as it is, and what lies above is the root."""
        real = self.front + path if path != "/" else self.front or "/"
        if not self.application:
            return real
        below = _below(real, self.application)
        if below is not None:
            return below
        return "/" if _below(self.application, real.rstrip("/")) is not None else path

    def to_front(self, path: str) -> str | None:
        """The front's name of a simplified absolute path of the application; None: it lies outside of the
        front's root."""
        return _below(self.application + path, self.front)


def _below(path: str, root: str) -> str | None:
    if path == root:
        return "/"
    return path[len(root) :] if path.startswith(f"{root}/") else None


def roots(definition: PoolDefinition, front: str | None) -> Roots | None:
    """What to translate for the processes of a pool, with the front's `server.chroot`; None: nothing.

    A host that we do not start is taken to see what the front sees, as in lighttpd, unless its `chroot` says
    where it is ("/": nowhere).
    """
    ours = normal(front)
    theirs = normal(definition.chroot) if definition.spawned or definition.chroot else ours
    return None if ours == theirs else Roots(ours, theirs)


def normal(root: str | None) -> str:
    """A root directory without a slash at its end, "" for none and for "/"."""
    return posixpath.normpath(root).rstrip("/").replace("//", "/") if root else ""
