"""What a step says it will write at most, against what it writes."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import pytest

from modelprep.steps import Call, find


def room(name: str, sizes: dict[str, int | None], **params: object) -> int | None:
    step = find(name)
    plain = {key: param.default for key, param in step.params.items() if param.kind not in ("file", "files")}
    return step.room({**plain, **params}, sizes)


def run(name: str, output: Path, **params: object) -> int:
    step = find(name)
    if step.produces == "folder":
        output.mkdir()
    step.run(Call({**{key: param.default for key, param in step.params.items()}, **params}, output))
    return sum(path.stat().st_size for path in [output, *output.rglob("*")] if path.is_file())


def test_a_copy_takes_what_the_file_takes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert run("copy", tmp_path / "out", file=tmp_path / "a") == 5 == room("copy", {"file": 5})
    assert room("copy", {"file": None}) is None


def test_idx_check_takes_both_files_together(tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(struct.pack(">4I", 2051, 2, 28, 28) + bytes(2 * 784))
    (tmp_path / "labels").write_bytes(struct.pack(">2I", 2049, 2) + bytes(2))
    files = {name: tmp_path / name for name in ("images", "labels")}
    sizes: dict[str, int | None] = {name: path.stat().st_size for name, path in files.items()}
    assert run("idx.check", tmp_path / "out", **files) == room("idx.check", sizes)
    assert room("idx.check", {"images": 5, "labels": None}) is None


@pytest.mark.parametrize("data", [b"", b"x", bytes(50_000_000)], ids=["empty", "one", "zeros"])
def test_no_gzip_file_becomes_more_than_deflate_can_make_of_it(tmp_path: Path, data: bytes) -> None:
    packed = gzip.compress(data, 9)
    (tmp_path / "a").write_bytes(packed)
    bound = room("gunzip", {"file": len(packed)})
    assert bound is not None
    assert run("gunzip", tmp_path / "out", file=tmp_path / "a") <= bound
    # The ratio is deflate's own: nothing that zlib can make comes near it from above.
    assert len(data) / len(zlib.compress(data, 9)) < 1032


def test_the_recipes_own_limit_bounds_what_is_unpacked() -> None:
    assert room("gunzip", {"file": 10_000_000}, max_bytes=1000) == 1000
    assert room("gunzip", {"file": None}, max_bytes=1000) == 1000
    assert room("gunzip", {"file": None}) is None
    assert room("unpack", {"archive": 10}, members=["a", "b"], max_bytes=1000) == 2000
    assert room("unpack", {"archive": 10}, members=["a", "b"]) is None
