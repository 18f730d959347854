"""docs/options.md, made from the tables of options and from the tests that hold them.

    python build/options_page.py            write the page
    python build/options_page.py --check    only say whether it is up to date

A test says what it holds: `@pytest.mark.holds("fastcgi.balance", "check-local")`. "what has no effect" and
"what is refused" stand for all options and keys of that kind. The tests are read, not run.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from appliance.config.reference import ENTRIES, TOPICS, Entry  # noqa: E402

PAGE = ROOT / "docs" / "options.md"
GROUPS = {
    "what has no effect": [entry.name for entry in ENTRIES.values() if entry.without_effect],
    "what is refused": [entry.name for entry in ENTRIES.values() if entry.refuses],
}
INTRODUCTION = """# Options

Everything that a configuration may set, and the test that holds it. This page is made by `make docs` from
the tables in `appliance/config/options/` and `appliance/config/host_keys.py`; `fcgibox help NAME` prints an
entry. Names and defaults are those of lighttpd 1.4.69 where nothing says *ours*; a real lighttpd warns about
ours and passes over them. What is not listed is refused with a message. [lighttpd.md](lighttpd.md) says where
we differ on purpose.
"""


@dataclass(frozen=True, slots=True)
class Test:
    """A test function and where it is."""

    path: str
    name: str


def marked(source: str, path: str) -> Iterator[tuple[Test, str]]:
    """Each test of a file with each name that it says it holds; ValueError if that cannot be."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for decorator in node.decorator_list:
            if not isinstance(decorator, ast.Call) or ast.unparse(decorator.func) != "pytest.mark.holds":
                continue
            where = f"{path}:{node.lineno}: {node.name}"
            if isinstance(node, ast.ClassDef) or not (
                node.name.startswith("test_") and Path(path).name.startswith("test_")
            ):
                raise ValueError(f"{where} is no test that pytest runs, and cannot hold an option")
            for argument in decorator.args:
                name = argument.value if isinstance(argument, ast.Constant) else None
                if not isinstance(name, str) or (name not in ENTRIES and name not in GROUPS):
                    raise ValueError(f"{where} holds {ast.unparse(argument)}, which is no option and no key")
                yield Test(path, node.name), name


def holders(tests: Path) -> dict[str, list[Test]]:
    """The tests of each option and key, by file; ValueError for a marker that is wrong."""
    found: dict[str, list[Test]] = {name: [] for name in ENTRIES}
    for path in sorted(tests.rglob("*.py")):
        source = path.read_text("utf-8")
        if "mark.holds(" not in source:
            continue
        for test, name in marked(source, path.relative_to(tests.parent).as_posix()):
            for held in GROUPS.get(name, [name]):
                if test not in found[held]:
                    found[held].append(test)
    return found


def page(found: dict[str, list[Test]]) -> str:
    """The text of docs/options.md."""
    parts = [INTRODUCTION]
    for topic in TOPICS:
        parts.append(f"## {topic.title}\n")
        parts.append("| name | meaning | takes | default | where | held by |\n|---|---|---|---|---|---|")
        parts += [_row(entry, found[entry.name]) for entry in topic.entries]
        parts.append("")
    return "\n".join(parts)


def _row(entry: Entry, tests: list[Test]) -> str:
    name = f"`{entry.name}`" + (" *(ours)*" if entry.ours else "")
    meaning = entry.meaning + (f" **{entry.remark}**" if entry.remark else "")
    where = "host entry" if entry.is_key else entry.place
    module = f"; needs {entry.module}" if entry.module else ""
    links = ", ".join(f"[{test.name}](../{test.path})" for test in tests)
    default = entry.default if entry.default[0].isalpha() else f"`{_code(entry.default)}`"
    cells = (
        name,
        _text(meaning),
        _text(entry.takes),
        default,
        _text(where + module),
        links,
    )
    return f"| {' | '.join(cells)} |"


def _text(words: str) -> str:
    """Words in a cell: no sign of theirs may end it, or be a tag."""
    return words.replace("|", "\\|").replace("<", "&lt;")


def _code(words: str) -> str:
    return words.replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write or check; the exit status is 1 if something is missing, with a line for each."""
    try:
        found = holders(ROOT / "tests")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    alone = [name for name, tests in found.items() if not tests]
    for name in alone:
        print(f'no test holds {name}: mark one with @pytest.mark.holds("{name}")', file=sys.stderr)
    text = page(found)
    if "--check" not in arguments:
        PAGE.write_text(text, "utf-8")
    elif not PAGE.exists() or PAGE.read_text("utf-8") != text:
        print("docs/options.md is not what the tables and tests say: run make docs", file=sys.stderr)
        return 1
    return 1 if alone and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
