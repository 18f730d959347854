"""Templates under test, run as `python -m tests.application.templates KIND` with FCGIBOX_TEMPLATE set."""

from __future__ import annotations

import gc
import json
import os
import resource
import socket
import sys
import threading
from collections.abc import Iterable

from appliance.application import template
from appliance.application.exchange import Application
from appliance.application.lifetime import Stop
from appliance.application.server import Server
from appliance.errors import UserError
from tests.application.applications import Environ, Start, by_path


def application(environ: Environ, start: Start) -> Iterable[bytes]:
    """The test applications, and how much is frozen."""
    if environ["PATH_INFO"] != "/frozen":
        return by_path(environ, start)
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"count": gc.get_freeze_count()}).encode()]


def warm_echo() -> Application:
    """One that can be forked."""
    return application


def warm_limited() -> Application:
    """One that may not fork: the limit on processes binds everybody but root."""
    if os.geteuid() == 0:
        os.setresuid(65534, 65534, 65534)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    return application


def warm_fails() -> Application:
    """One that cannot even be warmed."""
    raise UserError("it cannot be warmed")


def warm_threads() -> Application:
    """One whose plugin has started a thread."""
    threading.Thread(target=threading.Event().wait, name="busy-body", daemon=True).start()
    return application


def serve(warmed: Application, listener: socket.socket, stop: Stop) -> None:
    """Serve it over FastCGI."""
    Server(warmed, listener, "fcgi", stop).run()


if __name__ == "__main__":
    control = template.control_socket(os.environ)
    assert control is not None
    try:
        template.run(control, globals()[f"warm_{sys.argv[1]}"], serve)
    except UserError as error:
        print(f"fcgibox: {error}", file=sys.stderr)
        sys.exit(error.status)
