"""Without a network `fetch` says so once, names every missing file, and what it prints works as typed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from cli.conftest import Run
from cli.workshop import Workshop, gzipped, sha256

GONE = "http://no-such-host.invalid"


def two(workshop: Workshop, *, first: str = f"{GONE}/a/m.bin", second: str = f"{GONE}/b/m.bin") -> dict[str, bytes]:
    """Write two recipes that both call a file of their own ``model``, and share one; give the files."""
    files = {"one": b"the first", "two": b"the second", "both": b"the third"}
    for name, url in (("one", first), ("two", second)):
        workshop.recipe(
            name,
            f"schema: 1\ndemo: Demo-{name}\nsummary: s\nstatus: ready\ntree: Things\nassets:\n"
            f"  model: {{urls: [{url}], sha256: {sha256(files[name])}, size: {len(files[name])}, pinned_by: test}}\n"
            f"  both: {{urls: ['{GONE}/both.bin', '{GONE}/x/both.bin'], sha256: {sha256(files['both'])}, "
            "pinned_by: test}\n"
            f"install: {{models/{name}.bin: $model, data/both.bin: $both}}\n",
        )
    return files


def commands(text: str, program: str) -> list[list[str]]:
    return [shlex.split(line) for line in text.splitlines() if line.split()[:1] == [program]]


def test_every_missing_file_takes_three_lines_and_no_list_of_urls(workshop: Workshop, modelprep: Run) -> None:
    two(workshop)
    ran = modelprep("fetch", "things")
    assert ran.code == 3
    lines = ran.err.splitlines()
    assert lines[0] == ("error: no network, or no-such-host.invalid is gone (name not resolved); 3 files are missing")
    assert len(lines[1 : lines.index(next(line for line in lines if "next:" in line))]) == 9
    assert "x/both.bin" not in ran.err
    assert "make demo" in ran.err
    assert "--mirror DIR" in ran.err
    assert "x/both.bin" in modelprep("fetch", "things", "-v").err


def test_the_printed_command_names_all_files_without_ambiguity_and_works(workshop: Workshop, modelprep: Run) -> None:
    files = two(workshop)
    told = modelprep("fetch", "things").err
    names = [words[words.index("-o") + 1] for words in commands(told, "curl")]
    assert len(set(names)) == 3
    for name, content in zip(names, (files["one"], files["both"], files["two"]), strict=True):
        Path(name).write_bytes(content)  # what each curl line would write, here
    again = commands(told, "modelprep")[0][1:]
    assert f"things/one:model={names[0]}" in again
    ran = modelprep(*again, bare=True)
    assert ran.code == 0, ran.err
    assert workshop.installed() == {
        "data/both.bin": files["both"],
        "models/one.bin": files["one"],
        "models/two.bin": files["two"],
    }


def test_a_file_inside_an_archive_is_taken_out_of_what_the_curl_line_gets(workshop: Workshop, modelprep: Run) -> None:
    import io
    import tarfile

    content = b"within"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("in/m.bin")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    workshop.simple("m", content, urls=f"{{url: '{GONE}/m.tar', member: in/m.bin}}")
    told = modelprep("fetch", "things").err
    (curl,) = commands(told, "curl")
    assert "--create-dirs" in curl
    target = Path(curl[curl.index("-o") + 1])
    target.parent.mkdir(parents=True)
    target.write_bytes(packed.getvalue())
    ran = modelprep(*commands(told, "modelprep")[0][1:], bare=True)
    assert ran.code == 0, ran.err
    assert workshop.installed() == {"data/m.bin": content}


def test_offline_lists_no_urls_and_says_how_to_go_on(workshop: Workshop, modelprep: Run) -> None:
    two(workshop)
    ran = modelprep("fetch", "things", "--offline")
    assert ran.code == 3
    assert "skipped" not in ran.err
    assert ran.err.startswith("error: not cached, and --offline allows no download; 3 files are missing\n")
    online = [words for words in commands(ran.err, "modelprep") if "--offline" not in words]
    assert online[0][:3] == ["modelprep", "fetch", "things"]
    assert "skipped (--offline)" in modelprep("fetch", "things", "--offline", "-v").err


def test_json_keeps_all_that_was_tried_and_lists_every_missing_file(workshop: Workshop, modelprep: Run) -> None:
    two(workshop)
    summary = modelprep("fetch", "things", "--json").events[-1]
    for demo in summary["demos"]:
        assert demo["error"]["error"] == "fetch"
        assert [each["asset"] for each in demo["missing"]] == ["model", "both"]
        assert len(demo["missing"][1]["tried"]) == 2
        assert all(each["set"] in demo["error"]["hint"] for each in demo["missing"])


def test_a_server_that_refuses_one_file_is_told_in_full_and_all_missing_files_with_it(
    workshop: Workshop, modelprep: Run
) -> None:
    two(workshop, first=workshop.server.put("/a/m.bin", status=404))
    ran = modelprep("fetch", "things/one")
    assert ran.code == 3
    assert "could not download m.bin (asset model): answered 404 Not Found" in ran.err
    assert "tried:" in ran.err
    (again,) = [words for words in commands(ran.err, "modelprep") if "--set" in words]
    assert {"model=m.bin", "both=both.bin"} <= set(again)


@pytest.mark.parametrize("hosts", [1, 3])
def test_no_network_is_not_said_once_a_host_has_answered(workshop: Workshop, modelprep: Run, hosts: int) -> None:
    workshop.simple("here", b"here")
    workshop.simple("gone", b"gone", urls=", ".join(f"http://h{n}.no-such-host.invalid/m" for n in range(hosts)))
    alone = modelprep("fetch", "things/gone")
    assert alone.err.startswith("error: no network")
    ran = modelprep("fetch", "things")
    assert ran.code == 3
    assert "no network (" not in ran.err
    cause = "h0.no-such-host.invalid is gone (name not resolved)" if hosts == 1 else f"none of {hosts} hosts resolved"
    assert f"error: {cause}; 1 file is missing" in ran.err


@pytest.mark.parametrize(
    ("urls", "best"),
    [
        (["http://a.org/m", "https://b.org/m"], "https://b.org/m"),
        (["https://b.org/m", f"https://github.com/o/r/raw/{'a' * 40}/m"], f"https://github.com/o/r/raw/{'a' * 40}/m"),
        (["https://www.dropbox.com/s/x/m?dl=1", "http://a.org/m"], "http://a.org/m"),
        (["https://huggingface.co/o/r/resolve/main/m", "https://a.org/m"], "https://huggingface.co/o/r/resolve/main/m"),
    ],
)
def test_the_curl_line_takes_the_source_that_lasts_longest(urls: list[str], best: str) -> None:
    from modelprep.fetch.by_hand import download
    from modelprep.recipe.schema import Asset, Source
    from modelprep.url import Url

    asset = Asset("m", sources=tuple(Source(Url(url)) for url in urls))
    assert download(asset, "m").split()[-1] == best


def test_a_source_that_its_recipe_calls_dead_is_the_last_choice() -> None:
    from modelprep.fetch.by_hand import best_source
    from modelprep.recipe.schema import Asset, Source
    from modelprep.url import Url

    dead, other = Source(Url("https://zenodo.org/m"), note="dead since 2024"), Source(Url("http://a.org/m"))
    assert best_source(Asset("m", sources=(dead, other))) == other


def test_gzipped_names_with_blanks_stay_one_word(workshop: Workshop, modelprep: Run) -> None:
    packed = gzipped(b"x")
    workshop.simple("m", packed, urls=f"'{GONE}/my%20model.gz'")
    told = modelprep("fetch", "things").err
    (curl,) = commands(told, "curl")
    Path(curl[curl.index("-o") + 1]).write_bytes(packed)
    assert modelprep(*commands(told, "modelprep")[0][1:], bare=True).code == 0
    assert workshop.installed() == {"data/m.bin": packed}
