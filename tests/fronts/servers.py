"""`Nginx` and `Apache`: real ones, from a configuration of our own on a free port, never as a service.

The verbs are those of `Box` and `Lighttpd`. Started by root, their workers are www-data, as on Debian.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Self

from tests.box import clean_environment
from tests.server import Server

WEB_USER = "www-data"
APACHE_MODULES = Path("/usr/lib/apache2/modules")

_NGINX = """\
daemon off;
pid {directory}/nginx.pid;
error_log stderr notice;
worker_processes 1;
{user}
events {{ }}
http {{
    access_log off;
    client_max_body_size 50m;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
{text}
}}
"""

_APACHE = """\
ServerRoot {directory}
DefaultRuntimeDir {directory}
PidFile {directory}/apache.pid
ErrorLog {log}
ServerName localhost
Listen 127.0.0.1:{port}
{user}
{modules}
TypesConfig /dev/null
FcgidIPCDir {directory}/fcgid
FcgidProcessTableFile {directory}/fcgid.shm
AddHandler fcgid-script .fcgi
{text}
"""
_APACHE_MODULES = (
    *("mpm_event", "authz_core", "authn_core", "authn_file", "authz_user", "auth_basic"),
    *("mime", "alias", "fcgid"),
)


def _executable(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert found, f"{name} is not installed: build/install-packages test"
    return found


class Nginx(Server):
    """One nginx with one worker process."""

    def serve(self, server: str, outside: str = "") -> Self:
        """Serve the inside of a `server` block; `outside` (upstreams) stands before it."""
        self._launch(self._words(server, outside), clean_environment())
        self._wait_listening()
        return self

    def check(self, server: str, outside: str = "") -> subprocess.CompletedProcess[str]:
        """What it says about a configuration, without running it."""
        return _run(*self._words(server, outside), "-t")

    def _words(self, server: str, outside: str) -> list[str]:
        user = f"user {WEB_USER};" if os.geteuid() == 0 else ""
        text = f"{outside}\nserver {{\nlisten 127.0.0.1:{self.port};\n{server}\n}}"
        path = self.directory / "nginx.conf"
        path.write_text(_NGINX.format(directory=self.directory, user=user, text=text), "utf-8")
        return [_executable("nginx"), "-e", "stderr", "-c", str(path)]


class Apache(Server):
    """One Apache with mod_fcgid as Debian configures it."""

    def serve(self, text: str) -> Self:
        """Serve with these lines at the end of the configuration."""
        self._launch([*self._words(text), "-DFOREGROUND"], clean_environment())
        self._wait_listening()
        return self

    def check(self, text: str) -> subprocess.CompletedProcess[str]:
        """What it says about a configuration, without running it."""
        return _run(*self._words(text), "-t")

    def _words(self, text: str) -> list[str]:
        modules = (f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so" for name in _APACHE_MODULES)
        path = self.directory / "apache.conf"
        configuration = _APACHE.format(
            directory=self.directory,
            log=self.log_path,
            port=self.port,
            user=f"User {WEB_USER}\nGroup {WEB_USER}" if os.geteuid() == 0 else "",
            modules="\n".join(modules),
            text=text,
        )
        path.write_text(configuration, "utf-8")
        return [_executable("apache2"), "-f", str(path)]


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, env=clean_environment(), timeout=30)
