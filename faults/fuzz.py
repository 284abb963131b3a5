"""Fuzz one reader, guided by coverage: ``python faults/fuzz.py READER FOLDER SECONDS``.

An error of ours (:class:`ModelprepError`) is an answer; anything else that is raised is a finding, and so are inputs
that take more than 10 s or 1 GB.
"""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent)]

with atheris.instrument_imports(include=["modelprep"]):
    from readers import READERS

    import modelprep.check.lint.caffe
    import modelprep.check.lint.onnx
    import modelprep.check.lint.tf
    import modelprep.check.lint.tflite  # noqa: F401
    from modelprep.errors import ModelprepError


def main(name: str, folder: Path, seconds: int) -> None:
    """Fuzz until the time is up."""
    reader = READERS[name]
    corpus = folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(reader.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)

    def one(data: bytes) -> None:
        try:
            reader.read(data)
        except (ModelprepError, MemoryError):
            return

    options = [f"-max_total_time={seconds}", "-max_len=20000", "-timeout=10", "-rss_limit_mb=1500", "-verbosity=0",
               "-print_final_stats=1", f"-artifact_prefix={folder}/{name}-"]  # fmt: skip
    with atheris.instrument_imports(include=["modelprep"]):
        for seed in reader.seeds:
            one(seed)  # imports what the reader imports late, instrumented
    atheris.Setup([sys.argv[0], str(corpus), *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
