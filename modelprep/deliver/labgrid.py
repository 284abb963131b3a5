"""Boards of a labgrid farm: a place is acquired, its ssh target taken from the coordinator, and always released."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from modelprep import quoting
from modelprep.deliver.remote import Board
from modelprep.errors import DeployError, MissingTool, ModelprepError
from modelprep.installed import install_command

#: Timeout of the coordinator in seconds.
PATIENCE = 60.0
_VARIABLE = "LG_COORDINATOR"


@contextmanager
def acquired(place: str, path: str = "") -> Iterator[tuple[Board, tuple[str, ...]]]:
    """Acquire a labgrid place for the block.

    `place`: its name. The coordinator is the one that ``LG_COORDINATOR`` names. `path`: the folder on the board. Yields
    the board, and ssh options that reach it. Raises MissingTool: labgrid is not installed; DeployError: the coordinator
    is not reached; the place is unknown, acquired by another user, or has no NetworkService; or it could not be
    released.
    """
    if importlib.util.find_spec("labgrid") is None:
        raise MissingTool("deploying to a labgrid place needs labgrid", hint=install_command("labgrid"))
    answer = _ask("acquire", place)
    try:
        yield _board(place, answer, path)
    except BaseException as error:
        try:
            _ask("release", place)
        except DeployError as second:
            if isinstance(error, ModelprepError):
                error.hint = f"{error.hint}\n{second.hint}" if error.hint else second.hint
        raise
    _ask("release", place)


def _board(place: str, answer: dict[str, str], path: str) -> tuple[Board, tuple[str, ...]]:
    options: tuple[str, ...] = ("-p", str(answer["port"]))
    try:
        login = quoting.destination(f"{answer['username']}@{answer['address']}")
        if proxy := answer["proxy"]:
            options = (*options, "-o", f"ProxyJump={quoting.destination(proxy)}")
    except quoting.Unquotable as error:
        raise DeployError(
            "labgrid's address of the board is not valid for ssh", where=f"labgrid:{place}", got=str(error)
        ) from None
    return Board(login, path), options


def _ask(action: str, place: str) -> dict[str, str]:
    """Let the worker do something; Ctrl-C does not end it halfway."""
    process = subprocess.Popen(
        [sys.executable, "-m", "modelprep.deliver.labgrid_worker", action, place],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        said, complaints = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise _failed(action, place, f"no answer in {PATIENCE:.0f} seconds") from None
    except BaseException:
        with contextlib.suppress(subprocess.TimeoutExpired, DeployError):
            process.communicate(timeout=PATIENCE)
            if action == "acquire" and process.returncode == 0:
                _ask("release", place)
        raise
    try:
        answer = json.loads(said)
        assert isinstance(answer, dict)
    except ValueError:
        lines = complaints.decode(errors="replace").strip().splitlines()
        answer = {"error": lines[-1] if lines else f"exit status {process.returncode}"}
    if "error" in answer:
        raise _failed(action, place, str(answer["error"]))
    return answer


def _failed(action: str, place: str, got: str) -> DeployError:
    coordinator = os.environ.get(_VARIABLE, "")
    by_hand = quoting.command("labgrid-client", "-p", place, "release" if action == "release" else "show")
    return DeployError(
        f"the labgrid place could not be {action}d",
        where=f"labgrid:{place}",
        got=got,
        hint=f"try `{by_hand}`"
        + ("" if coordinator else f"; {_VARIABLE} names another coordinator than this machine's"),
    )
