"""The front process begins here: forked from the supervisor, already without privileges unless it has a
chroot to enter.

Nothing of gevent may be imported before this function runs, and nothing else before the standard library is
patched: that is why the imports stand inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.config import Configuration
    from appliance.front.options import FrontOptions


def run(
    configuration: Configuration,
    listeners: dict[str, int],
    channel_fd: int,
    logs: dict[str, int],
    options: FrontOptions,
) -> int:
    """Serve until the supervisor says drain, or goes away. Returns the exit status of the process.

    `listeners` are listening descriptors by the listener's name, `logs` descriptors by "error" and by
    accesslog.filename; the front owns them and `channel_fd` from now on.
    """
    from gevent import monkey

    monkey.patch_all()

    from appliance.front.server import Front

    front = Front(configuration, listeners, channel_fd, logs, options)
    if options.confine is not None:
        from appliance.front import confined

        confined.prepare()
        options.confine()
    return front.run()
