"""The recipe's decisions: from options and machine to a site, its checks, and what a start creates."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from appliance.errors import UserError
from appliance.supervisor.rundir import run_directory
from appliance.supervisor.source import Running
from recipes.trac import banner as start_block
from recipes.trac import passwords
from recipes.trac.accounts import choose, run_as
from recipes.trac.creation import Created, Order, create, secret_file
from recipes.trac.environments import Kind, examine, inspect, is_environment, projects_below, validate
from recipes.trac.machine import Machine, trac_package
from recipes.trac.options import INDEX, Options, expressible, valid_name
from recipes.trac.reach import READ, WRITE, first_problem, not_writable, require, require_directory
from recipes.trac.text import Project, Site, render

_NEW_LIMIT = 50 << 20
_FORM = 2 << 20  # octets that a form may have around its attachment
_NAME_LENGTH = 20
_DECIDED = (
    "TRAC_ENV",
    "TRAC_ENVS",
    "TRAC_ENV_PARENT_DIR",
    "TRAC_BASE_URL",
    "FCGIBOX_URL",
    "FCGIBOX_LOCALE",
    "FCGIBOX_PLUGINS_DIR",
)
_MOST_KIB = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class _Files:
    """Of all projects together."""

    attachment_limit: int
    sendfile: tuple[str, ...]
    databases: tuple[str, ...]


class TracPlan:
    """What the options mean here. Its text is made anew at each call, from what is there then."""

    def __init__(self, options: Options, machine: Machine) -> None:
        """Raises UserError for what cannot work, whatever is in the directories."""
        self._options = options
        self._machine = machine
        self._parent = options.parent
        if self._parent is not None and is_environment(self._parent):
            raise UserError(f"{self._parent} is itself an environment: did you mean --env {self._parent}?")
        for _, directory in options.environments:
            examine(directory)  # first of all: no advice to change the owner of what is no environment
        _refuse_nested([directory for _, directory in options.environments])
        self._account = choose(options.user, self._owned())
        self._created: list[Created] = []
        self.instance = _instance(self._parent or self._environments()[0][1], options)

    def text(self) -> str:
        """The configuration as of now. Raises UserError."""
        return render(self.site())

    def site(self) -> Site:
        """What the text says. Raises UserError."""
        options, machine = self._options, self._machine
        found = self._environments()
        projects = tuple(self._project(name, directory) for name, directory in found)
        files = self._files([directory for _, directory in found])
        return Site(
            program=machine.program,
            htdocs=machine.htdocs,
            spool=machine.spool,
            socket=str(run_directory(self.instance) / "trac.sock"),
            listen=options.listen,
            mount=options.mount,
            projects=projects,
            parent=None if self._parent is None else str(self._parent),
            others=self._others(projects),
            private=options.private,
            processes=options.processes or machine.processes,
            account=self._account if self._account.foreign else None,
            url=options.url,
            locale=options.locale,
            plugins=None if options.plugins is None else str(options.plugins),
            access_log=options.access_log,
            request_limit=min(-(-(files.attachment_limit + _FORM) // 1024), _MOST_KIB),
            databases=files.databases,
            sendfile=files.sendfile,
        )

    def check(self) -> Sequence[str]:
        """Look at everything; what a start would do. Raises UserError."""
        self._validate()
        site = self.site()
        ceiling = self._machine.ceiling(self._options.processes)
        lines = [
            f"would run as {self._account.name}, listening on {', '.join(map(str, site.listen))}",
            f"would start Trac processes as they are needed, {ceiling}",
        ]
        for _, directory in self._missing():
            file = self._password_file_of(directory)
            sample = " with sample data" if self._options.demo else ""
            lines.append(f"would create the Trac environment {directory}{sample}")
            if not passwords.has_user(file, passwords.ADMIN):
                where = "" if _terminal() else f"; it would be in {secret_file(directory)}"
                lines.append(f"would give it an administrator, admin, with a new password, in {file}{where}")
        lines += [
            f"would serve {project.directory} at {_where(site, project)}"
            for project in site.projects
            if self._parent is None or self._problem(Path(project.directory)) is None
        ]
        if not site.projects:
            lines.append(
                f"there is no environment below {site.parent} yet; one that is created appears by itself"
            )
        closed = {project.password_file: None for project in site.projects}
        if site.others is not None and site.private:
            closed[site.others.password_file] = None
        created = {str(self._password_file_of(directory)) for _, directory in self._missing()}
        lines += [
            f"login closed until it exists: {file}"
            for file in closed
            if file not in created and not os.path.isfile(file)
        ]
        lines += self._notes()
        return lines

    def prepare(self) -> None:
        """Check, then create the environments that are missing. Raises UserError."""
        self._validate()
        for variable in _DECIDED:
            os.environ.pop(
                variable, None
            )  # the Trac processes inherit our environment, and the recipe decides this
        for name, directory in self._missing():
            file = self._password_file_of(directory)
            order = Order(directory, name or directory.name, file, self._options.demo, _terminal())
            created = create(order, self._machine.program, self._account)
            self._created.append(created)
            _tell(created)

    def watched(self) -> tuple[str, ...]:
        """Where a project, a password file or another trac.ini may appear."""
        paths: dict[str, None] = {}
        if self._parent is not None:
            paths[str(self._parent)] = None
            # Not only environments: a directory may be seen a moment before it has become one.
            for name in projects_below(self._parent):
                paths[str(self._parent / name)] = None
        for _, directory in self._environments():
            paths[str(directory.parent)] = None
            paths[str(directory / "conf")] = None
        return tuple(paths)

    def banner(self, running: Running) -> str:
        """The start block."""
        site = self.site()
        administrators = {}
        for project in site.projects:
            file = Path(project.password_file)
            with contextlib.suppress(UserError):  # one that cannot be read is shown as such
                if passwords.has_user(file, passwords.ADMIN):
                    administrators[project.directory] = project.password_file
        ceiling = self._machine.ceiling(self._options.processes)
        return start_block.banner(
            site, running, administrators, ceiling, (*self._notes(), *self._first_start())
        )

    def _environments(self) -> list[tuple[str | None, Path]]:
        """The projects as of now; below a parent directory those that are environments."""
        if self._parent is None:
            return list(self._options.environments)
        return [
            (name, self._parent / name)
            for name in projects_below(self._parent)
            if valid_name(name) and is_environment(self._parent / name) and expressible(name) is None
        ]

    def _missing(self) -> list[tuple[str | None, Path]]:
        if self._parent is not None:
            return []
        return [item for item in self._environments() if examine(item[1]) is not Kind.ENVIRONMENT]

    def _owned(self) -> list[Path]:
        """The directories whose owners say who runs Trac; root's empty parent directory says nothing.

        Below a parent directory one that root made by mistake must not keep the others from being served.
        """
        found = [directory for _, directory in self._environments()]
        if self._parent is None:
            return found
        ours = [directory for directory in found if directory.stat().st_uid != 0]
        if not ours and self._parent.stat().st_uid != 0:
            return [self._parent]
        return ours or found

    def _project(self, name: str | None, directory: Path) -> Project:
        said = self._options.password_files.get(name or "") or self._options.password_file
        file = passwords.choose(said, directory, self._parent)
        return Project(name, str(directory), str(file), self._options.realm or name or directory.name)

    def _password_file_of(self, directory: Path) -> Path:
        name = next(name for name, path in self._environments() if path == directory)
        return Path(self._project(name, directory).password_file)

    def _others(self, projects: tuple[Project, ...]) -> Project | None:
        """Who may see the index, and log in to what is not known yet."""
        options = self._options
        if self._parent is None and (not options.private or projects[0].name is None):
            return None
        file = options.password_files.get(INDEX) or options.password_file
        if file is None and self._parent is not None:
            candidates = passwords.of_parent(self._parent)
            file = passwords.first_existing(candidates) or candidates[0]
        if file is None:
            files = {project.password_file for project in projects}
            if len(files) > 1:
                raise UserError(
                    "--private protects the index page too, and the projects have different password files: "
                    "say who may see it with --htpasswd /=FILE",
                    status=2,
                )
            file = Path(files.pop())
        return Project(None, str(self._parent or ""), str(file), options.realm or "Projects")

    def _files(self, directories: Sequence[Path]) -> _Files:
        """What the projects' trac.ini say about files."""
        limit = _NEW_LIMIT
        databases: dict[str, None] = {}
        paths: dict[str, None] = {}
        if self._parent is not None:
            paths[os.path.realpath(self._parent)] = None
        for directory in directories:
            for part in ("files", "htdocs", "plugins"):
                # Below the parent directory already, unless it is a link that leads out of it.
                real = os.path.realpath(directory / part)
                if not any(real.startswith(f"{path}/") for path in paths):
                    paths[real] = None
            database = directory / "db"
            # What is wrong with one of them `_validate` says; the others run.
            with contextlib.suppress(UserError):
                if is_environment(directory):
                    facts = inspect(directory)
                    limit = max(limit, facts.attachment_limit)
                    paths.update(dict.fromkeys(os.path.realpath(shared) for shared in facts.shared))
                    database = facts.database
            if self._parent is None or database.is_dir():
                databases[str(database)] = None
        if self._options.plugins is not None:
            paths[os.path.realpath(self._options.plugins)] = None
        # What the text cannot say is sent by Trac itself; an option left empty must not open everything.
        sendfile = tuple(path for path in paths if expressible(path) is None and path != "/")
        return _Files(limit, sendfile, tuple(path for path in databases if expressible(path) is None))

    def _validate(self) -> None:
        """Everything that can be known to fail. Raises UserError."""
        self._require_places()
        require(self._account, self._needs())
        if self._parent is None:
            for _, directory in self._environments():
                examine(directory)
                problem = self._problem(directory)
                if problem is not None:
                    raise UserError(problem)

    def _require_places(self) -> None:
        """What the start would create or open for writing, before anything is created."""
        log = self._options.access_log
        if log is not None and not log.startswith("/dev/"):
            require_directory(f"--access-log {log}", Path(log).parent)
        for listen in self._options.listen:
            if listen.is_path:
                require_directory(f"--listen {listen}", Path(listen.address).parent)
        who = "root" if os.geteuid() == 0 else self._account.name
        for _, directory in self._missing():
            if (closed := not_writable(directory)) is not None:
                raise UserError(
                    f"cannot create {directory}: {closed} cannot be written by {who}; "
                    f"choose another, or have root make it: install -d -o {who} {quote(str(directory))}"
                )
            file = self._password_file_of(directory)
            if passwords.has_user(file, passwords.ADMIN):
                continue
            for needed in (file, *(() if _terminal() else (secret_file(directory),))):
                if (closed := not_writable(needed)) is not None:
                    raise UserError(
                        f"cannot create {needed}, which stands beside the environment: {closed} cannot be "
                        f"written by {who}; choose a directory one level deeper: "
                        f"--env {quote(str(directory / 'trac'))}"
                    )

    def _problem(self, directory: Path) -> str | None:
        """Why an existing environment cannot be served, found out as the user who will serve it."""
        unreachable = first_problem(self._account, directory, self._needs_of(directory))
        if unreachable is not None or not is_environment(directory):
            return unreachable
        problem: str | None = run_as(self._account, lambda: validate(directory))
        return problem

    def _needs(self) -> Iterator[tuple[Path, int]]:
        yield Path(self._machine.program[0]), READ
        yield trac_package(), READ
        yield Path(self._machine.htdocs), READ
        if self._options.plugins is not None:
            if not self._options.plugins.is_dir():
                raise UserError(
                    f"--plugins-dir {self._options.plugins} is not a directory; create it or correct the path"
                )
            yield self._options.plugins, READ
        if self._parent is not None:
            yield self._parent, READ

    def _needs_of(self, directory: Path) -> Iterator[tuple[Path, int]]:
        """Of an environment, or of the empty place for one."""
        yield directory, READ
        if is_environment(directory):
            for part in ("db", "log", "files"):
                yield directory / part, WRITE
            for part in ("conf/trac.ini", "htdocs", "plugins", "templates"):
                yield directory / part, READ
            yield directory / "db" / "trac.db", WRITE

    def _notes(self) -> list[str]:
        """What does not stop the server, but somebody should know."""
        if self._parent is None:
            return []
        notes = []
        for name in projects_below(self._parent):
            directory = self._parent / name
            if not os.access(directory, os.R_OK | os.X_OK):
                notes.append(f"{directory} cannot be read by {self._account.name}; it is not served")
            elif not is_environment(directory):
                notes.append(f"{directory} is not a Trac environment; it is not served")
            elif not valid_name(name) or expressible(name) is not None:
                notes.append(
                    f"{directory} has a name that is awkward in a URL; rename it, so that people can log in"
                )
            elif (problem := self._problem(directory)) is not None:
                notes.append(problem)
        return notes

    def _first_start(self) -> list[str]:
        """What concerns new environments only."""
        notes = []
        if self._options.demo and not self._created and not self._missing():
            notes.append("--demo has done nothing: it is for an environment that is being created")
        return notes


