"""A licence is one line of text, and none that a writer of another language could take for its own."""

from __future__ import annotations

import json

import pytest
from cli.workshop import Workshop

DATA = b"\x0a\x03net" + bytes(5000)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("licence", ["MIT\nINHERIT = 'x'", "${@touch}", "`touch x`", "<b>", "MIT\tx", " MIT"])
def test_a_licence_that_is_no_line_of_text_is_refused(workshop: Workshop, licence: str, named: bool) -> None:
    text = json.dumps({"name": licence} if named else licence)
    workshop.recipe(
        "odd", f"schema: 1\ndemo: d\nassets: {{a: {{urls: ['file:a.bin'], pin: first-use, licence: {text}}}}}\n"
        "install: {a.bin: $a}\n",
    )  # fmt: skip
    (workshop.recipes / "things" / "a.bin").write_bytes(DATA)
    ran = workshop.run("fetch", "things")
    assert ran.code == 2, ran.err
    assert "on one line" in ran.err
