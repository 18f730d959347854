"""Which directories are never given away."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from appliance.errors import UserError
from recipes.trac.accounts import Account
from recipes.trac.creation import _give
from tests.recipes.sites import OWNER


def test_a_link_of_another_user_gives_nothing_away(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "env"
    target.mkdir()
    link.symlink_to(target)
    entry = pwd.getpwnam(OWNER)
    if os.geteuid() == 0:
        os.lchown(link, entry.pw_uid, entry.pw_gid)
    account = Account(OWNER, entry.pw_uid, entry.pw_gid, OWNER, entry.pw_dir)
    with pytest.raises(UserError, match="symbolic link"):
        _give(link, account, new=False)
    assert target.stat().st_uid == os.geteuid()
