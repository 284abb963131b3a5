"""The child's side of :mod:`modelprep.check.runtimes.isolated`: ``python -m modelprep.check.runtimes.worker FD``."""

from __future__ import annotations

import os
import sys
from multiprocessing.connection import Connection
from typing import Any

from modelprep.check.runtimes import host
from modelprep.check.runtimes.base import Ready
from modelprep.errors import CheckFailed, ModelprepError


def _serve(descriptor: int) -> None:
    line = Connection(descriptor)
    models: dict[int, Ready] = {}
    while True:
        try:
            folder, interpreters, verb, *arguments = line.recv()
        except EOFError:
            return
        os.chdir(folder)
        # As in the parent now, which may have changed since this process began.
        for name, interpreter in interpreters.items():
            os.environ.pop(name, None)
            if interpreter is not None:
                os.environ[name] = interpreter
        try:
            line.send(("ok", _answer(models, verb, arguments)))
        except ModelprepError as error:
            line.send(("error", error))
        except Exception as error:  # noqa: BLE001 - the parent reports it, whatever it is
            said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            line.send(("error", CheckFailed("the host's runtime failed", got=said)))


def _answer(models: dict[int, Ready], verb: str, arguments: list[Any]) -> object:
    if verb == "load":
        handle = max(models, default=0) + 1
        loaded = models[handle] = host.ready(*arguments)
        return handle, loaded.runtime, loaded.quantisation, loaded.sizes
    if verb == "call":
        function, *rest = arguments
        return function(*rest)
    if verb == "run":
        handle, values = arguments
        return models[handle].run(values)
    models.pop(arguments[0], None)
    return None


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
