"""A destination written as a URL is refused with the same place as scp takes it, and without its password."""

from __future__ import annotations

import pytest

from modelprep.deliver.board_place import plain_place
from modelprep.errors import UsageError


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("ssh://root@board/opt/x", "root@board:/opt/x"),
        ("ssh://root@board:2222/opt/x", "root@board:/opt/x --ssh 'ssh -p 2222'"),
        ("ssh://root@board/~/x", "'root@board:~/x'"),
        ("sftp://board/a%20b", "'board:/a b'"),
        ("ssh://root@[fe80::1%25eth0]/x", "'root@[fe80::1%eth0]:/x'"),
        ("ssh://root:secret@board/x", "root@board:/x"),
        ("ssh://board:70000/x", None),
        ("rsync://board/x", None),
    ],
)
def test_the_hint_is_the_same_place(url: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        plain_place(url)
    assert caught.value.hint == (None if hint is None else f"write it as scp does: {hint}")
    assert "secret" not in (caught.value.got or "")
