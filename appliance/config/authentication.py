"""The rules of `auth.require`: what each must say, and what is not supported yet."""

from __future__ import annotations

from appliance.config.checking import checked
from appliance.config.diagnostic import Report, nearest
from appliance.config.options import Type
from appliance.config.pools import AuthRule
from appliance.config.values import Array, Element, Value

_FIELDS = ("method", "realm", "require")
_DIGEST_FIELDS = ("algorithm", "nonce-secret", "nonce_secret", "userhash")


def auth_rules(value: Value, report: Report) -> tuple[AuthRule, ...]:
    """The rules of one `auth.require`; whatever is wrong is reported."""
    if not isinstance(value.content, Array):
        report.error(value.position, f"{value.kind} where auth.require takes {Type.AUTHENTICATION.value}")
        return ()
    rules = []
    for element in value.content:
        rule = _rule(element, report)
        if rule is not None:
            rules.append(rule)
    return tuple(rules)


def _rule(element: Element, report: Report) -> AuthRule | None:
    content = element.value.content
    if element.key is None or not isinstance(content, Array):
        report.error(element.position, f"auth.require takes {Type.AUTHENTICATION.value}")
        return None
    given: dict[str, tuple[str, Value]] = {}
    for field in content:
        if field.key in _FIELDS:
            text = checked(field.value, Type.STRING, f'"{field.key}"', report)
            if text is None:
                return None
            given[field.key] = (text, field.value)
        elif field.key not in _DIGEST_FIELDS:
            hint = nearest(field.key or "", _FIELDS) or f"it has {', '.join(_FIELDS)}"
            report.error(field.position, f'a rule of auth.require has no "{field.key or ""}"', hint)
            return None
    missing = [
        name for name in _FIELDS if not given.get(name, ("",))[0] and not (name == "realm" and name in given)
    ]
    if missing:
        report.error(element.position, f'the rule for "{element.key}" says no {" and no ".join(missing)}')
        return None
    method, method_value = given["method"]
    if method != "basic":
        known = method in ("digest", "extern")
        reason = f'method "{method}" is not supported yet' if known else f'"{method}" is no method'
        report.error(method_value.position, reason, 'the method is "basic"')
        return None
    require = _require(*given["require"], report)
    return None if require is None else AuthRule(element.key, "basic", given["realm"][0], require)


def _require(text: str, value: Value, report: Report) -> tuple[str, ...] | None:
    """`valid-user`, or names joined by bars: `user=joe|user=ann`."""
    if text == "valid-user":
        return (text,)
    words = tuple(word.strip() for word in text.split("|"))
    for word in words:
        kind, equals, name = word.partition("=")
        if kind in ("group", "host") and equals:
            report.error(value.position, f'"{kind}=" in auth.require is not supported yet')
            return None
        if kind != "user" or not name:
            hint = 'write "valid-user" for everybody in the password file, or "user=joe|user=ann"'
            report.error(value.position, f'"{word}" names nobody', hint)
            return None
    return words
