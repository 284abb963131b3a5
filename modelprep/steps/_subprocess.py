"""Run a function in a separate Python process.

TensorFlow takes two seconds and half a gigabyte to import, logs to stderr as it likes, and cannot be unloaded: it never
enters the process that a user's command or a test runs in.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

from modelprep import errors
from modelprep.errors import ModelprepError, StepError

_MARK = "modelprep-result:"


def call(module: str, request: Mapping[str, object], *, what: str) -> Mapping[str, object]:
    """Run ``module.work(request)`` in a separate process and return its result (JSON-ready both ways).

    `module`: a module of ours with a function ``work``. `what`: what is being done, for messages: "freezing with
    TensorFlow". Raises ModelprepError: the one that ``work`` raised; StepError when the process died.
    """
    import os

    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    # Where this process found its modules (a checkout, a test's own path) the other is to find them, too.
    environment["PYTHONPATH"] = os.pathsep.join(part for part in sys.path if part)
    done = subprocess.run(
        [sys.executable, "-m", __name__, module],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    for line in reversed(done.stdout.splitlines()):
        if line.startswith(_MARK):
            answer = json.loads(line[len(_MARK) :])
            if "error" in answer:
                raise _rebuild(answer["error"])
            result: Mapping[str, object] = answer["result"]
            return result
    tail = [line for line in done.stderr.splitlines() if line.strip()][-3:]
    raise StepError(f"{what} failed", got=" | ".join(tail) or f"exit code {done.returncode}, nothing said")


def _rebuild(facts: dict[str, object]) -> ModelprepError:
    classes = {
        cls.kind: cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, ModelprepError)
    }
    kind, what = str(facts.pop("error")), str(facts.pop("what"))
    facts.pop("exit_code", None)
    return classes.get(kind, StepError)(what, **facts)  # type: ignore[arg-type]  # the facts came out of to_json


def _main() -> None:
    import importlib

    request = json.loads(sys.stdin.read())
    try:
        answer: dict[str, object] = {"result": importlib.import_module(sys.argv[1]).work(request)}
    except ModelprepError as error:
        answer = {"error": error.to_json()}
    sys.stdout.write(f"\n{_MARK}{json.dumps(answer)}\n")


if __name__ == "__main__":
    _main()
