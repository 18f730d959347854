"""Trac as a WSGI application: one environment, or several by name, with an index page.

Around trac.web.main.dispatch_request: it chooses the environment, opens it and says clearly what is wrong if
that fails, so that one broken project is one broken project; tells Trac the address browsers see; and keeps
the heap frozen. One request at a time per process is assumed.
"""

from __future__ import annotations

import io
import locale
import os
import shlex
import time
import traceback
from typing import Any, Dict, Iterable, Mapping

import trac.db_default
import trac.env
import trac.log
import trac.web.main
from trac.core import TracError
from trac.db.api import DatabaseManager
from trac.perm import PermissionCache
from trac.versioncontrol.api import RepositoryManager
from trac.web.chrome import Chrome
from trac.web.href import Href

from appliance.application import pages
from appliance.application.catalogue import Catalogue
from appliance.application.heap import Heap
from appliance.application.log import FollowingRotation, note, survive_a_full_disk
from appliance.application.projects import Projects
from appliance.application.trac_library import override_options
from appliance.application.trac_remembered import remember
from appliance.application.visible import VisibleURL, quoted, segment
from appliance.errors import UserError

Environ = Dict[str, Any]

# What most visits begin with: the path, the permission to see it, and the template that shows it. Queries,
# reports and the timeline leave traces in the session table, so of those only the template is loaded.
_WARM_PAGES: tuple[tuple[str, str, str], ...] = (
    ("/wiki", "WIKI_VIEW", "wiki_view.html"),
    ("/ticket/{ticket}", "TICKET_VIEW", "ticket.html"),
    ("/report", "REPORT_VIEW", "report_list.html"),
    ("/roadmap", "ROADMAP_VIEW", "roadmap.html"),
    ("/search", "SEARCH_VIEW", "search.html"),
    ("/chrome/common/css/trac.css", "", ""),
)
_WARM_TEMPLATES = (
    "report_view.html",
    "query.html",
    "timeline.html",
    "attachment.html",
    "wiki_edit.html",
    "error.html",
)
_WARM_LIMIT = 15.0  # seconds for all projects; the rest is opened when it is asked for


