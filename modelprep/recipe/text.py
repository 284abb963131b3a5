r"""Allowed texts of a recipe: an allowlist for each kind of value.

Recipes are untrusted, and their texts become file names, words of shell scripts and BitBake recipes, URLs and lines on
a terminal. Texts with a special meaning there are refused when the recipe is loaded; the writers of
:mod:`modelprep.quoting` escape them in any case. A pattern here is in the syntax that Python and ECMAScript share,
since it is part of the JSON Schema too; the function beside it returns the problem as a sentence and agrees with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from modelprep import quoting
from modelprep.patterns import pattern
from modelprep.structs import dataclass, field

#: End of the string in both Python and ECMAScript (`$` alone lets a trailing newline pass in Python).
_END = r"$(?![\s\S])"
#: Letters of the scripts of file names, without marks that control the direction of text.
_LETTERS = (
    r"A-Za-z0-9\u00c0-\u024f\u0370-\u052f\u05d0-\u05ea\u0620-\u064a\u0900-\u0dff\u0e01-\u0e5b\u3041-\u30ff"
    r"\u3400-\u9fff\uac00-\ud7a3"
)
#: Forbidden in every text of a recipe: NUL and other control characters except tab and newline, bidi controls and other
#: invisible characters, and code points that are not characters.
_FORBIDDEN = pattern(f"[{quoting.UNSAFE}\\ufdd0-\\ufdef\\ufffe\\uffff]")
#: The same, but for what stays as it is, as a percent-encoded byte sequence.
_ENCODED = (
    r"%(?:[01][0-9A-Fa-f]|7[Ff]|[Cc]2%[89][0-9A-Fa-f]|[Dd]8%9[Cc]|[Ee]2%80%(?:8[BbEeFf]|[Aa][89A-Ea-e])"
    r"|[Ee]2%81%[Aa][0-9A-Fa-f]|[Ee][Ff]%[Bb][Bb]%[Bb][Ff])"
)
_NOT_ENCODED = rf"(?![\s\S]*{_ENCODED})"

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}" + _END
VARIABLE_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,29}" + _END
DEMO_PATTERN = rf"^[{_LETTERS}](?:[{_LETTERS} ._+(),-]{{0,98}}[{_LETTERS}._+)-])?" + _END
_RELATIVE = (
    r"(?!(?:[^/]*/)*\.{0,2}(?:/|$(?![\s\S])))(?![A-Za-z]:)(?! )(?![\s\S]* $(?![\s\S]))(?!(?:[^/]*/)*[^/]{256})"
    + _NOT_ENCODED
)
PATH_PATTERN = rf"^{_RELATIVE}[{_LETTERS} ._+,=@%~()#&!'^{{}}\[\]/-]{{1,1024}}" + _END
#: A place of `install`: a file, or with a slash at the end a folder to be filled (`./` is the tree itself).
PLACE_PATTERN = (
    rf"^(?:\./|(?!(?:[^/]*/)*\.{{0,2}}/)(?!(?:[^/]*/)*\.{{1,2}}$(?![\s\S]))(?![A-Za-z]:)(?! )(?![\s\S]* /?$(?![\s\S]))"
    rf"(?!(?:[^/]*/)*[^/]{{256}}){_NOT_ENCODED}[{_LETTERS} ._+,=@%~()#&!'^{{}}\[\]/-]{{1,1024}}/?)" + _END
)
#: A folder's name is used unquoted in more places than a file's: in FILES of BitBake, in a board's test report.
_FOLDER = rf"[{_LETTERS} ._+,=@~/-]"
FOLDER_PATTERN = rf"^(?!-){_RELATIVE}{_FOLDER}{{1,255}}" + _END
BOARD_PATTERN = rf"^/(?:$(?![\s\S])|{_RELATIVE}{_FOLDER}{{1,1023}})" + _END
_HOST = r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_URL = r"[^\s\x00-\x20\x7f\"<>\\^`{|}]"
URL_PATTERN = rf"^{_NOT_ENCODED}(?:https?://{_HOST}(?:[/?#]{_URL}*)?|file:{_URL}+)" + _END
#: An SPDX expression or a phrase on one line; it is written into BitBake recipes, documents and pages.
LICENCE_PATTERN = r"^(?:[^\s$`{}<>\\|][^\r\n\t$`{}<>\\|]{0,499})?" + _END
REF_PATTERN = r"^\$[A-Za-z0-9][A-Za-z0-9_.-]*(?:/[\s\S]+)?" + _END
STEP_PATTERN = r"^[a-z][a-z0-9_-]*(?:\.[a-z][a-z0-9_-]*)?" + _END


def forbidden(text: str) -> str | None:
    """Return the first forbidden character of a text, escaped for messages; None if there is none."""
    match = _FORBIDDEN.search(text)
    return quoting.line(match[0]) if match else None


def demo_fault(text: str) -> str | None:
    """Say why a text is not a name of a demo, or None when it is one; agrees with `DEMO_PATTERN`."""
    if re.search(DEMO_PATTERN, text):
        return None
    return _odd(rf"[{_LETTERS} ._+(),-]", text) or "the name is too long, or starts or ends with punctuation"


def up_to_odd(text: str) -> str:
    """Return the beginning of a wrong name or path, up to the first character that is not allowed."""
    match = re.match(rf"[{_LETTERS} ._+,=@%~()#&!'^{{}}\[\]/-]*", text)
    end = match.end() if match else 0
    return text if end == len(text) else f"{text[: end + 1]}..."


def command_up_to_fault(text: str) -> str:
    """Return the beginning of a wrong command, up to the wrong character."""
    try:
        parse_command(text)
    except CommandFault as fault:
        return f"{text[: fault.column + 1]}..." if fault.column + 1 < len(text) else text
    return text


def name_fault(text: str) -> str | None:
    """Say why a text is not a name of a recipe (``group/stem``, from its file's place), or None when it is one."""
    for part in text.split("/"):
        if not re.match(rf"[{_LETTERS}_]", part) or len(part) > 100:
            return "a recipe's file and folder have names that begin with a letter or digit, of 100 characters at most"
        if (fault := _odd(rf"[{_LETTERS} ._+(),=~-]", part)) is not None:
            return fault
    return None


def _odd(allowed: str, text: str) -> str | None:
    """Name the first character that is not allowed."""
    odd = next((char for char in text if not re.match(allowed, char)), None)
    return None if odd is None else f"the character '{quoting.line(odd)}' is not allowed here"


def path_fault(text: str) -> str | None:
    """Say why a text is not a path inside a tree or an archive, or None when it is one; agrees with `PATH_PATTERN`."""
    if text.startswith("/"):
        return "the path is absolute"
    if re.match(r"[A-Za-z]:", text):
        return "the path starts with a drive letter"
    if "\\" in text:
        return "the path contains a backslash; parts are separated by /"
    if re.search(r"[\x00-\x1f\x7f]", text) or re.search(_ENCODED, text):
        return "the path contains a control character"
    if text != text.strip(" "):
        return "the path starts or ends with a blank"
    parts = text.split("/")
    if ".." in parts:
        return "the path leads out of its folder (..)"
    if "" in parts or "." in parts:
        return "the path has an empty part (//, a / at its end, or a lone dot)"
    if len(text) > 1024 or any(len(part) > 255 for part in parts):
        return "the path is too long (at most 255 characters per part, 1024 in total)"
    return _odd(rf"[{_LETTERS} ._+,=@%~()#&!'^{{}}\[\]/-]", text)


def place_fault(text: str) -> str | None:
    """Say why a text is not a place of `install`, or None when it is one; agrees with `PLACE_PATTERN`."""
    return None if text == "./" else path_fault(text.removesuffix("/"))


def folder_fault(text: str) -> str | None:
    """Say why a text is not a folder below ``--out``, or None when it is one; agrees with `FOLDER_PATTERN`."""
    if text.startswith("-"):
        return "the folder's name begins with a dash"
    if len(text) > 255:
        return "the path is too long (255 characters)"
    return path_fault(text) or _odd(_FOLDER, text)


def board_fault(text: str) -> str | None:
    """Say why a text is not a folder on a board, or None when it is one; agrees with `BOARD_PATTERN`."""
    if not text.startswith("/"):
        return "the folder on the board is not an absolute path"
    if len(text) > 1024:
        return "the path is too long (1024 characters)"
    return None if text == "/" else path_fault(text[1:]) or _odd(_FOLDER, text)


def url_fault(text: str) -> str | None:
    """Say why a text is not a valid URL, or None when it is one; agrees with `URL_PATTERN`."""
    if re.search(r"[\s\x00-\x20\x7f]", text):
        return "the URL contains a blank or control character (a blank is written %20)"
    if re.search(_ENCODED, text):
        return "the URL contains a percent-encoded control character"
    try:
        parts = urlsplit(text)
    except ValueError:
        return "this is not a URL"
    if parts.scheme not in ("http", "https", "file"):
        return f"'{parts.scheme}:' URLs are not supported" if parts.scheme else "this is not a URL: it has no scheme"
    if re.search(URL_PATTERN, text):
        return None
    if parts.scheme != "file" and "@" in parts.netloc:
        return "the URL contains a user name or password (keep them in ~/.netrc)"
    if parts.scheme != "file" and not re.fullmatch(_HOST, parts.netloc):
        return "the URL's host has characters other than letters, digits, dots and dashes"
    return _odd(_URL, text) or "this is not a URL"


# -- the command for the board -----------------------------------------------------------------------------------------

#: Characters outside quotes; a shell does not expand or split at them.
_BARE = pattern(rf"[{_LETTERS}_.,:/=@%+^-]")
_ASSIGNED = pattern(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_MOST_WORDS = 200
_PIECE = rf"(?:[{_LETTERS}_.,:/=@%+^-]|'[^'\x00-\x1f\x7f-\x9f]*'|\"[^\"$`\\\x00-\x1f\x7f-\x9f]*\")"
COMMAND_PATTERN = (
    rf"^ *(?:[A-Za-z_][A-Za-z0-9_]*={_PIECE}* +)*(?![A-Za-z_][A-Za-z0-9_]*=)(?!(?:''|\"\")*(?:['\"]?-| |$(?![\s\S])))"
    rf"{_PIECE}+(?: +{_PIECE}+)* *" + _END
)


@dataclass(frozen=True)
class Command:
    """A program (on the board's PATH, or in the tree), its arguments and environment: never text for a shell."""

    program: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def line(self) -> str:
        """The command as one line for a POSIX shell."""
        return quoting.command(self.program, *self.arguments, environment=self.environment)

    def __str__(self) -> str:
        return self.line

    def __reduce__(self) -> tuple[object, ...]:
        return Command, (self.program, self.arguments, dict(self.environment))


class CommandFault(ValueError):
    """A text is not a command; `column` counts from 0."""

    def __init__(self, what: str, column: int = 0) -> None:
        super().__init__(what)
        self.column = column


def parse_command(text: str) -> Command:
    """Parse a command of a recipe: words, quotes as in a shell, ``NAME=value`` in front of the program.

    Nothing is expanded, so characters that a shell would expand, split at or redirect with need single quotes.

    Raises
    ------
    CommandFault
        The text is not one simple command.
    """
    words = _words(text)
    environment = {}
    while words and not words[0][1] and (match := _ASSIGNED.fullmatch(words[0][0])):
        environment[match[1]] = match[2]
        del words[0]
    if not words or not words[0][0]:
        raise CommandFault("the command has no program", len(text))
    if words[0][0].startswith("-"):
        raise CommandFault("the program's name begins with a dash")
    return Command(words[0][0], tuple(word for word, _ in words[1:]), MappingProxyType(environment))


def command_fault(text: str) -> str | None:
    """Say why a text is not a command, or None when it is one; agrees with `COMMAND_PATTERN`."""
    try:
        parse_command(text)
    except CommandFault as fault:
        return f"{fault} (character {fault.column + 1})"
    return None


def _words(text: str) -> list[tuple[str, bool]]:
    """Split a command: each word, and whether it begins with a quote (then it is not an assignment)."""
    words: list[tuple[str, bool]] = []
    word, quote, began_quoted = "", "", False
    inside = False
    for column, char in enumerate(text):
        if quote:
            if char == quote:
                quote = ""
            elif char in "\t\n" or _FORBIDDEN.match(char) or (quote == '"' and char in "$`\\"):
                raise CommandFault(f"the character '{quoting.line(char)}' is not allowed in a command's quotes", column)
            else:
                word += char
        elif char in "'\"":
            quote, began_quoted = char, began_quoted if inside else True
            inside = True
        elif char == " ":
            if inside:
                words.append((word, began_quoted))
            word, inside, began_quoted = "", False, False
        elif _BARE.match(char):
            word, inside = word + char, True
        else:
            raise CommandFault(f"the character '{quoting.line(char)}' is not part of one simple command", column)
    if quote:
        raise CommandFault("a quote is not closed", len(text))
    if inside:
        words.append((word, began_quoted))
    if len(words) > _MOST_WORDS:
        raise CommandFault(f"the command has more than {_MOST_WORDS} words", 0)
    return words
