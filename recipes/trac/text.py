"""From what is decided to the configuration text: a pure function.

The text is lighttpd's language and must mean the same to a real lighttpd (`lighttpd -tt` accepts it; keys
of ours it passes over). Facts that shape it: conditions match whole path segments, where lighttpd's own
prefix match would give /tracfoo to Trac; the application at the root needs `fix-root-scriptname`;
`mod_authn_file` must be loaded before the gateway, or every login is a 500; `bin-path` is split at blanks
and knows no quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from recipes.trac.accounts import Account
from recipes.trac.listen import Listen

MIME_TYPES = (
    (".css", "text/css; charset=utf-8"),
    (".js", "text/javascript; charset=utf-8"),
    (".html", "text/html; charset=utf-8"),
    (".txt", "text/plain; charset=utf-8"),
    (".json", "application/json"),
    (".png", "image/png"),
    (".gif", "image/gif"),
    (".jpg", "image/jpeg"),
    (".svg", "image/svg+xml"),
    (".ico", "image/x-icon"),
    (".woff", "font/woff"),
    (".woff2", "font/woff2"),
    ("", "application/octet-stream"),
)
"""What Trac's htdocs hold, and what plugins put beside it. The empty suffix is everything else."""


@dataclass(frozen=True, slots=True)
class Project:
    """One project; the name is None where it is the whole site."""

    name: str | None
    directory: str
    password_file: str
    realm: str


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that the text says."""

    program: tuple[str, ...]
    htdocs: str
    spool: str
    socket: str
    listen: tuple[Listen, ...]
    mount: str
    """"" or "/prefix"."""
    projects: tuple[Project, ...]
    parent: str | None
    others: Project | None
    """Login of the index page, and of projects that appear before the next reload; None: there are none."""
    private: bool
    processes: tuple[int, int]
    account: Account | None
    """The user to change to; None: stay who we are."""
    url: str | None
    locale: str | None
    plugins: str | None
    access_log: str | None
    request_limit: int
    """KiB."""
    databases: tuple[str, ...]
    """Directories of the projects' databases, which nobody else may serve meanwhile."""
    sendfile: tuple[str, ...]
    """Directories whose files Trac may have sent by the server."""


def render(site: Site) -> str:
    """The configuration."""
    parts = (_head(site), _server(site), _files(site), _logins(site), _gateway(site))
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def quoted(value: str) -> str:
    """A string; lighttpd knows `\\"` and takes every other backslash as it stands."""
    return '"' + value.replace('"', '\\"') + '"'


def literal(value: str) -> str:
    """A regular expression that matches this text; brackets, because backslashes are ambiguous."""
    return re.sub(r"[.+*?(){}|$]", lambda match: f"[{match[0]}]", value)


def bin_path(program: tuple[str, ...], arguments: tuple[str, ...]) -> str:
    """The command; a blank within a word goes through env(1), whose -S knows one without showing it."""
    if not any(" " in word for word in program):
        return " ".join((*program, *arguments))
    hidden = r"\_".join('"' + word.replace(" ", r"\_") + '"' for word in program)
    return " ".join((f"/usr/bin/env -S{hidden}", *arguments))


def _head(site: Site) -> Iterator[str]:
    yield "# Trac behind fcgibox, made by `fcgibox recipe trac`."
    yield "# `fcgibox serve FILE` runs it. So does a real lighttpd: it passes over the options"
    yield "# marked (fcgibox), and needs a directory that belongs to the user it runs as for"
    yield f"# {site.socket}"


def _server(site: Site) -> Iterator[str]:
    modules = ["mod_alias", "mod_auth", "mod_authn_file", "mod_fastcgi"]
    if site.access_log is not None:
        modules.append("mod_accesslog")
    yield f"server.modules = ( {', '.join(map(quoted, modules))} )"
    yield ""
    yield "# Trac's public files: whatever is asked for, there is nothing else to be had."
    yield f"server.document-root = {quoted(site.htdocs)}"
    first, *more = site.listen
    yield f"server.bind = {quoted(first.address if first.is_path else first.host)}"
    if not first.is_path:
        yield f"server.port = {first.port}"
    for listen in more:
        yield f'$SERVER["socket"] == {quoted(listen.address if listen.is_path else str(listen))} {{ }}'
    if any(listen.is_path for listen in site.listen):
        yield "# As a port of this machine would be: the server in front may run as any user. The directory"
        yield "# of the socket can keep others out."
        yield 'server.socket-perms = "0666"'
    if site.account is not None:
        yield ""
        yield "# Root only opens the sockets."
        yield f"server.username = {quoted(site.account.name)}"
        yield f"server.groupname = {quoted(site.account.group)}"
    yield ""
    yield "# KiB: the largest attachment of any project, and the form around it."
    yield f"server.max-request-size = {site.request_limit}"
    yield f"server.upload-dirs = ( {quoted(site.spool)} )"
    if site.access_log is not None:
        yield f"accesslog.filename = {quoted(site.access_log)}"


