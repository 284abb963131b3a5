"""In a notebook progress shows by itself; a real kernel runs the cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cli.workshop import Workshop


@pytest.fixture
def kernel(workshop: Workshop) -> Iterator[Any]:
    """Start a kernel in the workshop, and give what runs a cell and gives all that it wrote."""
    manager = pytest.importorskip("jupyter_client.manager", reason="a notebook's kernel is started")
    pytest.importorskip("ipykernel", reason="a notebook's kernel is started")
    started, client = manager.start_new_kernel(env=workshop.environment(), cwd=str(workshop.root))

    def run(code: str) -> str:
        heard: list[str] = []

        def hear(message: Any) -> None:
            content = message["content"]
            heard.append(str(content.get("text") or content.get("data") or content.get("traceback") or ""))

        client.execute_interactive(code, output_hook=hear, timeout=60)
        return "".join(heard)

    yield run
    client.stop_channels()
    started.shutdown_kernel(now=True)


def test_progress_shows_in_a_notebook_and_nowhere_else(
    workshop: Workshop, kernel: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    workshop.simple("large", b"x" * 3_000_000)
    place = f"recipes={str(workshop.recipes)!r}, archives=False"
    fetch = "import modelprep\nreport = modelprep.fetch('things', out={!r}, cache={!r}, {}{})"
    shown = kernel(fetch.format("out-1", "cache-1", place, ""))
    assert "things/large#large-file" in shown or "large.bin" in shown
    assert "100%" in shown or "Widget" in shown or "HBox" in shown
    assert kernel(fetch.format("out-2", "cache-2", place, ", listen=lambda event: None")) == ""
    assert "1 installed; exit code 0" in kernel("print(report)")

    import modelprep

    capfd.readouterr()
    assert modelprep.fetch("things", out="out-3", cache="cache-3", recipes=workshop.recipes, archives=False).ok
    assert capfd.readouterr() == ("", "")
