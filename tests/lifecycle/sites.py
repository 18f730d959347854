"""Configurations with one pool: php-cgi at /note.php and /sleep.php, or the scripted program at /app."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.box import Box
from tests.lifecycle.load import write_script

SCRIPTED = Path(__file__).parent.parent / "applications" / "scripted.py"
SLEEP = '<?php usleep((int)($_GET["ms"] ?? 0) * 1000); echo getmypid();'


def serve_php(box: Box, place: Path, children: int = 0, requests: int = 0, keys: str = "") -> Path:
    """The pool "php"; the ledger that /note.php writes."""
    root, ledger = place / "www", place / "ledger"
    root.mkdir(exist_ok=True)
    write_script(root / "note.php", ledger)
    (root / "sleep.php").write_text(SLEEP)
    box.serve(f"""
        server.modules = ( "mod_fastcgi" )
        server.document-root = "{root}"
        fastcgi.server = ( ".php" => (( "socket" => "{place}/php.sock", "bin-path" => "/usr/bin/php-cgi",
            "bin-environment" => ( "PHP_FCGI_CHILDREN" => "{children}",
                "PHP_FCGI_MAX_REQUESTS" => "{requests}" ), {keys} )) )
        """)
    return ledger


def serve_scripted(box: Box, place: Path, keys: str = "", program: str | None = None) -> Path:
    """The pool "app" of one process with one slot, unless the keys say more; the program's file."""
    (place / "www").mkdir(exist_ok=True)
    path = place / "program.py"
    if program is None:
        shutil.copy(SCRIPTED, path)
    else:
        path.write_text(program)
    path.chmod(0o755)
    box.serve(f"""
        server.modules = ( "mod_fastcgi" )
        server.document-root = "{place}/www"
        fastcgi.server = ( "/app" => (( "socket" => "{place}/app.sock", "bin-path" => "{path}",
            "slots" => 1, "check-local" => "disable", "min-procs" => 1, "max-procs" => 1, {keys} )) )
        """)
    return path
