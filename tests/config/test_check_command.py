"""`fcgibox check`: run as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run(
        [sys.executable, "-m", "appliance", "check", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_fine_configuration_is_summarised(tmp_path: Path) -> None:
    path = tmp_path / "box.conf"
    path.write_text(
        """
        server.modules = ( "mod_fastcgi", "mod_auth", "mod_authn_file" )
        server.bind = "127.0.0.1"
        server.port = 8000
        server.event-handler = "poll"
        auth.backend = "htpasswd"
        auth.backend.htpasswd.userfile = "/srv/passwords"
        fastcgi.server = (
            ".php" => (( "socket" => "/run/php.sock", "bin-path" => "/usr/bin/php-cgi", "max-procs" => 2,
                         "bin-environment" => ( "PHP_FCGI_CHILDREN" => "3" ) )),
            "/app" => (( "host" => "10.0.0.1", "port" => 9000 )) )
        $SERVER["socket"] == "[::1]" { }
        """
    )
    done = check(str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{path}: fine",
        "  listens on      127.0.0.1:8000",
        "                  [::1]:8000",
        "  pools           php: fastcgi at unix:/run/php.sock, 2 × /usr/bin/php-cgi, "
        "3 requests at once in each process",
        "                  app: fastcgi at 10.0.0.1:9000",
        "  password files  /srv/passwords",
        f"  notices         {path}:5:9: server.event-handler has no effect here: "
        "one event loop with its own ways is built in",
    ]


def test_errors_go_to_stderr_with_status_1(tmp_path: Path) -> None:
    path = tmp_path / "box.conf"
    path.write_text('server.prot = 80\ninclude_shell "true"\n')
    done = check(str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert f'{path}:1:1: error: there is no option "server.prot"' in done.stderr
    assert f"{path}:2:15: error: include_shell is not allowed" in done.stderr
    assert done.stderr.endswith(f"\n{path}: 2 errors\n")
    path.write_text('include_shell "true"\n')
    assert check("--allow-shell", str(path)).returncode == 0


def test_a_missing_file_and_a_wrong_use(tmp_path: Path) -> None:
    done = check(str(tmp_path / "none.conf"))
    assert done.returncode == 1
    assert "the configuration cannot be read: No such file or directory" in done.stderr
    assert check().returncode == 2
