"""Files that lie beside a net and are given in its place are named for what they are, by whatever command."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from modelprep.cli.main import invoke
from modelprep.formats.protowire import bytes_field, number_field

NET = 'input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8\n'
NET += 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }\n'
MEAN = b"".join(number_field(n, size) for n, size in ((1, 1), (2, 3), (3, 8), (4, 8)))
MEAN += bytes_field(5, struct.pack("<192f", *range(192)))
STATE = number_field(1, 40000) + bytes_field(2, b"snapshot/net_iter_40000.caffemodel") + number_field(4, 2)
#: A page of LMDB: its header, then the mark and the version of its meta page.
LMDB = bytes(16) + struct.pack("<II", 0xBEEFC0DE, 1) + bytes(4072)
FILES = {
    "mean.binaryproto": (MEAN, "a Caffe blob, such as a mean file"),
    "net_iter_40000.solverstate": (STATE, "a Caffe solver's state"),
    "data.mdb": (LMDB, "an LMDB database"),
}


@pytest.mark.parametrize("words", [["inspect"], ["caffe", "inspect"], ["caffe", "bake", "net.prototxt"]])
@pytest.mark.parametrize("name", FILES)
def test_a_file_beside_the_net_is_named(
    name: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data, said = FILES[name]
    Path(name).write_bytes(data)
    Path("net.prototxt").write_text(NET)
    end = ["-o", "out.caffemodel"] if "bake" in words else []
    assert invoke([*words, name, *end]) == 5
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("words", [["inspect"], ["caffe", "inspect"], ["lint"]])
def test_the_folder_of_a_training_set_is_named(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "train_lmdb"
    folder.mkdir()
    (folder / "data.mdb").write_bytes(LMDB)
    assert invoke([*words, str(folder)]) == 2
    assert ("LMDB" in capsys.readouterr().err) == (words != ["lint"])


def test_a_solver_is_named_by_both_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "solver.prototxt").write_text('net: "train_val.prototxt"\nbase_lr: 0.01\n')
    for words in (["inspect"], ["caffe", "inspect"]):
        assert invoke([*words, str(tmp_path / "solver.prototxt")]) == 5
        assert "a solver: it says how a net is trained" in " ".join(capsys.readouterr().err.split())


def test_a_network_of_darknet_is_no_solver(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.prototxt").write_text("# tiny\n[net]\nbatch=1\nwidth=416\n[convolutional]\nfilters=16\n")
    assert invoke(["caffe", "inspect", str(tmp_path / "net.prototxt")]) == 5
    assert "a network of Darknet" in capsys.readouterr().err


def test_a_net_for_training_leads_to_its_deploy_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train_val.prototxt").write_text(
        'layer { name: "d" type: "Data" top: "data" include { phase: TRAIN } data_param { source: "x" } }\n'
        'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }\n'
    )
    assert invoke(["caffe", "inspect", str(tmp_path / "train_val.prototxt")]) == 5
    assert "deploy.prototxt" in capsys.readouterr().err


def test_a_vertical_tab_is_white_space_and_a_zero_byte_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(NET.replace(" ", "\v", 2))
    assert invoke(["caffe", "inspect", str(net)]) == 0
    net.write_text(NET + "\0\0")
    capsys.readouterr()
    assert invoke(["caffe", "inspect", str(net)]) == 5
    assert f"a zero byte in it, at byte {len(NET)}" in capsys.readouterr().err
