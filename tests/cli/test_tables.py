"""Tables, paragraphs and commands fit the terminal, and lose nothing on the way."""

from __future__ import annotations

import re
import subprocess

from hypothesis import given
from hypothesis import strategies as st

from modelprep import quoting
from modelprep.cli.table import STYLE, continued, layout, paint, paragraph

WORDS = st.text("abcXYZ-_/.,0123 ", max_size=60)
CELLS = st.one_of(st.none(), st.integers(), WORDS)


def letters(text: str) -> str:
    return re.sub(r"\s", "", text)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=6), st.integers(40, 120))
def test_a_table_is_no_wider_than_the_terminal_and_every_letter_is_there(
    rows: list[tuple[object, object, object]], width: int
) -> None:
    lines = layout(["name", ">number", "text"], rows, width)
    assert all(len(line) <= width for line in lines)
    shown = "".join("" if cell is None else str(cell) for row in [("name", "number", "text"), *rows] for cell in row)
    assert sorted(letters("".join(lines))) == sorted(letters(shown))


def test_prose_gives_way_before_names_do() -> None:
    lines = layout(["name", "text"], [("a-name-of-some-length", "words " * 8)], 40)
    assert lines[1].startswith("a-name-of-some-length  words")
    assert " ".join(" ".join(lines[1:]).split()) == "a-name-of-some-length " + " ".join(["words"] * 8)


def test_a_name_breaks_at_its_marks_and_capitals() -> None:
    lines = layout(["test", ""], [("TfLiteMobileNetQuantizedSoftmax-Armnn", "x" * 20)], 46)
    assert [line.split()[0] for line in lines[1:]] == ["TfLiteMobileNetQuantized", "Softmax-Armnn"]


def test_a_style_holds_for_all_lines_of_its_cell() -> None:
    lines = layout(["", ""], [(paint("one two three four", "red"), "x" * 10)], 22)
    assert len(lines) > 1
    assert all(STYLE.match(line) for line in lines)


def test_wide_characters_take_two_columns() -> None:
    assert layout(["a", "b"], [("日本", "x"), ("abcd", "y")]) == ["a     b", "日本  x", "abcd  y"]


@given(st.lists(st.text("abc/:.", min_size=1, max_size=90), max_size=20), st.integers(20, 100))
def test_a_paragraph_folds_at_blanks_only(words: list[str], width: int) -> None:
    lines = paragraph(" ".join(words), width, "- ")
    assert " ".join(lines).split() == ["-", *words]
    for line in lines:
        assert len(line) <= width or len(line.split()) <= 2


def test_a_folded_command_is_the_same_command_to_a_shell() -> None:
    words = ["it's here", "a b=/some/where else/file", 'say "no"', "back\\slash", "x" * 70, "--out", "$HOME"]
    lines = continued(quoting.command("printf", "%s\\n", *words), 60)
    assert len(lines) > 1
    done = subprocess.run(["sh", "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == words
