"""From settings to a site: which handlers have a part in a scope, in the order of `handlers.chain`."""

from __future__ import annotations

from appliance.config import Settings
from appliance.front.services import Services
from appliance.handlers import access, auth, gateway, redirect, rewrite, setenv, static
from appliance.handlers.chain import Site


def compile_site(settings: Settings, services: Services) -> Site:
    """Build the handlers of one scope; those without a part in it are left out."""
    rewriting, rewriting_missing = rewrite.build(settings, services)
    by_url, by_file = gateway.build(settings, services)
    handlers = (
        rewriting,
        redirect.build(settings, services),
        setenv.build(settings, services),
        access.build(settings, services),
        auth.build(settings, services),
        by_url,
        rewriting_missing,
        by_file,
        static.build(settings, services),
    )
    return Site(
        settings,
        tuple(handler for handler in handlers if handler is not None),
        settings.optional_string("accesslog.filename"),
        setenv.editing(settings),
    )
