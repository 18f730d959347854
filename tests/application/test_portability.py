"""The application side also runs under a machine's own Python: 3.8 and later, nothing installed but Trac."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tests.box import ROOT

_TRACS = {"trac", "jinja2", "pkg_resources"}
_MODULES = sorted((ROOT / "appliance" / "application").glob("*.py"))


@pytest.mark.parametrize("path", _MODULES, ids=lambda path: path.stem)
def test_it_needs_only_the_standard_library(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 8))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {name for name in names if name.startswith("appliance.")}
    assert all(name.startswith("appliance.application") or name == "appliance.errors" for name in ours)
    foreign = {name.partition(".")[0] for name in names - ours} - sys.stdlib_module_names
    assert foreign <= (_TRACS if path.stem.startswith(("trac", "catalogue")) else set())
