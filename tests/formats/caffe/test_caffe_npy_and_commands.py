"""Weights as NumPy files; the commands for a user's own models; the engine that runs a real Caffe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest
from caffe_bytes import blob, field, layer, v1_layer, varint

from modelprep.errors import MissingTool, StepError
from modelprep.formats.caffe import bake, npy, pycaffe
from modelprep.formats.caffe.inspect import inspect
from modelprep.formats.caffe.wire.index import index
from modelprep.steps import Call, find


def modelprep(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    code = "from modelprep.cli.main import run; run()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
    )


def test_every_blob_becomes_a_numpy_file(small_weights: Path, tmp_path: Path) -> None:
    np = pytest.importorskip("numpy", reason="numpy reads what is written here without it")
    folder = tmp_path / "arrays"
    folder.mkdir()
    step = find("caffe.to_npy")
    facts = step.run(Call({"weights": small_weights, "prototxt": None, "layers": None}, folder)) or {}
    assert sorted(path.name for path in folder.iterdir()) == sorted(facts["files"])  # type: ignore[call-overload]
    raw = small_weights.read_bytes()
    for stored in index(small_weights).layers:
        for suffix, one in zip("wb", stored.blobs, strict=False):
            got = np.load(folder / f"{stored.name}_{suffix}.npy")
            segment = one.segments[0]
            assert got.dtype == np.dtype("<f4")
            assert got.flags["C_CONTIGUOUS"]
            assert (got.shape, got.tobytes()) == (one.shape, raw[segment.offset : segment.offset + 4 * segment.count])


def test_the_header_is_what_numpy_writes(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy", reason="the header is compared with numpy's own")
    for shape in ((), (7,), (2, 3), (96, 3, 11, 11)):
        np.save(tmp_path / "a.npy", np.zeros(shape, "<f4"))
        written = (tmp_path / "a.npy").read_bytes()
        assert written.startswith(npy.header(shape))
        assert len(written) - len(npy.header(shape)) == 4 * int(np.prod(shape))


def test_an_old_files_true_shapes_come_from_the_net(net_file: Callable[..., Path], tmp_path: Path) -> None:
    legacy = b"".join(varint(n << 3) + varint(d) for n, d in enumerate((1, 1, 2, 3), 1))
    weights = tmp_path / "w"
    numbers = array("f", range(6)).tobytes()
    # V1, type INNER_PRODUCT, with num_output 2 and no bias; nothing is known of its input.
    inside = field(4, b"fc") + varint(5 << 3) + varint(14) + field(6, legacy + field(5, numbers))
    inside += field(17, b"\x08\x02\x10\x00") + field(2, b"d")
    head = field(2, field(4, b"d") + varint(5 << 3) + varint(5) + field(3, b"d"))
    weights.write_bytes(field(1, b"n") + head + field(2, inside))
    assert [file.blob.shape for file in npy.plan(index(weights))] == [(2, 3)]
    net = net_file(
        'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 3 } } } '
        'layer { name: "fc" type: "InnerProduct" bottom: "d" top: "f" '
        "inner_product_param { num_output: 2 bias_term: false } }"
    )
    assert [file.blob.shape for file in npy.plan(index(weights), net)] == [(2, 3)]


def test_slashes_in_names_become_underscores_and_clashes_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "w"
    numbers = blob(bytes(4), (1,))
    path.write_bytes(layer("a/b", "X", numbers))
    assert [file.name for file in npy.plan(index(path))] == ["a_b_w.npy"]
    path.write_bytes(layer("a/b", "X", numbers) + layer("a_b", "X", numbers))
    with pytest.raises(StepError, match="one file name"):
        npy.plan(index(path))
    path.write_bytes(layer("..", "X", numbers))
    with pytest.raises(StepError, match="cannot be a file name"):
        npy.plan(index(path))


def test_a_layer_that_is_not_there_is_an_error(small_weights: Path) -> None:
    with pytest.raises(StepError) as caught:
        npy.plan(index(small_weights), None, ["convv"])
    assert "conv" in (caught.value.hint or "")


def test_inspect_counts_parameters_and_multiply_accumulates(small_net: Path, small_weights: Path) -> None:
    report = inspect(small_net, small_weights)
    conv = next(row for row in report.rows if row.name == "conv")
    assert (conv.outputs, conv.blobs, conv.parameters) == (("4x6x12x12",), ("6x3x3x3", "6"), 6 * 27 + 6)
    assert conv.macs == 4 * 12 * 12 * 6 * 27
    assert "the weights fit (V2)" in report.notes
    assert any("1 Split" in text for text in report.changes)


def test_inspect_of_a_caffemodel_tells_its_form(tmp_path: Path) -> None:
    path = tmp_path / "w"
    legacy = b"".join(varint(n << 3) + varint(1) for n in range(1, 5))
    path.write_bytes(field(1, b"old") + v1_layer("r", 14, legacy + field(6, bytes(4)) + field(5, bytes(4))))
    report = inspect(path)
    assert (report.kind, report.form, report.parameters) == ("caffemodel", "V1", 1)
    assert any("V1 form become V2" in text for text in report.changes)
    assert any("gradients" in text for text in report.notes)


def test_the_bake_command_writes_whole_files_and_tells_facts(
    small_net: Path, small_weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.caffemodel"
    region = "layer[type=LRN].lrn_param.norm_region=ACROSS_CHANNELS"
    options = ("--batch", 1, "--input", "input", "--keep", "prob", "--set", region, "--for", "armnn-19.02")
    done = modelprep("caffe", "bake", small_net, small_weights, "-o", out, *options, "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)["facts"]
    assert facts["size"] == out.stat().st_size
    assert "norm: norm_region WITHIN_CHANNEL -> ACROSS_CHANNELS" in facts["changes"]
    again = modelprep("caffe", "bake", small_net, small_weights, "-o", out)
    assert again.returncode == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--batch", "0"), 2),
        (("--engine", "fast"), 2),
        (("--set", "nonsense"), 2),
        (("--set", "layer[name=zz].name=x"), 5),
    ],
)
def test_wrong_options_end_in_their_exit_codes(
    arguments: tuple[str, ...], code: int, small_net: Path, small_weights: Path, tmp_path: Path
) -> None:
    done = modelprep("caffe", "bake", small_net, small_weights, "-o", tmp_path / "o", *arguments)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o").exists()


def test_the_to_npy_command_fills_a_new_folder(small_weights: Path, tmp_path: Path) -> None:
    done = modelprep("caffe", "to-npy", small_weights, "-o", tmp_path / "arrays", "--layer", "fc", "--quiet")
    assert (done.returncode, done.stdout.split()) == (0, ["fc_w.npy", "fc_b.npy"])
    assert modelprep("caffe", "to-npy", small_weights, "-o", tmp_path / "arrays").returncode == 2


def test_inspect_prints_a_table_and_refuses_what_is_no_model(small_weights: Path, tmp_path: Path) -> None:
    done = modelprep("caffe", "inspect", small_weights)
    assert done.returncode == 0
    assert "InnerProduct" in done.stdout
    odd = tmp_path / "odd"
    odd.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    refused = modelprep("caffe", "inspect", odd)
    assert refused.returncode == 5
    assert "HDF5" in refused.stderr


def test_compare_runs_both_engines(small_net: Path, small_weights: Path, pycaffe: str, tmp_path: Path) -> None:
    done = modelprep("caffe", "bake", small_net, small_weights, "-o", tmp_path / "o", "--compare", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["identical"] is True


def fake(folder: Path, body: str) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_engines_that_disagree_are_told_with_the_place(small_net: Path, small_weights: Path, tmp_path: Path) -> None:
    liar = fake(tmp_path, 'for last; do :; done; printf "\\\\n\\\\005wrong" > "$last"')
    done = modelprep(
        "caffe", "bake", small_net, small_weights, "-o", tmp_path / "o", "--compare", env={"MODELPREP_PYCAFFE": liar}
    )
    assert done.returncode == 1
    assert "disagree" in done.stderr


def test_without_a_real_caffe_the_engine_says_how_to_get_one(
    small_net: Path, small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODELPREP_PYCAFFE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool) as caught:
        bake.write_plan(bake.plan(small_net, small_weights), tmp_path / "o", engine="pycaffe")
    assert "conda/pycaffe.yml" in (caught.value.hint or "")


def test_compare_without_a_real_caffe_makes_nothing(small_net: Path, small_weights: Path, tmp_path: Path) -> None:
    environment = {"MODELPREP_PYCAFFE": str(tmp_path / "nothing")}
    done = modelprep("caffe", "bake", small_net, small_weights, "-o", tmp_path / "o", "--compare", env=environment)
    assert done.returncode == 7
    assert "names no program" in done.stderr
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("echo 'ModuleNotFoundError: No module named caffe' >&2; exit 1", MissingTool),
        ("echo 'F0101 net.cpp:757] Cannot copy param 0' >&2; exit 134", StepError),
        ("exit 0", StepError),
    ],
)
def test_what_caffe_said_is_passed_on(
    body: str, error: type[Exception], tmp_path: Path, small_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELPREP_PYCAFFE", fake(tmp_path, body))
    with pytest.raises(error) as caught:
        pycaffe.save("", small_weights, tmp_path / "o")
    if body == "exit 0":
        assert "wrote nothing" in str(caught.value)
    if "F0101" in body:
        assert "Cannot copy param 0" in str(caught.value)