class Unavailable(Exception):
    """A project cannot be opened; `reason` is what its visitor is told."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TracApplication:
    """The WSGI application. There is one per process, because it sets up Trac for the process."""

    def __init__(
        self,
        projects: Projects,
        url: VisibleURL | None = None,
        locale_name: str = "C",
        front_sends_files: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`locale_name` is from `checked_locale`. TRAC_ENV_INDEX_TEMPLATE of `environment` is respected."""
        self._projects = projects
        self._url = url
        self._locale = locale_name
        self._index_template = (os.environ if environment is None else environment).get(
            "TRAC_ENV_INDEX_TEMPLATE"
        )
        self._catalogue = Catalogue(trac.db_default.db_version)
        self._heap = Heap()
        self._opened: dict[str, Any] = {}
        self._failures: dict[str, str] = {}
        self._current: Any = None
        self._secure_cookies = override_options(url is not None, front_sends_files)
        remember()
        survive_a_full_disk()
        trac.log.logging = FollowingRotation()
        # dispatch_request would open the environment again, and collect garbage without regard for us.
        trac.web.main.open_environment = self._handed_over
        trac.web.main.gc = self._heap

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """PEP 3333."""
        self._heap.between_requests()
        environ["SCRIPT_NAME"] = quoted(environ.get("SCRIPT_NAME", "").rstrip("/"))
        if self._url is not None:
            self._url.apply(environ)
        self._secure_cookies.https = environ["wsgi.url_scheme"] == "https"
        environ["trac.locale"] = self._locale
        if "REMOTE_USER" in environ:
            environ["REMOTE_USER"] = _unicode(environ["REMOTE_USER"])
        if self._projects.single is not None:
            return self._project(self._projects.single, environ, start_response)
        first, _, rest = environ.get("PATH_INFO", "").lstrip("/").partition("/")
        if not first:
            return self._index(environ, start_response)
        name = _unicode(first)
        path = self._projects.find(name)
        if path is None:
            page = pages.unknown_project(name, environ["SCRIPT_NAME"])
            return pages.answer(start_response, "404 Not Found", page)
        environ["SCRIPT_NAME"] += "/" + segment(name)
        environ["PATH_INFO"] = "/" + rest
        return self._project(path, environ, start_response)

    def warm(self, render: bool = True) -> TracApplication:
        """Open the environments, render some pages of each, and close their databases, all without a visitor.

        A project that cannot be opened is named in the log and stops nothing.
        """
        limit = time.monotonic() + _WARM_LIMIT
        for path in self._projects.directories():
            if time.monotonic() > limit:
                break
            try:
                env = self._open(path)
            except Unavailable:
                continue
            if render:
                self._render(path, env)
        for env in self._opened.values():
            # Environment.shutdown would also take its log away, for good.
            RepositoryManager(env).shutdown()
            DatabaseManager(env).shutdown()
        self._heap.settle()
        return self

    def _project(self, path: str, environ: Environ, start_response: Any) -> Iterable[bytes]:
        try:
            self._current = self._open(path)
        except Unavailable as error:
            page = pages.unavailable_project(error.reason)
            return pages.answer(start_response, "500 Internal Server Error", page)
        environ["trac.env_path"] = path
        if self._url is not None:
            environ["trac.base_url"] = self._url.base(environ["SCRIPT_NAME"])
            self._current.abs_href = Href(environ["trac.base_url"])  # for notifications
        try:
            result: Iterable[bytes] = trac.web.main.dispatch_request(environ, start_response)
        finally:
            self._current = None
        return result

    def _handed_over(self, env_path: str | None = None, use_cache: bool = False) -> Any:
        """Stands in for open_environment in dispatch_request."""
        return self._current

    def _open(self, path: str) -> Any:
        """The environment, from Trac's cache unless its configuration has changed. Raises Unavailable."""
        try:
            env = trac.env.open_environment(path, use_cache=True)
        # A guard of the loop: plugins run here, and anything they raise is the project's failure only.
        except (Exception, SystemExit) as error:
            reason = self._failures[path] = self._explain(path, error)
            raise Unavailable(reason) from error
        if self._opened.get(path) is not env:
            if path in self._opened:
                self._heap.environment_replaced()
            self._opened[path] = env
            if not env.base_url:
                # The first request's address takes its place; without one Trac would warn each time.
                env.abs_href = Href("")
            self._failures.pop(path, None)
            self._heap.settle()
        return env

    def _explain(self, path: str, error: BaseException) -> str:
        """Log why the environment cannot be opened and how to mend it; returns the visitor's version."""
        if isinstance(error, TracError):
            text = " ".join(str(error).split())
            if f'"{path}" upgrade' in text:
                note(f"{path} needs an upgrade; run: fcgibox trac-admin {shlex.quote(path)} upgrade")
                return "it needs an upgrade"
            note(f"{path} cannot be opened: {text}")
        else:
            trace = traceback.format_exception(type(error), error, error.__traceback__)
            note(f"{path} cannot be opened: {''.join(trace)}")
        return "it cannot be opened"

    def _index(self, environ: Environ, start_response: Any) -> list[bytes]:
        found = {
            name: self._catalogue.summary(name, path, self._failures.get(path))
            for name, path in self._projects.all().items()
        }
        titles = [summary.title for summary in found.values()]
        entries = []
        for name, summary in found.items():
            # Two of one title are told apart by their names in the URL.
            shared = titles.count(summary.title) > 1 and summary.title != name
            title = f"{summary.title} ({name})" if shared else summary.title
            href = environ["SCRIPT_NAME"] + "/" + segment(name)
            entries.append(pages.Entry(name, title, summary.description, href, summary.unavailable))
        entries.sort(key=lambda entry: entry.title.lower())
        if not self._index_template:
            return pages.answer(start_response, "200 OK", pages.index(entries))
        page = self._render_index(self._index_template, entries, environ, start_response)
        content_type = "text/xml" if self._index_template.endswith(".xml") else "text/html"
        return pages.answer(start_response, "200 OK", page, content_type)

    def _render_index(
        self, template: str, entries: list[pages.Entry], environ: Environ, start_response: Any
    ) -> str:
        """A site's own index page (TRAC_ENV_INDEX_TEMPLATE) with the data Trac gives it."""
        from jinja2 import FileSystemLoader
        from trac.util import translation
        from trac.util.datefmt import format_datetime, user_time
        from trac.util.text import jinja2env
        from trac.web.api import Request

        directory, name = os.path.split(template)
        own = os.path.join(os.path.dirname(trac.__file__), "templates")
        jinja = jinja2env(loader=FileSystemLoader([directory, own]), autoescape=True)
        jinja.globals.update(translation.functions)
        req = Request(environ, start_response)
        listed = []
        for entry in entries:
            item = {"name": entry.title, "description": entry.unavailable or entry.description}
            if entry.unavailable is None:
                item["href"] = entry.href
            listed.append(item)
        about = {"version": trac.__version__, "time": user_time(req, format_datetime)}
        return str(jinja.get_template(name).render(trac=about, req=req, projects=listed))

    def _render(self, path: str, env: Any) -> None:
        """Render pages that anybody may see, so that nothing is logged; of the others load the template."""
        anonymous = PermissionCache(env, "anonymous")
        chrome = Chrome(env)
        templates = list(_WARM_TEMPLATES)
        ticket = env.db_query("SELECT max(id) FROM ticket")[0][0]
        for page, permission, template in _WARM_PAGES:
            if (not permission or permission in anonymous) and (ticket or "{ticket}" not in page):
                self._visit(path, page.format(ticket=ticket))
            else:
                templates.append(template)
        for template in templates:
            try:
                chrome.load_template(template)
            except TracError:
                continue  # a disabled component takes its templates with it

    def _visit(self, path: str, page: str) -> None:
        """One request of nobody; what it answers does not matter."""
        environ: Environ = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": page,
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.input": io.BytesIO(),
            "wsgi.url_scheme": "http",
            "wsgi.run_once": False,
            "trac.locale": self._locale,
        }
        result = self._project(path, environ, lambda *_: _swallow)
        close = getattr(result, "close", None)
        if close is not None:
            close()


def _swallow(data: bytes) -> None:
    """The write() of a visit whose answer nobody reads."""


def _unicode(octets: str) -> str:
    """What PEP 3333 gives as Latin-1 is UTF-8, or else really Latin-1 (an old browser's password dialog)."""
    try:
        return octets.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return octets


def checked_locale(name: str | None) -> str:
    """A locale that exists: `name`, or one with UTF-8 and no language. Raises UserError.

    Trac sets the locale for each request; one that is not installed would turn every page into a traceback.
    """
    for candidate in [name] if name else ["C.UTF-8", "C"]:
        try:
            locale.setlocale(locale.LC_ALL, candidate)
        except (locale.Error, UnicodeError):
            continue
        return candidate
    raise UserError(
        f"the locale {name} is not installed; `locale -a` lists those that are, "
        "`dpkg-reconfigure locales` adds one"
    )
