"""Rows beside other tools for the same task, without an aim: downloaders, and compilers that steps call."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from timing import MIB, ROOT, Command, Cost, Row, run, side_by_side
from transfers import Fetches, make, recipe, server

#: An environment with pooch and huggingface_hub: `make bench` makes it.
_PYTHON = ROOT / ".venv" / "peers" / "bin" / "python"
_POOCH = "import pooch, sys; pooch.retrieve(sys.argv[1], f'sha256:{sys.argv[2]}', path=sys.argv[3])"
_HUB = "import sys, huggingface_hub as hub; hub.hf_hub_download('bench/large', 'large.bin', cache_dir=sys.argv[1])"


def downloads(work: Path, rounds: int, size: int) -> list[Row]:
    """Fetch one file beside wget, pooch and huggingface_hub; the first two check the SHA-256 as we do."""
    fetches, peer = Fetches(work), str(work / "peer")
    served = work / "www" / "bench" / "large" / "resolve" / "main"  # as the hub's addresses are
    served.mkdir(parents=True)
    sha256 = make(served / "large.bin", size, 1)
    found = []
    with server(work / "www") as base:
        url = f"{base}/bench/large/resolve/main/large.bin"
        recipe(work / "recipes", [(url, sha256, size)])
        wget = f"wget -qO '{peer}/large.bin' '{url}' && sha256sum '{peer}/large.bin'"
        commands = {
            "wget and sha256sum": ("sh", "-c", wget) if shutil.which("wget") else (),
            "pooch": (str(_PYTHON), "-c", _POOCH, url, sha256, peer),
            "huggingface_hub, which checks no SHA-256": (str(_PYTHON), "-c", _HUB, peer),
        }
        hub = {**os.environ, "HF_ENDPOINT": base, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        for name, command in commands.items():
            row = Row(f"{size // MIB} MiB cold, whole command, times faster than {name}", None, more=True, wire=size)
            found.append(row)
            if not command or not shutil.which(command[0]):
                row.note = "it is not installed here"
                continue

            def theirs(command: tuple[str, ...] = command) -> Cost:
                fetches.clear()
                return run(command, hub)

            row.pairs = side_by_side(min(rounds, 3), fetches.fetch, theirs)
    return found


def tools(work: Path, rounds: int) -> list[Row]:
    """Run commands that call another tool, beside that tool alone."""
    row = Row("`tflite vela` of a MobileNet with its check, against Vela alone", None)
    onnx = Row("`onnx to-tflite`, against onnx2tf alone", None)
    onnx.note = "onnx2tf needs its own TensorFlow; the command runs it and checks the result"
    vela = os.environ.get("MODELPREP_VELA", "")
    if not vela:
        row.note = "ethos-u-vela is not installed here"
        return [row, onnx]
    model, output = work / "model.tflite", work / "out.tflite"
    code = "import sys; from demo.families import imagenet\nfrom pathlib import Path\n"
    code += "data = next(item.data for item in imagenet.make() if item.asset == 'mobilenet-v1-quant')\n"
    code += "Path(sys.argv[1]).write_bytes(data)"
    subprocess.run([sys.executable, "-c", code, str(model)], check=True, cwd=ROOT)
    modelprep = Command(work)
    modelprep.environment["MODELPREP_VELA"] = vela
    ours = partial(modelprep, "tflite", "vela", model, "-o", output, "--no-verify", "-q", "--force")
    alone = [vela, str(model), "--accelerator-config", "ethos-u65-256", "--output-dir", str(work / "vela")]
    row.pairs = side_by_side(min(rounds, 3), ours, partial(run, alone))
    return [row, onnx]
