"""From settings to a site: which handlers have a part in a scope, in the order of `handlers.chain`."""

from __future__ import annotations

from appliance.config import Settings
from appliance.front.services import Services
from appliance.handlers import (
    access,
    auth,
    authorizer,
    gateway,
    redirect,
    rewrite,
    setenv,
    static,
    statistics,
    status,
)
from appliance.handlers.chain import Site
from appliance.handlers.exchange import Handler


def compile_site(settings: Settings, services: Services) -> Site:
    """Build the handlers of one scope; those without a part in it are left out."""
    rewriting, rewriting_missing = rewrite.build(settings, services)
    by_url, by_file = gateway.build(settings, services)
    files = static.build(settings, services)
    told = (status.build(settings, services), statistics.build(settings, services))

    def remainder(docroot: str | None) -> Site:
        """What answers after an authorizer has allowed it."""
        if docroot is None:
            return _site(settings, *told, by_url, rewriting_missing, by_file, files)
        beneath = settings.beneath(docroot)
        return _site(beneath, gateway.build_by_file(beneath, services), static.build(beneath, services))

    guard_by_url, guard_by_file = authorizer.build(settings, services, (rewriting_missing, files), remainder)
    return _site(
        settings,
        rewriting,
        redirect.build(settings, services),
        setenv.build(settings, services),
        access.build(settings, services),
        auth.build(settings, services),
        guard_by_url,
        *told,
        by_url,
        rewriting_missing,
        guard_by_file,
        by_file,
        files,
    )


def _site(settings: Settings, *handlers: Handler | None) -> Site:
    return Site(
        settings,
        tuple(handler for handler in handlers if handler is not None),
        settings.optional_string("accesslog.filename"),
        setenv.editing(settings),
    )
