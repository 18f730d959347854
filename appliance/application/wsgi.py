"""Any WSGI application, named as MODULE:CALLABLE: where it is looked for, and what is said if it is not.

The directory it lives in comes first on Python's path, then the libraries it brings (the site-packages of its
virtual environment, .pth files included), then ours: an application gets the versions it was installed with,
also inside the frozen program, which knows no PYTHONPATH.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import site
import sys
import traceback
from typing import Any, Callable, Iterable

from appliance.application.exchange import Application, Environ
from appliance.application.visible import VisibleURL
from appliance.errors import UserError

_TARGET = re.compile(r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<name>[^\W\d][\w.]*)(?P<factory>\(\))?\Z")


def load(target: str, directory: str | None = None, libraries: str | None = None) -> Application:
    """The application that `target` names: MODULE:CALLABLE, or MODULE:FACTORY() for what a call returns.

    `directory` becomes the working directory; `libraries` are directories joined by ":". Raises UserError;
    the traceback of a module that fails goes to standard error.
    """
    parts = _TARGET.match(target)
    if parts is None:
        raise UserError(
            f"{target}: it is MODULE:CALLABLE, like mysite.wsgi:application, or MODULE:FACTORY(), like "
            "mysite:create_app() (in quotes for a shell)",
            status=2,
        )
    _enter(directory)
    _extend_path(libraries)
    application = _attribute(_imported(parts["module"]), parts["name"], target)
    if parts["factory"]:
        application = _called(application, target)
    _check(application, target)
    checked: Application = application
    return checked


def seen_as(url: VisibleURL, application: Application) -> Application:
    """The application with the address that browsers see."""

    def seen(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        url.apply(environ)
        return application(environ, start_response)

    return seen


def _enter(directory: str | None) -> None:
    if directory is None:
        return
    try:
        os.chdir(directory)
    except OSError as error:
        raise UserError(f"--chdir {directory}: {error.strerror}") from None


def _extend_path(libraries: str | None) -> None:
    known = list(sys.path)
    for directory in (libraries or "").split(os.pathsep):
        if directory and not os.path.isdir(directory):
            raise UserError(f"--pythonpath {directory}: there is no such directory")
        if directory:
            site.addsitedir(os.path.abspath(directory))
    added = [entry for entry in sys.path if entry not in known]
    here = os.getcwd()
    sys.path[:] = [here, *added, *(entry for entry in known if entry != here)]
    importlib.invalidate_caches()


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise UserError(
                f"there is no module {error.name} in {os.getcwd()} or in {sys.executable}'s own libraries; "
                "--chdir DIR says where it is, --pythonpath DIR where its libraries are"
            ) from None
        traceback.print_exc()
        raise UserError(
            f"the module {name} needs {error.name}, which is not installed for {sys.executable}; "
            "--pythonpath DIR adds the site-packages of a virtual environment"
        ) from None
    # Foreign code: whatever it raises, the administrator is told that it is not our failure.
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        raise UserError(
            f"the module {name} cannot be imported: {type(error).__name__}: {error}; "
            "the traceback above shows where it fails"
        ) from None


def _attribute(module: Any, name: str, target: str) -> Any:
    found = module
    for word in name.split("."):
        if not hasattr(found, word):
            names = [n for n in vars(module) if callable(getattr(module, n)) and not n.startswith("_")]
            where = getattr(module, "__file__", None) or "it is built in"
            raise UserError(
                f"{target}: {module.__name__} ({where}) has no {name}; callable in it: "
                f"{', '.join(sorted(names)) or 'nothing'}"
            )
        found = getattr(found, word)
    return found


def _called(factory: Any, target: str) -> Any:
    try:
        return factory()
    # Foreign code, as above.
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        raise UserError(
            f"{target} failed: {type(error).__name__}: {error}; the traceback above shows where"
        ) from None


def _check(application: Any, target: str) -> None:
    if not callable(application):
        raise UserError(f"{target} is no WSGI application: {type(application).__name__} cannot be called")
    if any(map(inspect.iscoroutinefunction, (application, type(application).__call__))):
        raise UserError(f"{target} is an ASGI application (a coroutine); FastCGI and SCGI need a WSGI one")
