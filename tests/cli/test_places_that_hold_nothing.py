"""An output folder that is none, and a file of the user's own that a step refuses: named as the user named them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli.workshop import Workshop

import modelprep
from modelprep.errors import StorageError

RECIPE = (
    "schema: 1\ndemo: Packed\nsummary: s\nstatus: bring-your-own\nwhy: nobody has it\ntree: Things\n"
    "assets:\n  packed: {provide: true}\nsteps:\n  - {id: plain, uses: gunzip, with: {file: $packed}}\n"
    "install:\n  packed.bin: $plain\n"
)


@pytest.mark.parametrize("below", ["", "deeper"])
def test_out_at_a_file_is_said_to_be_one(workshop: Workshop, tmp_path: Path, below: str) -> None:
    workshop.recipe("packed", RECIPE)
    file = tmp_path / "file"
    file.touch()
    mine = tmp_path / "mine.gz"
    mine.write_bytes(b"x")
    out = file / below if below else file
    here: dict[str, Any] = {"out": out, "recipes": [workshop.recipes], "cache": tmp_path / "cache"}
    with pytest.raises(StorageError, match="--out") as caught:
        modelprep.check("things", **here)
    assert caught.value.where == str(out)
    with pytest.raises(StorageError, match="--out"):
        modelprep.fetch("things", overrides={"packed": mine}, **here)
    assert file.read_bytes() == b""


def test_proc_is_no_place_for_a_tree(workshop: Workshop) -> None:
    workshop.simple("one", b"x")
    with pytest.raises(StorageError, match="cannot contain files"):
        modelprep.fetch("things/one", out="/proc/out", recipes=[workshop.recipes], cache=workshop.cache)


def test_a_step_names_the_file_that_the_user_gave(workshop: Workshop, tmp_path: Path) -> None:
    workshop.recipe("packed", RECIPE)
    mine = tmp_path / "mine.gz"
    mine.write_bytes(b"this is no gzip file at all")
    report = modelprep.fetch(
        "things", out=tmp_path / "out", recipes=[workshop.recipes], cache=tmp_path / "cache", overrides={"packed": mine}
    )
    (demo,) = report.demos
    assert demo.error is not None
    assert demo.error.where == str(mine)
    assert "blobs" not in str(demo.error)
