"""Text layout for a terminal width: tables with folded cells, paragraphs, commands over several lines.

Nothing is cut off. A table that is too wide folds its cells at blanks, then at punctuation inside names; a paragraph
folds at blanks only, so that a URL or a checksum in it can be copied; a command folds with backslashes.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal, TextIO

from modelprep.api import text as quoting

Style = Literal["bold", "dim", "red", "green", "yellow", "cyan"]

_CODES: Mapping[Style, str] = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
#: Marks our own escape codes until a text is written: other text cannot contain them.
_OURS = os.urandom(8).hex()
STYLE = re.compile(rf"\x1b\[{_OURS};([0-9;]*)m")
#: Blanks between two columns.
_GAP = 2
#: A column is never narrower, if its text is not.
_NARROWEST = 8
#: Where a name may break: after punctuation, or before a capital letter.
_BREAKS = re.compile(r"(?<=[/\-_.,:;=@])|(?<=[a-z0-9])(?=[A-Z])")

#: A word of a command as :mod:`modelprep.quoting` writes one.
_SHELL_WORD = re.compile(r"(?:[^\s'\"\\]|\\.|'[^']*'|\"[^\"]*\")+")


def write(stream: TextIO, text: str) -> None:
    """Write to a stream that may not be UTF-8: a file name must not end the run."""
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def paint(text: str, *styles: Style) -> str:
    """Mark a text to be written in the given styles."""
    codes = ";".join(_CODES[style] for style in styles)
    return _painted(text, codes) if codes else text


def measure(text: str) -> int:
    """Count the columns that a text takes: wide characters two, combining ones none."""
    plain = STYLE.sub("", text) if "\x1b" in text else text
    if plain.isascii():
        return len(plain)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in plain
    )


def layout(columns: Sequence[str], rows: Sequence[Sequence[object]], width: int | None = None) -> list[str]:
    """Lay a table out in lines: two blanks between columns, no trailing blanks, headings first.

    `columns`: headings; one that starts with ``>`` is aligned to the right. No headings are written if all are empty.
    `rows`: cells, made text with ``str``; None is an empty cell. `width`: columns of the terminal; cells fold until the
    table is no wider. None folds nothing.
    """
    right = [name.startswith(">") for name in columns]
    cells = [[name.lstrip(">") for name in columns]] if any(columns) else []
    cells += [["" if cell is None else _cell(str(cell)) for cell in row] for row in rows]
    if not cells:
        return []
    widths = [max(measure(row[i]) for row in cells) for i in range(len(columns))]
    if width is not None:
        widths = _shrunk(widths, [max(map(_longest_word, column)) for column in zip(*cells, strict=True)], width)
    lines = []
    for row in cells:
        folded = [_folded(cell, size) for cell, size in zip(row, widths, strict=True)]
        for number in range(max(map(len, folded))):
            parts = [cell[number] if number < len(cell) else "" for cell in folded]
            padded = [
                " " * (size - measure(part)) + part if to_right else part + " " * (size - measure(part))
                for part, size, to_right in zip(parts, widths, right, strict=True)
            ]
            lines.append((" " * _GAP).join(padded).rstrip())
    return lines


def paragraph(text: str, width: int, first: str = "", later: str | None = None) -> list[str]:
    """Fold prose at blanks.

    `text`: one paragraph; line ends count as blanks. `width`: columns; a longer word stands alone in its line. `first`,
    `later`: what the first line and the others begin with; the others with as many blanks as `first` has characters
    when left out.
    """
    later = " " * measure(first) if later is None else later
    lines, line = [], first
    empty = True
    for word in _words(text):
        if not empty and measure(line) + 1 + measure(word) > width:
            lines.append(line)
            line, empty = later, True
        line += word if empty else f" {word}"
        empty = False
    return [*lines, line]


def continued(command: str, width: int, indent: str = "  ") -> list[str]:
    """Fold a shell command between its words, each line but the last ending in a backslash."""
    if measure(indent) + measure(command) <= width:
        return [indent + command]
    lines, line = [], indent
    for word in _SHELL_WORD.findall(command):
        if line.strip() and measure(line) + 1 + measure(word) > width - 2:
            lines.append(f"{line} \\")
            line = f"{indent}  "
        line += word if not line.strip() else f" {word}"
    return [*lines, line]


def _shrunk(widths: Sequence[int], words: Sequence[int], width: int) -> list[int]:
    """Return a width for each column so that all fit: the widest shrink first, at first only to their longest word."""
    room = width - _GAP * (len(widths) - 1)
    for least in (words, [min(size, _NARROWEST) for size in widths]):
        if sum(widths) <= room:
            break
        if sum(map(min, widths, least)) <= room:
            widths = _capped(widths, least, room)
    if sum(widths) > room:
        widths = [min(size, _NARROWEST) for size in widths]
    return list(widths)


def _capped(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    cap = max(widths)
    while sum(max(min(size, cap), small) for size, small in zip(widths, map(min, widths, least), strict=True)) > room:
        cap -= 1
    found = [max(min(size, cap), small) for size, small in zip(widths, map(min, widths, least), strict=True)]
    for number, size in enumerate(widths):
        found[number] += min(size - found[number], room - sum(found))
    return found


def _folded(cell: str, width: int) -> list[str]:
    """Fold a cell; a style that begins it applies to all its lines."""
    if measure(cell) <= width:
        return [cell]
    plain = STYLE.sub("", cell)
    style = match[1] if (match := STYLE.match(cell)) else ""
    lines: list[str] = []
    for word in _words(plain):
        if lines and measure(lines[-1]) + 1 + measure(word) <= width:
            lines[-1] += f" {word}"
        elif measure(word) <= width:
            lines.append(word)
        else:
            lines.extend(_broken(word, width))
    return [_painted(line, style) if style else line for line in lines]


def _broken(word: str, width: int) -> list[str]:
    lines = [""]
    for part in filter(None, _BREAKS.split(word)):
        rest = part
        if measure(lines[-1]) + measure(rest) > width and lines[-1]:
            lines.append("")
        while measure(rest) > width:
            lines[-1], rest = rest[:width], rest[width:]
            lines.append("")
        lines[-1] += rest
    return [line for line in lines if line]


def _painted(text: str, codes: str) -> str:
    return f"\x1b[{_OURS};{codes}m{text}\x1b[{_OURS};0m"


def _cell(text: str) -> str:
    """Make one line of a cell, keeping its styles."""
    if "\x1b" not in text:
        return quoting.line(text)
    pieces = STYLE.split(text)
    return "".join(
        f"\x1b[{_OURS};{piece}m" if number % 2 else quoting.line(piece) for number, piece in enumerate(pieces)
    )


def _words(text: str) -> list[str]:
    # Blanks only: whatever else counts as space (a carriage return) is shown escaped.
    return [word for word in re.split("[ \n]+", text) if word]


def _longest_word(cell: str) -> int:
    return max(map(measure, _words(STYLE.sub("", cell))), default=0)
