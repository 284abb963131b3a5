"""One step on files of one's own: as the command does it, whole or not at all, and called as the step wants it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Run
from cli.workshop import gzipped

import modelprep


@pytest.fixture
def digits(tmp_path: Path) -> tuple[Path, Path]:
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.write_bytes(struct.pack(">4I", 2051, 3, 28, 28) + bytes(3 * 784))
    labels.write_bytes(struct.pack(">2I", 2049, 3) + bytes([7, 2, 1]))
    return images, labels


def test_a_conversion_is_what_the_command_makes(
    standin: tuple[Path, Path], tmp_path: Path, command: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror, recipes = standin
    tree = {"out": tmp_path / "tree", "cache": tmp_path / "store", "recipes": recipes}
    report = modelprep.fetch("armnn-tflite/mobilenet-v1-quant", mirrors=mirror, offline=True, **tree)  # type: ignore[arg-type]
    assert report.ok
    model = tmp_path / "tree" / "ArmnnTests" / "models" / "mobilenet_v1_1.0_224_quant.tflite"
    ours, theirs = tmp_path / "ours.tflite", tmp_path / "theirs.tflite"
    events: list[modelprep.Event] = []
    made = modelprep.convert(
        "tflite.rename_io", {"model": str(model), "inputs": {"input": "picture"}}, ours, listen=events.append
    )
    assert (events[0].kind, events[-1].kind) == ("start", "done")
    assert {event.task for event in events} == {"convert:tflite.rename_io"}
    ran = command("tflite", "rename-io", model, "-o", theirs, "--rename-input", "input=picture", "--json", bare=True)
    assert ran.code == 0
    assert ours.read_bytes() == theirs.read_bytes() != model.read_bytes()
    assert ran.object["facts"] == dict(made.facts)
    assert made.output == ours


def test_a_step_that_makes_a_folder_makes_it_whole(tmp_path: Path, digits: tuple[Path, Path]) -> None:
    images, labels = digits
    made = modelprep.convert("idx.check", {"images": images, "labels": labels}, tmp_path / "digits")
    assert sorted(path.name for path in made.output.iterdir()) == ["images", "labels"]
    assert (made.facts["count"], made.facts["first_labels"]) == (3, [7, 2, 1])
    for force in (False, True):
        with pytest.raises(modelprep.errors.UsageError, match="folder"):
            modelprep.convert("idx.check", {"images": images}, tmp_path / "digits", force=force)
    labels.write_bytes(labels.read_bytes()[:-1])
    with pytest.raises(modelprep.errors.StepError):
        modelprep.convert("idx.check", {"images": images, "labels": labels}, tmp_path / "more")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits", "images", "labels"]


def test_a_warning_is_told_and_kept(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.write_bytes(struct.pack(">4I", 2051, 1, 2, 2) + bytes(4))
    events: list[modelprep.Event] = []
    made = modelprep.convert("idx.check", {"images": images}, tmp_path / "digits", listen=events.append)
    assert [event.text for event in events if event.kind == "warning"] == list(made.warnings)
    assert "28x28" in made.warnings[0]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "needs the parameter 'file'"),
        ({"file": "data.gz", "fiel": "data.gz"}, "has no parameter 'fiel'"),
        ({"file": 7}, "has the wrong type"),
        ({"file": {"a": "data.gz"}}, "has the wrong type"),
        ({"file": "nothing.gz"}, "input file is not there"),
    ],
)
def test_a_wrong_call_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: dict[str, Any], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data.gz").write_bytes(gzipped(b"data"))
    with pytest.raises(modelprep.errors.UsageError, match=words):
        modelprep.convert("gunzip", params, "data")
    assert not Path("data").exists()


def test_a_step_that_is_not_there_offers_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(modelprep.errors.RecipeError) as caught:
        modelprep.convert("cafe.bake", {}, tmp_path / "x")
    assert "caffe.bake" in (caught.value.hint or "")


def test_a_good_file_stays_until_its_replacement_is_ready(tmp_path: Path) -> None:
    packed, output = tmp_path / "data.gz", tmp_path / "data"
    packed.write_bytes(gzipped(b"new"))
    output.write_bytes(b"old")
    with pytest.raises(modelprep.errors.UsageError, match="already"):
        modelprep.convert("gunzip", {"file": packed}, output)
    whole = packed.read_bytes()
    packed.write_bytes(whole[:-4])
    with pytest.raises(modelprep.errors.StepError):
        modelprep.convert("gunzip", {"file": packed}, output, force=True)

    def stop(event: modelprep.Event) -> None:
        raise modelprep.errors.Interrupted("enough")

    with pytest.raises(modelprep.errors.Interrupted):
        modelprep.convert("gunzip", {"file": packed}, output, force=True, listen=stop)
    assert output.read_bytes() == b"old"
    packed.write_bytes(whole)
    assert modelprep.convert("gunzip", {"file": packed}, output, force=True).output.read_bytes() == b"new"
    with pytest.raises(modelprep.errors.UsageError, match="own input"):
        modelprep.convert("gunzip", {"file": packed}, packed, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "data.gz"]
