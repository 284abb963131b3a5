"""BitBake's own parser in a process of its own: one JSON request a line on standard input, one answer a line.

A request is the text of a recipe; the answer holds what each variable ``V<number>`` expands to and the text of the
function ``do_test`` as BitBake hands it to a shell, or the error.
"""

from __future__ import annotations

import json
import sys
import tempfile
import types
from pathlib import Path

# The wheel of BitBake's library comes without its hash server, which parsing does not use.
for name in ("hashserv", "hashserv.client"):
    sys.modules.setdefault(name, types.ModuleType(name))


def main() -> None:
    """Answer until standard input ends."""
    import bb
    import bb.data
    import bb.parse
    import bb.siggen

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "classes").mkdir()
        (work / "classes" / "base.bbclass").write_text("")
        base = bb.data.init()
        base.setVar("BBPATH", folder)
        base.setVar("__bbclasstype", "recipe")
        bb.parse.siggen = bb.siggen.init(base)
        for number, request in enumerate(sys.stdin):
            recipe = work / f"r{number}_1.bb"
            recipe.write_text(json.loads(request), encoding="utf-8")
            try:
                parsed = bb.parse.handle(str(recipe), base.createCopy(), False)[""]
                names = [name for name in parsed if name.startswith("V") and name[1:].isdigit()]
                answer = {"values": {name: parsed.getVar(name) for name in names}, "sh": parsed.getVar("do_test")}
            except Exception as error:  # noqa: BLE001 - whatever it is, the test is told
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