def _files(site: Site) -> Iterator[str]:
    yield "# Style sheets, scripts and images of Trac itself are served without asking Trac."
    yield 'server.follow-symlink = "disable"'
    yield 'fcgibox.dot-files = "deny"   # (fcgibox)'
    yield "mimetype.assign = ("
    yield from (f"  {quoted(suffix)} => {quoted(kind)}," for suffix, kind in MIME_TYPES)
    yield ")"
    yield "alias.url = ("
    for project in site.projects:
        yield f"  {quoted(_path(site, project) + '/chrome/common/')} => {quoted(site.htdocs + '/')},"
    yield ")"


def _logins(site: Site) -> Iterator[str]:
    if site.private:
        yield "# A password for every page. A missing file closes what it protects; it is read again"
    else:
        yield "# A password for the login alone. A missing file closes its login; it is read again"
    yield "# when it changes. `fcgibox passwd FILE USER` writes it."
    if site.others is None:
        for project in site.projects:
            yield from _block("=~", _protected(site, project), _requirement(project))
        return
    logins = f"^{literal(site.mount)}/[^/]+/login(/|$)"
    yield f'$HTTP["url"] =~ {quoted(_below(site.mount) if site.private else logins)} {{'
    yield "  # The index, and projects that this text does not know yet."
    yield from _indented(_requirement(site.others))
    for project in site.projects:
        if (project.password_file, project.realm) != (site.others.password_file, site.others.realm):
            yield from _indented(_block("=~", _below(_path(site, project)), _requirement(project)))
    yield "}"


def _protected(site: Site, project: Project) -> str:
    return _below(_path(site, project) + ("" if site.private else "/login"))


def _requirement(project: Project) -> Iterator[str]:
    yield 'auth.backend = "htpasswd"'
    yield f"auth.backend.htpasswd.userfile = {quoted(project.password_file)}"
    yield (
        'auth.require = ( "/" => ( "method" => "basic", '
        f'"realm" => {quoted(project.realm)}, "require" => "valid-user" ) )'
    )


def _gateway(site: Site) -> Iterator[str]:
    rule = [
        f"fastcgi.server = ( {quoted(site.mount or '/')} => ( {quoted('trac')} => (",
        *_indented(_pool(site)),
        ") ) )",
    ]
    paths = [literal(_path(site, project)) for project in site.projects]
    if paths:
        together = paths[0] if len(paths) == 1 else f"({'|'.join(paths)})"
        rule = list(_block("!~", f"^{together}/chrome/common/", rule))
    # Nested, not joined by "else": lighttpd refuses an else after a condition that stands elsewhere too.
    yield from _block("=~", _below(site.mount), rule) if site.mount else rule


def _pool(site: Site) -> Iterator[str]:
    yield f'"socket" => {quoted(site.socket)},'
    yield f'"bin-path" => {quoted(bin_path(site.program, ("app", "trac")))},'
    yield '"bin-environment" => ('
    yield from (f"  {quoted(name)} => {quoted(value)}," for name, value in environment(site))
    yield "),"
    yield '"check-local" => "disable",'
    if not site.mount:
        yield '"fix-root-scriptname" => "enable",'
    yield f'"min-procs" => {site.processes[0]},'
    yield f'"max-procs" => {site.processes[1]},'
    yield "# Attachments and the files of projects and plugins: Trac names them, the server sends them."
    yield '"x-sendfile" => "enable",'
    yield '"x-sendfile-docroot" => ('
    yield from (f"  {quoted(path)}," for path in site.sendfile)
    yield "),"
    yield "# (fcgibox) One request at a time in each process, all forked from one that has Trac loaded;"
    yield "# nobody else may serve these databases meanwhile."
    yield '"slots" => 1,'
    yield '"template" => "enable",'
    yield "# (fcgibox) Loading Trac takes seconds: browsers that come meanwhile get a page that comes again."
    yield '"waiting-page" => "enable",'
    if site.databases:
        yield f'"exclusive" => ( {", ".join(map(quoted, site.databases))} ),'


def environment(site: Site) -> Iterator[tuple[str, str]]:
    """What the Trac processes are told."""
    if site.parent is not None:
        yield "TRAC_ENV_PARENT_DIR", site.parent
    elif len(site.projects) == 1 and site.projects[0].name is None:
        yield "TRAC_ENV", site.projects[0].directory
    else:
        yield "TRAC_ENVS", ":".join(f"{project.name}={project.directory}" for project in site.projects)
    if site.account is not None:
        # Git gives up when it may not look into the home directory.
        yield "HOME", site.account.home
    yield "FCGIBOX_XSENDFILE", ":".join(site.sendfile)
    for name, value in (
        ("FCGIBOX_URL", site.url),
        ("FCGIBOX_LOCALE", site.locale),
        ("FCGIBOX_PLUGINS_DIR", site.plugins),
    ):
        if value is not None:
            yield name, value


def _path(site: Site, project: Project) -> str:
    return site.mount if project.name is None else f"{site.mount}/{project.name}"


def _below(path: str) -> str:
    """The regular expression for a path and everything below it; a longer name is not below."""
    return f"^{literal(path)}(/|$)" if path else "^/"


def _block(operator: str, expression: str, lines: Iterable[str]) -> Iterator[str]:
    yield f'$HTTP["url"] {operator} {quoted(expression)} {{'
    yield from _indented(lines)
    yield "}"


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
