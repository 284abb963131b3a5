"""Lock files from before a recipe's own assets were kept as ``group/name#asset``."""

from __future__ import annotations

from cli.workshop import Workshop, sha256

from modelprep.recipe.lockfile import LOCK_NAME, Pin, write_lock


def loose(workshop: Workshop, name: str, url: str) -> None:
    workshop.recipe(
        name,
        f"schema: 1\ndemo: Demo-{name}\nsummary: a thing\nmanual: '1.1'\nstatus: ready\ntree: Things\n"
        f"assets:\n  model:\n    urls: ['{url}']\n    pin: first-use\ninstall:\n  {name}.bin: $model\nrun: ./{name}\n",
    )


def test_a_pin_under_a_bare_id_still_holds_for_the_asset_that_it_was_seen_at(workshop: Workshop) -> None:
    url = workshop.server.put("/one", b"changed since")
    loose(workshop, "a", url)
    loose(workshop, "b", workshop.server.put("/two", b"two"))
    workshop.out.mkdir()
    write_lock(workshop.out / LOCK_NAME, {"model": Pin(sha256(b"one"), 3, url)})
    assert workshop.run("fetch", "things/a", "--locked").code == 4
    workshop.server.put("/one", b"one")
    ran = workshop.run("fetch", "things/a", "--locked")
    assert ran.code == 0, ran.err
    # The other recipe's 'model' is none of its business.
    assert workshop.run("fetch", "things/b", "--locked").code == 2
    assert workshop.run("fetch", "things/b").code == 0
    assert workshop.installed() == {"a.bin": b"one", "b.bin": b"two"}
