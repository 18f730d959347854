"""Rules of url.redirect and url.rewrite-…: an expression for path and query, and a target for what fits.

A target may name groups of the expression (`$1`) and of the condition of the block it stands in (`%1`); which
condition that is can only be said here. What it means is `appliance.handlers.substitution`'s business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from appliance.config.condition import Test
from appliance.config.diagnostic import Report
from appliance.config.evaluation import Scope
from appliance.config.options import Type
from appliance.config.regex import compile_pattern
from appliance.config.values import Array, Value

_OF_CONDITION = re.compile(r"%%|\$\$|(%[0-9]|%\{(?:[a-z]+:)*[0-9]+\})")

# In lighttpd these are one list for each block, in this order: a block that sets one of them replaces all.
_LISTS = (
    ("url.rewrite-once", "url.rewrite-final", "url.rewrite", "url.rewrite-repeat"),
    ("url.rewrite-if-not-file", "url.rewrite-repeat-if-not-file"),
)


@dataclass(frozen=True, slots=True)
class UrlRule:
    """One pattern and its target; `condition` is the test that `%0`, `%1` … are groups of."""

    pattern: str
    target: str
    condition: Test | None = None


def url_rules(value: Value, name: str, scope: Scope, report: Report) -> tuple[UrlRule, ...] | None:
    """The rules of one option in one scope; None if one of them cannot be, which is reported."""
    content = value.content
    if not isinstance(content, Array):
        report.error(value.position, f"{value.kind} where {name} takes {Type.URL_RULES.value}")
        return None
    condition = scope.condition
    test = condition.test if condition is not None and not condition.negated else None
    found = []
    for element in content:
        target = element.value.content
        if element.key is None or not isinstance(target, str):
            report.error(element.position, f"{name} takes {Type.URL_RULES.value}")
            return None
        try:
            compile_pattern(element.key)
        except ValueError as error:
            report.error(element.position, str(error))
            return None
        if name.startswith("url.rewrite") and target and target[0] not in "/$%":
            hint = f'write "/{target}"; to send the client to another server there is url.redirect'
            report.error(element.value.position, f'{name} leads to a path, and "{target}" is none', hint)
            return None
        group = next((match[1] for match in _OF_CONDITION.finditer(target) if match[1]), None)
        if group is not None and test is None:
            reason = f"{group} is empty here: it means what the condition of the block around found"
            hint = f"an encoded character begins with %%: %{group}"
            report.notice(element.value.position, reason, hint if group[1] != "{" else "")
        found.append(UrlRule(element.key, target, test if group is not None else None))
    return tuple(found)


def complete(values: dict[str, object]) -> None:
    """What a block does not say of a list that it begins anew is empty, not that of the block around."""
    for names in _LISTS:
        if any(name in values for name in names):
            for name in names:
                values.setdefault(name, ())
