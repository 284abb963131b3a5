"""A file that belongs to another asset of the catalogue is called by its name."""

from __future__ import annotations

from cli.workshop import Workshop, sha256


def test_the_command_knows_the_shared_assets_and_survives_broken_ones(workshop: Workshop) -> None:
    other = b"the labels"
    folder = workshop.recipes / "assets"
    folder.mkdir(exist_ok=True)
    (folder / "a.yaml").write_text(
        "schema: 1\nassets:\n  broken: {sha256: 12}\n"
        f"  labels: {{urls: [https://example.org/l], sha256: {sha256(other)}, pinned_by: test, summary: of digits}}\n"
    )
    url = workshop.server.put("/thing", other)
    workshop.recipe(
        "a",
        "schema: 1\ndemo: A\nstatus: ready\ntree: Things\nassets:\n"
        f"  thing: {{urls: ['{url}'], sha256: {sha256(b'the thing')}, pinned_by: test}}\ninstall:\n  a.bin: $thing\n",
    )
    ran = workshop.run("fetch", "things/a")
    assert ran.code == 4
    assert "the known file 'labels' (of digits)" in ran.err
