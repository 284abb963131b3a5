"""A board that runs another release than the files were prepared for is told so; one that says nothing is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from servers.sshd import BoardServer, board

from modelprep.deliver import remote
from modelprep.deliver.board_release import other_release, releases_in
from modelprep.targets import bsp

__all__ = ["board"]

OS_RELEASE = 'ID=fsl-imx-xwayland\nVERSION="6.6-scarthgap"\nPRETTY_NAME="NXP i.MX Release Distro 6.6-scarthgap"\n'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("meta-imx = HEAD:rel_imx_6.6.36_2.1.0", ["L6.6.36-2.1.0"]),
        ("BUILD_ID=L6.6.36-2.1.0", ["L6.6.36-2.1.0"]),
        ("meta-imx-ml = HEAD:6bbf35e73f1b537b19be830462af87a3bd68e1ab", ["L6.6.36-2.1.0"]),
        ("meta-imx = HEAD:rel_imx_6.6.36_2.1.0.1", []),
        (OS_RELEASE, []),
        ("", []),
    ],
)
def test_a_release_is_recognised_by_its_name_or_its_commit(text: str, found: list[str]) -> None:
    assert releases_in(text) == found


def test_the_board_is_asked_over_ssh(board: Callable[..., BoardServer], tmp_path: Path) -> None:
    server = board()
    etc = tmp_path / "etc of the board"
    etc.mkdir()
    (etc / "os-release").write_text(OS_RELEASE)
    with remote.connect(remote.parse_board(server.login), remote.ssh_words(server.ssh)) as channel:
        assert other_release(channel, bsp.DEFAULT, str(etc)) == ""
        (etc / "build").write_text("meta-imx = HEAD:rel_imx_6.6.36_2.1.0\n")
        said = other_release(channel, bsp.DEFAULT, str(etc))
        assert "runs L6.6.36-2.1.0" in said
        assert "--bsp L6.6.36-2.1.0" in said
        assert other_release(channel, "L6.6.36-2.1.0", str(etc)) == ""
        assert other_release(channel, bsp.DEFAULT, str(tmp_path / "none")) == ""
