"""The reference: docs/options.md is up to date and names real tests; what it says of refusals is so."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from appliance.config import OPTIONS, Configuration, ConfigurationError, Option, load
from appliance.config.host_keys import KEYS
from appliance.config.options import MODULES, Type
from appliance.config.reference import ENTRIES, TOPICS, suggestion
from tests.box import program

BUILDER = Path(__file__).resolve().parent.parent.parent / "build" / "options_page.py"
SAMPLES = {Type.STRING: '"/x"', Type.INTEGER: "7", Type.STRINGS: '( "/x" )', Type.PAIRS: '( "/x" => "/y" )'}
ALL = 'server.modules = ( "' + '", "'.join(sorted(MODULES)) + '" )\n'


def builder() -> ModuleType:
    """build/options_page.py as a module."""
    spec = importlib.util.spec_from_file_location("options_page", BUILDER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def setting(option: Option, value: str) -> Configuration:
    """A configuration that sets one option."""
    return load(f"{ALL}{option.name} = {value}", "t")


def switch(value: bool) -> str:
    return '"enable"' if value else '"disable"'


@pytest.mark.holds("what is refused")
@pytest.mark.parametrize(
    "option", [option for option in OPTIONS.values() if option.refused], ids=lambda option: option.name
)
def test_what_is_not_supported_is_refused_and_its_default_is_not(option: Option) -> None:
    for value in option.refused:
        refused = (
            SAMPLES[option.type] if value == "*" else switch(value) if isinstance(value, bool) else str(value)
        )
        with pytest.raises(ConfigurationError, match="is not supported yet"):
            setting(option, refused)
    if isinstance(option.default, bool):
        setting(option, switch(option.default))


@pytest.mark.holds("what has no effect")
@pytest.mark.parametrize(
    "option", [option for option in OPTIONS.values() if option.without_effect], ids=lambda option: option.name
)
def test_what_has_no_effect_says_so_with_the_reason(option: Option) -> None:
    sample = '( "x" => "enable" )' if option.type is Type.SWITCHES else SAMPLES.get(option.type, switch(True))
    if option.type is Type.INTEGER:
        sample = str(min(7, option.maximum))
    (notice,) = setting(option, sample).notices
    assert f"has no effect here: {option.without_effect}" in notice.reason


def test_every_option_and_key_is_there_once() -> None:
    assert set(ENTRIES) == {*OPTIONS, *KEYS}
    assert sum(len(topic.entries) for topic in TOPICS) == len(ENTRIES)
    assert all("." in name for name in OPTIONS) and not any("." in name for name in KEYS)


def test_the_page_is_up_to_date_and_every_option_has_its_test() -> None:
    done = subprocess.run([sys.executable, BUILDER, "--check"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("path", "source", "said"),
    [
        ("tests/test_x.py", '@pytest.mark.holds("check-lokal")\ndef test_y(): ...', "no option and no key"),
        ("tests/test_x.py", "@pytest.mark.holds(NAME)\ndef test_y(): ...", "no option and no key"),
        ("tests/test_x.py", '@pytest.mark.holds("slots")\ndef helper(): ...', "no test that pytest runs"),
        ("tests/x.py", '@pytest.mark.holds("slots")\ndef test_y(): ...', "no test that pytest runs"),
    ],
)
def test_a_reference_to_nothing_is_refused(path: str, source: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        list(builder().marked(source, path))


def test_a_near_miss_is_guessed() -> None:
    assert suggestion("chek_local") == 'did you mean "check-local"?'
    assert suggestion("fastcgi.servers") == 'did you mean "fastcgi.server"?'
    assert suggestion("utterly") == ""


def ask(*words: str) -> subprocess.CompletedProcess[str]:
    """`fcgibox help …` in a terminal of 80 columns."""
    environment = {**os.environ, "COLUMNS": "80"}
    return subprocess.run(
        [*program(), "help", *words], capture_output=True, text=True, env=environment, timeout=60
    )


HELP = """\
queue-timeout (a key, ours)

  Time that a request may wait for a process.

  takes    a number of seconds, 1 to 65535
  default  60
  stands   a host entry of fastcgi.server or scgi.server
  written  "queue-timeout" => 60
"""
REFUSED = """\
url.redirect-code (an option, lighttpd's)

  Status of a redirect.

  takes    a number, 300 to 399
  default  301
  stands   anywhere, also in blocks
  needs    server.modules += ( "mod_redirect" )
  written  url.redirect-code = 301
"""


@pytest.mark.parametrize(("name", "text"), [("queue-timeout", HELP), ("url.redirect-code", REFUSED)])
def test_help_explains_one(name: str, text: str) -> None:
    done = ask(name)
    assert (done.returncode, done.stdout, done.stderr) == (0, text, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], [*(f"  {topic.name} " for topic in TOPICS), "fcgibox help check-local"]),
        (["hosts"], [f"  {name}" for name in KEYS]),
        (["scgi."], ["scgi.server", "scgi.map-extensions"]),
        (["serve"], ["fcgibox serve [options] CONFIG"]),
    ],
)
def test_help_lists_and_leads_on(words: list[str], said: list[str]) -> None:
    done = ask(*words)
    assert done.returncode == 0, done.stderr
    assert [text for text in said if text not in done.stdout] == []
    assert max(map(len, done.stdout.splitlines())) <= (110 if words == ["serve"] else 80)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fastcgi.sever", 'did you mean "fastcgi.server"?'),
        ("proxy.server", "mod_proxy is not built in"),
        ("zzz", "`fcgibox help` lists the topics"),
    ],
)
def test_help_says_what_there_is_not(name: str, said: str) -> None:
    done = ask(name)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
