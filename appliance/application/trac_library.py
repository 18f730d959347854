"""Trac as a library: how it is imported, which plugins come with it, and what is overridden in this process.

Nothing is ever written to an environment's trac.ini. An option that has to be different here is replaced on
the class that declares it, where every environment of this process looks it up; the file and the
configuration object stay what they are, so that a save from Trac's own administration pages does not make our
value permanent.
"""

from __future__ import annotations

import glob
import os
import stat
import sys
import warnings
from typing import Any, MutableMapping

from appliance.application.log import note
from appliance.errors import UserError

PLUGINS_VARIABLE = "FCGIBOX_PLUGINS_DIR"


def prepare(environment: MutableMapping[str, str]) -> None:
    """To be called before Trac is imported. Sets PYTHON_EGG_CACHE to a directory of ours unless it is set."""
    # Trac 1.6 cannot do without pkg_resources, and its user can do nothing about the warning.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
    if not environment.get("PYTHON_EGG_CACHE"):
        cache = _egg_cache(environment)
        if cache is not None:
            environment["PYTHON_EGG_CACHE"] = cache


def _egg_cache(environment: MutableMapping[str, str]) -> str | None:
    """A directory that only we can write to: what is unpacked there is executed."""
    homes = [environment.get("XDG_CACHE_HOME"), os.path.expanduser("~/.cache")]
    candidates = [os.path.join(home, "fcgibox", "eggs") for home in homes if home and os.path.isabs(home)]
    candidates.append(f"/tmp/fcgibox-eggs-{os.geteuid()}")
    for candidate in candidates:
        try:
            os.makedirs(candidate, mode=0o700, exist_ok=True)
            status = os.lstat(candidate)
        except OSError:
            continue
        private = (
            stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022
        )
        if private and os.access(candidate, os.W_OK):
            return candidate
    return None


def plugin_directories(option: str | None, environment: MutableMapping[str, str]) -> list[str]:
    """The directories of --plugins-dir or FCGIBOX_PLUGINS_DIR, joined by ":". Raises UserError."""
    text = option if option is not None else environment.get(PLUGINS_VARIABLE, "")
    directories = [os.path.abspath(word) for word in text.split(os.pathsep) if word]
    for directory in directories:
        if not os.path.isdir(directory):
            raise UserError(f"--plugins-dir {directory}: there is no such directory")
    return directories


def install_plugins(directories: list[str]) -> None:
    """Give every environment the plugins of `directories`: .py files, .egg files, and unpacked wheels.

    To be called once, before the first environment is opened. The plugins are enabled unless [components] of
    an environment says otherwise, as if they were in its own plugins directory.
    """
    import pkg_resources
    from trac import env as trac_env
    from trac import loader

    for directory in directories:
        if directory not in sys.path:
            sys.path.insert(0, directory)
        pkg_resources.working_set.add_entry(directory)
    load_own = loader.load_components
    loaders = (loader.load_eggs("trac.plugins"), loader.load_py_files())

    def load_components(env: Any, extra_path: Any = None) -> None:
        load_own(env, extra_path)
        for directory in directories:
            for load in loaders:
                load(env, [directory], auto_enable=directory)
            for entry in pkg_resources.working_set.iter_entry_points("trac.plugins"):
                if entry.dist is not None and entry.dist.location == directory:
                    _enable(env, entry.module_name)
        _name_shadowed(env, [env.plugins_dir, *(extra_path or ()), *directories])

    trac_env.load_components = load_components


def _enable(env: Any, module: str) -> None:
    if env.is_component_enabled(module) is None:
        env.enable_component(module)


def _name_shadowed(env: Any, directories: list[str]) -> None:
    """Trac counts a plugin file as loaded when any module has its name; its code then never runs."""
    for directory in directories:
        for path in sorted(glob.glob(os.path.join(glob.escape(directory), "*.py"))):
            module = sys.modules.get(os.path.basename(path)[:-3])
            origin = getattr(module, "__file__", None)
            if module is not None and (origin is None or not _same_file(origin, path)):
                note(
                    f"the plugin {path} is not loaded: {origin or 'a built-in module'} has the same name "
                    "in this process; rename the plugin's file"
                )


def _same_file(first: str, second: str) -> bool:
    # Several environments often have the same plugin: then the code of the first serves them all, rightly.
    try:
        with open(first, "rb") as one, open(second, "rb") as other:
            return (
                os.path.samestat(os.fstat(one.fileno()), os.fstat(other.fileno()))
                or one.read() == other.read()
            )
    except OSError:
        return False


class SecureCookies:
    """Stands in for the option [trac] secure_cookies: also on when the request came by https."""

    def __init__(self, option: Any) -> None:
        self._option = option
        self.https = False  # of the request that is being answered; there is one at a time

    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is None:
            return self._option
        return self.https or self._option.__get__(instance, owner)

    def __set__(self, instance: Any, value: Any) -> None:
        self._option.__set__(instance, value)


def override_options(own_url: bool, front_sends_files: bool) -> SecureCookies:
    """Replace the options that our place in the world decides; returns the one that each request sets."""
    from trac.env import Environment
    from trac.web.main import RequestDispatcher

    secure = SecureCookies(Environment.secure_cookies)
    Environment.secure_cookies = secure
    if own_url:
        # [trac] base_url would win over the address we were given.
        Environment.base_url_for_redirect = False
    if front_sends_files:
        # wsgi.file_wrapper does it, and knows which files the front may send.
        RequestDispatcher.use_xsendfile = False
    return secure
