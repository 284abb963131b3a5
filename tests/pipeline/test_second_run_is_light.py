"""A second run with everything in place loads nothing that it has no use for: its time is start-up."""

from __future__ import annotations

import subprocess
import sys

from cli.workshop import REPOSITORY, Workshop

#: What only a run with something to do needs.
IDLE = {
    "modelprep.fetch.download",
    "modelprep.fetch.local",
    "modelprep.fetch.sniff",
    "modelprep.fetch.transport",
    "modelprep.formats.archive.members",
    "modelprep.pipeline.run.subprocess",
    "modelprep.pipeline.run.install",
    "modelprep.recipe.known",
    "modelprep.store.maintenance",
    "modelprep.tree.install",
    "random",
    "requests",
    "tqdm",
}


def loaded(workshop: Workshop) -> set[str]:
    code = (
        "import sys\nfrom modelprep.cli.main import invoke\n"
        f"code = invoke({workshop.arguments('fetch', 'things', '--quiet')!r})\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)\nsys.exit(code)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return set(ran.stderr.split())


def test_a_second_run_loads_neither_what_transfers_nor_what_writes_trees(workshop: Workshop) -> None:
    workshop.simple("a", b"the thing")
    first = loaded(workshop)
    assert {"requests", "modelprep.fetch.download", "modelprep.pipeline.run.install"} <= first
    assert loaded(workshop) & IDLE == set()
