"""The real Caffe as an oracle, in an interpreter of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ORACLE = Path(__file__).with_name("pycaffe_oracle.py")
Save = Callable[..., dict[str, "bytes | None"]]


@pytest.fixture(scope="session")
def caffe_saves(pycaffe: str, tmp_path_factory: pytest.TempPathFactory) -> Save:
    """Return what Caffe saves of nets, without blobs: name -> bytes, or None for a net that Caffe refuses."""

    def save(texts: Mapping[str, str], phase: str = "TEST") -> dict[str, bytes | None]:
        folder = tmp_path_factory.mktemp("nets")
        arguments = []
        for number, text in enumerate(texts.values()):
            source = folder / f"{number}.prototxt"
            source.write_bytes(text.encode("utf-8"))
            arguments += [str(source), str(folder / f"{number}.bin")]
        done = subprocess.run([pycaffe, str(ORACLE), "save", phase, *arguments], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-2000:]
        targets = [folder / f"{number}.bin" for number in range(len(texts))]
        return {
            name: target.read_bytes() if target.exists() else None for name, target in zip(texts, targets, strict=True)
        }

    return save