def _refuse_nested(directories: Sequence[Path]) -> None:
    """A new environment inside another one would be among its files."""
    for inner in directories:
        for outer in directories:
            if inner != outer and inner.is_relative_to(outer) and not is_environment(inner):
                raise UserError(f"{inner} is inside {outer}; choose a directory beside it", status=2)


def _where(site: Site, project: Project) -> str:
    return f"{site.mount}/{project.name or ''}"


def _instance(directory: Path, options: Options) -> str:
    """Readable, and distinct for other data or another set of projects."""
    name = re.sub(r"[^A-Za-z0-9._]+", "-", directory.name).strip("-.")[:_NAME_LENGTH]
    projects = [f"{project}={os.path.realpath(path)}" for project, path in options.environments]
    digest = hashlib.sha256("\0".join([str(directory), *projects]).encode()).hexdigest()[:4]
    return f"trac-{name}-{digest}" if name else f"trac-{digest}"


def _terminal() -> bool:
    return sys.stdout.isatty()


def _tell(created: Created) -> None:
    """Once, and a password only to a person."""
    lines = [f"Created a Trac environment in {created.directory}"]
    reset = passwords.reset_command(str(created.password_file))
    if created.password is not None:
        lines.append(f"  log in as  {passwords.ADMIN}")
        lines.append(f"  password   {created.password}")
        lines.append(f"  It is not shown again; `{reset}` sets another.")
    elif created.secret is not None:
        lines.append(
            f"  The password of {passwords.ADMIN} is in {created.secret}; read it, then delete that file."
        )
        lines.append(f"  `{reset}` sets another.")
    else:
        lines.append(
            f"  {passwords.ADMIN} is in {created.password_file} already and keeps that password; "
            f"`{reset}` sets another."
        )
    print("\n".join(lines), flush=True)
