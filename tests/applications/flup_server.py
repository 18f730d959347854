"""flup's own FastCGI server: a thread for each request, on the socket that is descriptor 0."""

from __future__ import annotations

from flup.server.fcgi import WSGIServer
from questions import application  # type: ignore[import-not-found]

if __name__ == "__main__":
    WSGIServer(application).run()
