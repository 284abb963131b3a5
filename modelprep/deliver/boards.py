"""Several boards: their names, and lists of them."""

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

#: ssh options for several boards in parallel: nobody can answer eight prompts on one terminal, and the system's timeout
#: for a board that is switched off is too long.
UNATTENDED = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=30")
#: Prefix of a labgrid place. A host of that name needs its user name.
LABGRID = "labgrid:"
#: Maximum size of a list of boards in bytes.
_LARGEST = 1 << 20


@dataclass(frozen=True)
class Target:
    """One board to deploy to.

    `name`: as the user wrote it. `board`: how ssh reaches it; None for a labgrid place, known once it is acquired.
    `place`, `path`: the labgrid place and the folder there; empty for an ssh destination.
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
    """Open the connection to a board, and close it at the end; a labgrid place is acquired and released.

    `ssh`: the ssh command with the user's options. `unattended`: ask for nothing on the terminal (:data:`UNATTENDED`).
    `processes`: processes that use the connection. Raises MissingTool: no ssh program on this machine, or no labgrid;
    DeployError: the labgrid place cannot be acquired or released.
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

    Raises UsageError: the text is not a board.
    """
    if not text.startswith(LABGRID):
        return Target(text, remote.parse_board(text))
    place, _, path = text.removeprefix(LABGRID).partition(":")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_./@+-]*", place) or "\n" in path:
        raise UsageError(
            f"'{quoting.line(text)}' is not a labgrid place",
            expected="labgrid:PLACE, in letters, digits, dots, dashes and slashes",
        )
    return Target(text, None, place, path.removeprefix("~/").rstrip("/") or ("/" if path.startswith("/") else ""))


def parse_targets(texts: Sequence[str]) -> tuple[Target, ...]:
    """Read the names of several boards.

    Raises UsageError: a text is not a board, there is none, or one occurs twice.
    """
    targets = tuple(parse_target(text) for text in texts)
    if not targets:
        raise UsageError("no board given", expected="user@host[:path], one or several")
    known: dict[str, Target] = {}
    for target in targets:
        other = known.setdefault(target.key, target)
        if other is not target:
            raise UsageError("the same board is given twice", got=f"{other.name} and {target.name}")
    return targets


def read_boards(path: Path) -> list[str]:
    """Read a list of boards: one per line; empty lines and comments (``#`` after a blank) are ignored.

    Raises
    ------
    UsageError
        The file is not text, contains no board, or a line is not a board.
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
        raise UsageError("not a list of boards", where=str(path), expected="text, one board per line")
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
        raise UsageError("the list contains no board", where=str(path), expected="user@host[:path], one per line")
    return boards


def report_names(targets: Sequence[Target]) -> dict[str, str]:
    """Return board -> name of its report: the login, made a valid file name, and ``.xml``."""
    names: dict[str, str] = {}
    for target in targets:
        stem = re.sub(r"[^A-Za-z0-9_.@+-]+", "-", target.key).strip("-.") or "board"
        name, number = f"{stem}.xml", 1
        while name in names.values():
            number += 1
            name = f"{stem}-{number}.xml"
        names[target.name] = name
    return names
