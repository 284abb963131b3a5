"""``modelprep onnx`` as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from onnx_small import image, net, onnx, run, save

from modelprep.installed import install_command

ROOT = Path(__file__).resolve().parents[3]


def modelprep(*words: str | Path, without: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command; `without` hides a module, as on a machine where its extra is not installed."""
    code = "import importlib.util as u, sys\n"
    if without:
        code += (
            "real = u.find_spec\n"
            f"u.find_spec = lambda name, package=None: None if name == {without!r} else real(name, package)\n"
            f"sys.modules[{without!r}] = None\n"
        )
    code += "from modelprep.cli.main import run\nsys.argv[0] = 'modelprep'\nrun()\n"
    words_ = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(words_, cwd=ROOT, capture_output=True, text=True, check=False)


def test_inspect_needs_no_extra(tmp_path: Path) -> None:
    path = save(net("N"), tmp_path / "m.onnx")
    done = modelprep("onnx", "inspect", path, "--nodes", "--weights", without="onnx")
    assert done.returncode == 0, done.stderr
    assert "Nx3x8x8" in done.stdout
    facts = json.loads(modelprep("onnx", "inspect", path, "--json", without="numpy").stdout)
    assert facts["opset"] == {"ai.onnx": 8}
    assert facts["outputs"] == [{"name": "prob", "dtype": "FLOAT", "shape": ["N", 10]}]
    assert facts["initialisers"]["count"] == 9


def test_rename_io_and_fix_need_no_extra(tmp_path: Path) -> None:
    path = save(net(), tmp_path / "m.onnx")
    renamed, fixed = tmp_path / "r.onnx", tmp_path / "f.onnx"
    done = modelprep("onnx", "rename-io", path, "-o", renamed, "--rename-input", "image=data", without="onnx")
    assert done.returncode == 0, done.stderr
    done = modelprep("onnx", "fix", renamed, "-o", fixed, "--for", "armnn-19.02", without="onnx")
    assert done.returncode == 0, done.stderr
    assert run(fixed, {"data": image()})[0].shape == (1, 10)
    done = modelprep("onnx", "check", fixed, "--for", "armnn-19.02")
    assert done.returncode == 0, done.stderr


def test_a_missing_extra_is_named_with_the_command_that_brings_it(tmp_path: Path) -> None:
    path = save(net(), tmp_path / "m.onnx")
    for words in (("onnx", "check", path), ("onnx", "fix", path, "-o", tmp_path / "f.onnx", "--opset", "12")):
        done = modelprep(*words, without="onnx")
        assert done.returncode == 7, done.stderr
        assert install_command("onnx") in done.stderr
    assert not (tmp_path / "f.onnx").exists()


def test_external_data_beside_the_model_are_found_and_none_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    onnx.save_model(net(channels=64), str(folder / "m.onnx"), save_as_external_data=True, location="w.bin")
    done = modelprep("onnx", "fix", folder / "m.onnx", "-o", tmp_path / "f.onnx", "--for", "armnn-19.02")
    assert done.returncode == 0, done.stderr
    hostile = onnx.load(str(folder / "m.onnx"), load_external_data=False)
    for tensor in hostile.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../../../etc/passwd"
    save(hostile, folder / "h.onnx")
    done = modelprep("onnx", "fix", folder / "h.onnx", "-o", tmp_path / "g.onnx", "--batch", "2")
    assert done.returncode == 5
    assert "outside its own folder" in done.stderr


def test_wrong_options_are_wrong_usage(tmp_path: Path) -> None:
    path = save(net("N"), tmp_path / "m.onnx")
    out = tmp_path / "o.onnx"
    for words in (["--dim", "N=many"], ["--dim", "N"], ["--for", "armnn-1.0"], ["--data", "raw"], ["--batch", "0"]):
        done = modelprep("onnx", "fix", path, "-o", out, *words)
        assert done.returncode == 2, (words, done.stderr)
    assert modelprep("onnx", "fix", tmp_path / "none.onnx", "-o", out, "--batch", "1").returncode in (2, 6)
    assert modelprep("onnx", "fix", path, "-o", out, "--dim", "N=1", "--json").returncode == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx", "o.onnx"]
