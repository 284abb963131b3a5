"""A demo that needs a display or a camera: prepared like any other, named by ``run-tests.sh`` and not started by it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import modelprep
from modelprep.tree.manifest import read_manifest
from modelprep.tree.selection import names_of_tests

RECIPE = """\
schema: 1
demo: {name}
tree: both
assets: {{file: {{provide: true}}}}
install: {{{name}.bin: $file}}
run: sh -c 'echo {name} was started'
"""


def test_the_script_starts_what_is_a_test_and_names_the_other(tmp_path: Path) -> None:
    group = tmp_path / "g"
    group.mkdir()
    (group / "model.bin").write_bytes(b"a model")
    (group / "quiet.yaml").write_text(RECIPE.format(name="quiet"))
    (group / "window.yaml").write_text(RECIPE.format(name="window") + "interactive: true\n")
    targets = [str(group / "quiet.yaml"), str(group / "window.yaml")]
    options = {"out": tmp_path / "out", "cache": tmp_path / "cache", "overrides": {"file": group / "model.bin"}}
    assert modelprep.fetch(targets, **options).ok  # type: ignore[arg-type]
    manifest = read_manifest(tmp_path / "out" / "both")
    assert {name: demo.interactive for name, demo in manifest.demos.items()} == {"g/quiet": False, "g/window": True}
    assert names_of_tests(manifest) == ["quiet"]
    command = ["sh", str(tmp_path / "out/both/run-tests.sh"), "-l", str(tmp_path / "log")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "start it by hand: sh -c 'echo window was started'" in ran.stdout
    assert "quiet was started" in (tmp_path / "log").read_text()
    assert "\nwindow was started" not in (tmp_path / "log").read_text()
    # Nothing is left to do: the manifest reads back as it was written.
    assert [demo.state for demo in modelprep.plan(targets, **options).demos] == ["present", "present"]  # type: ignore[arg-type]
