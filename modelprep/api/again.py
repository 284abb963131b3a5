"""The options that a user gave, in the commands that a message names: what is printed works as typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from modelprep.api import options
from modelprep.api.declaring import declared

#: Options that say which files a command is about; those of one board exclude each other.
_BOARD = ("--bsp", "--soc", "--armnn")
_CARRIED = ("--recipes", "--out", "--cache", "--mirror", "--lockfile", "--allow-private", *_BOARD)
_VERBS: Mapping[str, type] = {
    "fetch": options.PlanOptions, "list": options.ListOptions, "show": options.ShowOptions,
    "check": options.CheckOptions, "deploy": options.DeployOptions, "bundle": options.BundleOptions,
    "mirror": options.MirrorOptions, "audit": options.AuditOptions,
}  # fmt: skip


def given(words: Sequence[str]) -> list[tuple[str, str]]:
    """Return the options of a command line that another command needs: flag and value, empty for a switch."""
    found = []
    for place, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag == "--allow-private":
            found.append((flag, ""))
        elif flag in _CARRIED:
            found.append((flag, value if equals else next(iter(words[place + 1 :]), "")))
    return found


def repeat(text: str, given: Sequence[tuple[str, str]]) -> str:
    """Return a text with the options that were given in each command of modelprep's that ends a line of it.

    `text`: lines: a command, or a sentence with a command after its colon. `given`: as :func:`given` returns.
    """
    return "\n".join(_line(line, given) for line in text.split("\n")) if given else text


def _line(line: str, given: Sequence[tuple[str, str]]) -> str:
    import shlex

    from modelprep import quoting

    _, found, command = line.rpartition(": modelprep ")
    if not found and not line.startswith("modelprep "):
        return line
    command = f"modelprep {command}" if found else line
    try:
        words = shlex.split(command)
    except ValueError:  # no command after all
        return line
    known = _flags(words[1]) if len(words) > 1 else frozenset()
    has = {word.partition("=")[0] for word in words}
    if has & {*_BOARD} or any("@" in word for word in words[2:3]):
        known -= {*_BOARD}
    more = [word for flag, value in given if flag in known - has for word in (flag, value) if word]
    # The command stays as it is written: it may have words in capitals for the user to fill in.
    return line + "".join(f" {quoting.sh(word)}" for word in more)


@cache
def _flags(verb: str) -> frozenset[str]:
    kinds = declared(_VERBS[verb]) if verb in _VERBS else ()
    return frozenset((option.flags or f"--{name.replace('_', '-')}").split()[0] for name, _, option in kinds)
