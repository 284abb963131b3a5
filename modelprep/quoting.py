"""One writer for each language in which text leaves the program.

POSIX shell, BitBake, ssh and sftp, terminals, HTML, JSON, YAML and ``sha256sum`` lists. All text from outside this code
base is written by these functions only; ``tests/quoting`` reads the result with the real reader of each language.

Text that a language cannot express (a NUL in a shell word, ``${`` in a BitBake value) raises :class:`Unquotable`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from modelprep.patterns import pattern

#: Reserved words of POSIX sh, which are not program names unless they are quoted.
_RESERVED = pattern(r"case|do|done|elif|else|esac|fi|for|function|if|in|select|then|time|until|while")
_PLAIN = pattern(r"[A-Za-z0-9_@%+=:,./-]+")
_IDENTIFIER = pattern(r"[A-Za-z_][A-Za-z0-9_]*")
_USER = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*"
_HOST = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*)"
_IPV6 = r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9_.-]+)?"
_DESTINATION = pattern(rf"(?:{_USER}@)?(?:{_HOST}|{_IPV6})")
#: Characters that control a terminal or hide and reorder text: C0, DEL, C1, soft hyphen, bidi controls, other invisible
#: format characters, line and paragraph separators, lone surrogates, tags. Tab and newline are handled separately.
UNSAFE = (
    "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff"
    "\\ufff9-\\ufffb\\ud800-\\udfff\\U000e0000-\\U000e007f"
)
_UNSAFE = pattern(f"[{UNSAFE}]")
_UNSAFE_IN_LINE = pattern(f"[\\t\\n{UNSAFE}]")
_CONTROL = pattern(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SHORT = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}


class Unquotable(ValueError):
    """A text that the language cannot express."""

    def __init__(self, language: str, text: str) -> None:
        super().__init__(f"this cannot be written as {language}: {line(text)}")


# -- POSIX sh ----------------------------------------------------------------------------------------------------------


def sh(text: str) -> str:
    """Write one word for a POSIX shell (an argument: see :func:`command` for a program's name).

    Raises
    ------
    Unquotable
        The text contains a NUL.
    """
    if "\0" in text:
        raise Unquotable("a shell word", text)
    return text if _PLAIN.fullmatch(text) else "'" + text.replace("'", "'\\''") + "'"


def command(*words: str, environment: Mapping[str, str] | None = None) -> str:
    """Write a simple command for a POSIX shell: a program and its arguments, all of them data.

    Parameters
    ----------
    words
        The program first. A name that the shell would read as an assignment or a reserved word is quoted.
    environment
        Variables set for this one command.

    Raises
    ------
    Unquotable
        A word contains a NUL, a variable's name is no identifier, or there is no program.
    """
    if not words or not words[0]:
        raise Unquotable("a command", "")
    program = words[0]
    special = _RESERVED.fullmatch(program) or "=" in program
    first = f"'{program}'" if special and _PLAIN.fullmatch(program) else sh(program)
    assigned = []
    for name, value in (environment or {}).items():
        if not _IDENTIFIER.fullmatch(name):
            raise Unquotable("the name of a shell variable", name)
        assigned.append(f"{name}={sh(value)}")
    return " ".join([*assigned, first, *(sh(word) for word in words[1:])])


def operand(path: str) -> str:
    """Write a relative or absolute path so that no program reads it as an option or as standard input: ``./-x``."""
    return f"./{path}" if path.startswith("-") else path


# -- BitBake -----------------------------------------------------------------------------------------------------------


def bitbake(text: str) -> str:
    """Write a BitBake value with its quotes; BitBake expands it to exactly this text.

    Raises
    ------
    Unquotable
        The text contains a control character, ``${``, or both kinds of quotes: BitBake has no escapes for them.
    """
    if _CONTROL.search(text) or "${" in text or ('"' in text and "'" in text):
        raise Unquotable("a BitBake value", text)
    return f"'{text}'" if '"' in text else f'"{text}"'


def bitbake_prose(text: str) -> str:
    """Write a text for people (a summary) as a BitBake value: what the language cannot express is replaced."""
    text = " ".join(_CONTROL.sub(" ", text).split()).replace("${", "$ {")
    return bitbake(text.replace('"', "'"))


def bitbake_sh(text: str) -> str:
    """Write one word for a shell function of a BitBake recipe, which BitBake expands before the shell reads it.

    A control character is refused: a new line could end the function.
    """
    if _CONTROL.search(text):
        raise Unquotable("a word in a BitBake function", text)
    # `$''{` is `${` to the shell, and no expansion to BitBake.
    return sh(text).replace("${", "$''{")


def bitbake_path(text: str) -> str:
    """Write a folder as a BitBake value that shell functions name between double quotes.

    Characters that are special there, or in a list of globs (``FILES``), are refused.
    """
    if re.search(r"[\"'`$\\*?\[\];|&<>(){}]", text):
        raise Unquotable("a folder in a BitBake recipe", text)
    return bitbake(text)


def bitbake_item(text: str) -> str:
    """Write one item of a list that BitBake splits at blanks (an entry of ``SRC_URI``); no quotes are added."""
    if not text or re.search(r"[\s\"']", text) or _CONTROL.search(text) or "${" in text:
        raise Unquotable("an item of a BitBake list", text)
    return text


# -- ssh and sftp ------------------------------------------------------------------------------------------------------


def destination(login: str) -> str:
    """Return ``user@host`` (or a host, or an IPv6 address) as an argument of ssh, scp or sftp.

    Raises
    ------
    Unquotable
        A character is not allowed in users and hosts, or the first one is a dash: ssh would read it as an option, and
        configurations put user and host into their own commands.
    """
    if not _DESTINATION.fullmatch(login):
        raise Unquotable("a login of ssh", login)
    return login


def remote(login: str, words: str) -> list[str]:
    """Return the end of an ssh command line: the destination and one command for the shell there.

    Parameters
    ----------
    login
        See :func:`destination`.
    words
        Made by :func:`command` or written in this code base.

    Raises
    ------
    Unquotable
        The login is not valid, or the command begins with a dash, which ssh reads as an option even there.
    """
    if words.startswith("-"):
        raise Unquotable("a command for ssh", words)
    return ["--", destination(login), words]


def sftp(path: str) -> str:
    """Write a path for a batch file of sftp: between double quotes, where patterns are not expanded.

    Raises
    ------
    Unquotable
        The path contains a newline, a carriage return or a NUL, which end a line of a batch file.
    """
    if re.search(r"[\0\n\r]", path):
        raise Unquotable("a line of an sftp batch", path)
    return '"' + re.sub(r'([\\"])', r"\\\1", operand(path)) + '"'


# -- terminals ---------------------------------------------------------------------------------------------------------


def terminal(text: str) -> str:
    """Write text of several lines for a terminal: control characters and those that reorder text are shown escaped."""
    return text if text.isascii() and text.isprintable() else _UNSAFE.sub(_shown, text)


def line(text: str) -> str:
    """Write text for one line of a terminal: as :func:`terminal`, with newlines and tabs escaped too."""
    return text if text.isascii() and text.isprintable() else _UNSAFE_IN_LINE.sub(_shown, text)


def _shown(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# -- HTML, JSON, YAML --------------------------------------------------------------------------------------------------


def html(text: str) -> str:
    """Write text for HTML, in an element or in an attribute between quotes; control characters are shown escaped."""
    from html import escape

    return escape(terminal(text))


def link(url: str, text: str = "") -> str:
    """Write a link to an http or https URL as HTML; for anything else only the text."""
    shown = html(text or url)
    return f'<a rel="noreferrer" href="{html(url)}">{shown}</a>' if re.match(r"(?i)https?://", url) else shown


def json(value: object, *, indent: int | None = None, default: Callable[[object], object] | None = None) -> str:
    r"""Write a value as JSON that is safe to show on a terminal: control characters are written as ``\uXXXX``."""
    import json as library

    return _UNSAFE.sub(_as_json, library.dumps(value, indent=indent, ensure_ascii=False, default=default))


def _as_json(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def yaml(text: str) -> str:
    """Write a text as a double-quoted YAML scalar.

    Raises
    ------
    Unquotable
        The text contains a lone surrogate, which YAML cannot.
    """
    import json as library

    if re.search("[\ud800-\udfff]", text):
        raise Unquotable("a YAML text", text)
    # JSON strings are YAML strings, except for characters that YAML calls not printable.
    written = library.dumps(text, ensure_ascii=False)
    return re.sub(f"[{UNSAFE}\ufffe\uffff]", lambda match: _as_yaml(ord(match[0])), written)


def _as_yaml(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def yaml_document(value: object) -> str:
    """Write mappings, lists, texts and numbers as a YAML document, in their order."""
    from yaml import SafeDumper, dump

    class Dumper(SafeDumper):
        """Writes every value in full, never as an alias, and texts of several lines as blocks."""

        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - its base asks for it
            return True

    def text(dumper: Dumper, data: str) -> Any:
        yaml(data)  # refuses a lone surrogate
        block = "\n" in data and not _UNSAFE.search(data) and not re.search(r"[ \t]\n|\A\s", data)
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style="|" if block else None)

    Dumper.add_representer(str, text)
    return str(dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=False, width=1000))


# -- sha256sum ---------------------------------------------------------------------------------------------------------


def sums_line(digest: str, path: str) -> str:
    """Write one line of a list for ``sha256sum -c``, with its newline.

    A backslash, newline or carriage return in a name is escaped as coreutils does; busybox reads no escapes. The name
    ``-`` is written as ``./-``, which is not standard input.

    Raises
    ------
    Unquotable
        The name is empty or contains a NUL.
    """
    if not path or "\0" in path:
        raise Unquotable("a name in a list of sums", path)
    name = "./-" if path == "-" else path
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if escaped == name else chr(92)}{digest}  {escaped}\n"


def read_sums(text: str) -> dict[str, str]:
    """Read what ``sha256sum`` prints, or a list for it: path -> digest; other lines are ignored."""
    found = {}
    for escaped, digest, name in re.findall(r"^(\\?)([0-9a-f]{64}) [ *](.+)$", text, re.MULTILINE):
        if escaped:
            name = re.sub(r"\\([\\nr])", lambda match: {"n": "\n", "r": "\r"}.get(match[1], "\\"), name)
        found["-" if name == "./-" else name] = digest
    return found
