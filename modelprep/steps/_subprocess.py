"""Run a function in a separate Python process.

TensorFlow takes two seconds and half a gigabyte to import, logs to stderr as it likes, and cannot be unloaded: it never
enters the process that a user's command or a test runs in.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from modelprep import errors
from modelprep.errors import ModelprepError, StepError
from modelprep.steps import Facts

#: For every process that may load TensorFlow: quiet, on the CPU, sets and sums in the same order every time.
ENVIRONMENT: Mapping[str, str] = {
    "PYTHONHASHSEED": "0", "TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": "-1",
}  # fmt: skip
_MARK = "modelprep-result:"
#: Without the working directory on the path: it may have a folder with the name of a module.
_CODE = f"import sys; sys.path[:] = filter(None, sys.path); from {__name__} import main; main()"


def call(
    module: str, request: Mapping[str, object], *, failure: str, where: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Facts:  # fmt: skip
    """Run ``module.work(request)`` in a separate process and return its result (JSON-ready both ways).

    `module`: a module of ours with a function ``work``. `failure`, `where`: the message when the process dies. Raises
    ModelprepError: the one that ``work`` raised; StepError when the process died.
    """
    import subprocess

    # The other process finds its modules where this one found them (a checkout, a test's own path).
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-c", _CODE, module], input=json.dumps(request), capture_output=True, text=True,
        errors="replace", check=False, env={**os.environ, **ENVIRONMENT, **(environment or {}), "PYTHONPATH": path},
    )  # fmt: skip
    for line in reversed(done.stdout.splitlines()):
        if line.startswith(_MARK):
            answer = json.loads(line[len(_MARK) :])
            if "error" in answer:
                raise _rebuild(answer["error"])
            result: Facts = answer["result"]
            return result
    tail = [line for line in done.stderr.splitlines() if line.strip()][-3:]
    raise StepError(
        failure, where=None if where is None else str(where),
        got=" | ".join(tail) or f"exit code {done.returncode}, nothing said",
        hint=f"it was ended by signal {-done.returncode}; check that there is enough memory"
        if done.returncode < 0 else None,
    )  # fmt: skip


def _rebuild(facts: dict[str, object]) -> ModelprepError:
    classes = {
        cls.kind: cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, ModelprepError)
    }
    kind, what = str(facts.pop("error")), str(facts.pop("what"))
    facts.pop("exit_code", None)
    return classes.get(kind, StepError)(what, **facts)  # type: ignore[arg-type]  # the facts came out of to_json


def main() -> None:
    """Answer :func:`call` in the other process: the module is an argument, the request is on stdin."""
    import importlib

    request = json.loads(sys.stdin.read())
    try:
        answer: dict[str, object] = {"result": importlib.import_module(sys.argv[1]).work(request)}
    except ModelprepError as error:
        answer = {"error": error.to_json()}
    sys.stdout.write(f"\n{_MARK}{json.dumps(answer)}\n")
