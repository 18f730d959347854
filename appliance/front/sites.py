"""The sites of a front: from a request, by the settings that apply to it, to its handlers."""

from __future__ import annotations

from appliance.config import Matcher, Settings
from appliance.front.compile import compile_site
from appliance.front.services import Services
from appliance.handlers.chain import Site
from appliance.http.request import Request


class Sites:
    """Compiles the handlers of each distinct set of settings once."""

    __slots__ = ("_compiled", "_matcher", "_services")

    def __init__(self, matcher: Matcher, services: Services) -> None:
        self._matcher = matcher
        self._services = services
        self._compiled: dict[Settings, Site] = {}

    def site(self, request: Request) -> Site:
        """What answers this request, as it is now."""
        settings = self._matcher.settings_for(request)
        site = self._compiled.get(settings)
        if site is None:
            site = self._compiled[settings] = compile_site(settings, self._services)
        return site
