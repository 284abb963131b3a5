"""What a user names as input and output is looked at before any work: one mistake, one message, nothing lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelprep.cli.main import invoke
from modelprep.errors import StorageError, UsageError
from modelprep.formats.given import cannot_write, require_apart, require_input, require_output
from modelprep.formats.sniff import looks_like_model

#: Every command on a user's own files, its input and output to be put in.
CONVERSIONS: dict[str, tuple[str, ...]] = {
    "caffe bake": ("caffe", "bake", "{}", "{}", "-o", "<out>"),
    "tf convert": ("tf", "convert", "{}", "-o", "<out>"),
    "tf freeze": ("tf", "freeze", "{}", "{}", "-n", "node", "-o", "<out>"),
    "tf legalise": ("tf", "legalise", "{}", "-o", "<out>"),
    "tf rename-io": ("tf", "rename-io", "{}", "--rename-input", "a=b", "-o", "<out>"),
    "onnx fix": ("onnx", "fix", "{}", "--batch", "1", "-o", "<out>"),
    "onnx rename-io": ("onnx", "rename-io", "{}", "--rename-input", "a=b", "-o", "<out>"),
    "tflite rename-io": ("tflite", "rename-io", "{}", "--rename-input", "a=b", "-o", "<out>"),
    "idx unpack": ("idx", "unpack", "{}", "-o", "<out>"),
}
LOOKS = {
    "caffe inspect": ("caffe", "inspect", "{}"),
    "tf inspect": ("tf", "inspect", "{}"),
    "onnx inspect": ("onnx", "inspect", "{}"),
    "tflite inspect": ("tflite", "inspect", "{}"),
    "idx info": ("idx", "info", "{}"),
}
Kinds = dict[str, Path]


@pytest.fixture
def odd(tmp_path: Path) -> Kinds:
    """Things that are no input: what the message must call each, and one of it."""
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to("nowhere")
    os.mkfifo(pipe)
    return {
        "is a folder": tmp_path,
        "is not there": tmp_path / "absent",
        "is a link to nothing": link,
        "no ordinary file": pipe,
        "is no ordinary file": Path(os.devnull),
    }


TAKES_FOLDERS = {("tf", verb) for verb in ("convert", "freeze", "inspect", "legalise", "rename-io")}


def call(words: tuple[str, ...], source: Path, output: Path | str = "") -> int:
    return invoke([word.replace("{}", str(source)).replace("<out>", str(output)) for word in words])


@pytest.mark.parametrize("words", [*CONVERSIONS.values(), *LOOKS.values()], ids=[*CONVERSIONS, *LOOKS])
def test_every_command_says_the_same_of_what_is_no_input(
    words: tuple[str, ...], odd: Kinds, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for what, path in odd.items():
        if what == "is a folder" and words[:2] in TAKES_FOLDERS:
            # A SavedModel is a folder; an empty one is none.
            assert call(words, path, tmp_path / "out") == 5
            assert str(path) in capsys.readouterr().err
            continue
        assert call(words, path, tmp_path / "out") == 2, what
        said = capsys.readouterr().err
        no_checkpoint = words[:2] == ("tf", "freeze") and what in ("is not there", "is a link to nothing")
        assert ("there is no such checkpoint" if no_checkpoint else what) in said.splitlines()[0]
        assert str(path) in said
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", CONVERSIONS.values(), ids=CONVERSIONS)
def test_no_command_replaces_what_it_should_not(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source, there, link = tmp_path / "source", tmp_path / "there", tmp_path / "link"
    source.write_bytes(b"source")
    there.write_bytes(b"there")
    link.symlink_to(source)
    before = sorted(tmp_path.iterdir())
    for output, forced, said in (
        ("-", False, "standard output"),
        ("-", True, "standard output"),
        (tmp_path, True, "is a folder"),
        (os.devnull, False, "no ordinary file"),
        (os.devnull, True, "no ordinary file"),
        (there, False, "exists already"),
        (source, True, "own input"),
        (link, True, "own input"),
    ):
        assert call((*words, *(("--force",) if forced else ())), source, output) == 2, output
        assert said in capsys.readouterr().err
    assert call(words, source, tmp_path / "no" / "folder") == 6
    assert sorted(tmp_path.iterdir()) == before
    assert (source.read_bytes(), there.read_bytes(), link.is_symlink()) == (b"source", b"there", True)
    assert Path(os.devnull).is_char_device()


def test_a_link_to_nothing_is_not_replaced_unasked(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("nowhere")
    with pytest.raises(UsageError, match="exists already"):
        require_output(link)
    require_output(link, force=True)
    with pytest.raises(UsageError, match="exists already"):
        require_output(link, force=True, folder=True)


def test_what_is_fine_passes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"")
    require_input(source)
    require_output(tmp_path / "new")
    require_output(source, force=True)
    require_apart(source, tmp_path / "new")
    with pytest.raises(UsageError, match="own input"):
        require_apart(source, tmp_path / "." / "source")


@pytest.mark.parametrize(("number", "word"), [(13, "writable"), (28, "another place")])
def test_an_output_that_the_system_refuses_names_the_place(tmp_path: Path, number: int, word: str) -> None:
    error = cannot_write(tmp_path / "out", OSError(number, os.strerror(number)))
    assert isinstance(error, StorageError)
    assert os.strerror(number) in str(error)
    assert (error.where, word in (error.hint or "")) == (str(tmp_path / "out"), True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_takes_no_file_is_an_error_that_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, closed = tmp_path / "source", tmp_path / "closed"
    source.write_bytes(b"source")
    closed.mkdir(0o500)
    assert invoke(["tf", "convert", str(source), "-o", str(closed / "out")]) == 6
    assert f"make {closed} writable" in capsys.readouterr().err


def net(**fields: str) -> bytes:
    from modelprep.formats.caffe.messages import schema

    message: Any = schema().message("NetParameter")(name=fields.get("name", ""))
    message.layer.add(name="data", type="Input")
    encoded: bytes = message.SerializeToString()
    return encoded


def graph() -> bytes:
    from modelprep.formats.tensorflow.graphdef import Node, encode_node

    return b"".join(bytes(piece) for name in ("input", "other") for piece in encode_node(Node(name, "Placeholder")))


def onnx() -> bytes:
    from modelprep.formats.onnx.model import messages

    model = messages("ModelProto")(ir_version=3, producer_name="us")
    model.graph.node.add(op_type="Relu", input=["x"], output=["y"])
    return model.SerializeToString()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: net(name="LeNet"), "a Caffe model"),
        (lambda: net(name="n" * 200), "a Caffe model"),
        (net, "a Caffe model"),
        (graph, "a TensorFlow graph"),
        (onnx, "an ONNX model"),
        (lambda: b'name: "LeNet"\nlayer {\n', "a Caffe prototxt"),
        (lambda: b'node {\n  name: "x"\n', "a TensorFlow graph as text"),
        (lambda: b"hello, world", "text"),
        (lambda: b"<!doctype html>", "a web page"),
        (lambda: b"\x0a\x80\x80\x80\x80\x01", ""),
        (lambda: b"\x0a", "text"),
        (lambda: b"", "an empty file"),
    ],
)
def test_a_model_is_told_from_another_by_its_first_fields(make: Callable[[], bytes], what: str) -> None:
    assert looks_like_model(make()[:512]) == what


@pytest.mark.parametrize("made", [net(name="LeNet"), graph(), onnx()], ids=["caffe", "tensorflow", "onnx"])
@pytest.mark.parametrize(
    "words", [LOOKS["tf inspect"], LOOKS["onnx inspect"], LOOKS["tflite inspect"], CONVERSIONS["tf freeze"]]
)
def test_the_wrong_kind_of_model_is_named(
    words: tuple[str, ...], made: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "model"
    source.write_bytes(made)
    code = call(words, source, tmp_path / "out")
    said = capsys.readouterr().err
    kind = looks_like_model(made)
    if kind in {"tf inspect": "a TensorFlow graph", "onnx inspect": "an ONNX model"}.get(" ".join(words[:2]), ""):
        assert code == 0
    elif words[1] == "freeze" and kind == "a TensorFlow graph":
        assert code == 5
    else:
        assert code == 5
        assert f"looks like: {kind}" in said
        assert "fetch it again" not in said
