"""Several boards: how they are named, and what a list of them looks like."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelprep import quoting
from modelprep.deliver import labgrid, remote
from modelprep.deliver.processes import Processes
from modelprep.deliver.remote import Board, Channel
from modelprep.errors import UsageError
from modelprep.store.disk import storage

#: Options of ssh's where several boards are asked at once: nobody could answer eight prompts on one terminal, and a
#: board that is switched off must not be waited for as long as the system would.
UNATTENDED = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=30")
#: What the name of a place of labgrid's begins with. A host of that name is written with its user.
LABGRID = "labgrid:"
#: Bytes of a list of boards at most.
_LARGEST = 1 << 20


@dataclass(frozen=True)
class Target:
    """One board to deploy to.

    Parameters
    ----------
    name
        As the user wrote it.
    board
        How ssh reaches it; None for a place of labgrid's, which says so when it has been acquired.
    place, path
        Of labgrid's, and the folder there; empty for a board that ssh knows.
    """

    name: str
    board: Board | None
    place: str = ""
    path: str = ""

    @property
    def key(self) -> str:
        """Equal for two ways to write the same board."""
        return self.board.login if self.board is not None else f"{LABGRID}{self.place}"


@contextmanager
def reach(
    target: Target, ssh: Sequence[str], *, unattended: bool = False, processes: Processes | None = None
) -> Iterator[Channel]:
    """Open the connection to a board, and close it in the end; a place of labgrid's is acquired and released.

    Parameters
    ----------
    ssh
        The ssh command with options of the user's own.
    unattended
        Ask for nothing on the terminal (:data:`UNATTENDED`).
    processes
        What is to run over the connection.

    Raises
    ------
    MissingTool
        No ssh program on this machine, or no labgrid.
    DeployError
        The place of labgrid's cannot be acquired or released.
    """
    options = UNATTENDED if unattended else ()
    with ExitStack() as stack:
        board = target.board
        if board is None:
            board, more = stack.enter_context(labgrid.acquired(target.place, target.path))
            options = (*more, *options)
        yield stack.enter_context(remote.connect(board, ssh, options=options, processes=processes))


def parse_target(text: str) -> Target:
    """Read a board as it is named on the command line: ``user@host[:path]`` or ``labgrid:PLACE[:path]``.

    Raises
    ------
    UsageError
        It names no board.
    """
    if not text.startswith(LABGRID):
        return Target(text, remote.parse_board(text))
    place, _, path = text.removeprefix(LABGRID).partition(":")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_./@+-]*", place) or "\n" in path:
        raise UsageError(
            f"'{quoting.line(text)}' names no place of labgrid's",
            expected="labgrid:PLACE, in letters, digits, dots, dashes and slashes",
        )
    return Target(text, None, place, path.removeprefix("~/").rstrip("/") or ("/" if path.startswith("/") else ""))


def parse_targets(texts: Sequence[str]) -> tuple[Target, ...]:
    """Read the names of several boards.

    Raises
    ------
    UsageError
        One names no board, there is none, or one is named twice.
    """
    targets = tuple(parse_target(text) for text in texts)
    if not targets:
        raise UsageError("no board is named", expected="user@host[:path], one or several")
    known: dict[str, Target] = {}
    for target in targets:
        other = known.setdefault(target.key, target)
        if other is not target:
            raise UsageError("a board is named twice", got=f"{other.name} and {target.name}")
    return targets


def read_boards(path: Path) -> list[str]:
    """Read a list of boards: one a line; empty lines and what follows a ``#`` after a blank are passed over.

    Raises
    ------
    UsageError
        It cannot be read as text, names no board, or a line names none.
    StorageError
        It is not there.
    """
    with storage(path, doing="read the list of boards"), path.open("rb") as stream:
        data = stream.read(_LARGEST + 1)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if len(data) > _LARGEST or "\0" in text:
        raise UsageError("this is no list of boards", where=str(path), expected="text, one board a line")
    boards = []
    for number, line in enumerate(text.splitlines(), 1):
        if name := re.sub(r"(?:^|\s)#.*", "", line).strip():
            try:
                parse_target(name)
            except UsageError as error:
                error.where = f"{path}:{number}"
                raise
            boards.append(name)
    if not boards:
        raise UsageError("the list names no board", where=str(path), expected="user@host[:path], one a line")
    return boards


def report_names(targets: Sequence[Target]) -> dict[str, str]:
    """Return board -> name of its report: the login, what a file's name cannot hold replaced, and ``.xml``."""
    names: dict[str, str] = {}
    for target in targets:
        stem = re.sub(r"[^A-Za-z0-9_.@+-]+", "-", target.key).strip("-.") or "board"
        name, number = f"{stem}.xml", 1
        while name in names.values():
            number += 1
            name = f"{stem}-{number}.xml"
        names[target.name] = name
    return names
