"""Recipes, servers and users that mean no good, or are in an odd place: a row for each promise of SECURITY.md."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from bounds import all_costs
from card import ROOT, Row, Workshop, clean, workshop

DATA = b"\x0a\x03net" + bytes(range(256)) * 40
_HEAD = "schema: 1\ndemo: {demo}\n{more}assets: {{a: {{urls: ['{url}'], pin: first-use, licence: MIT}}}}\n"
_END = "install: {{{place}: $a}}\n"
_BAD_TEXTS = (
    "x\ny", "a\x1b[31mb", "a\u202eb", "a\x00b", "$(touch pwned)", "`touch pwned`", "a;touch pwned", "-oProxyCommand=x",
)  # fmt: skip


def _recipe(**parts: str) -> str:
    import json

    text = {"demo": "d", "more": "", "url": "file:a.bin", "place": "a.bin", **parts}
    for key in ("demo", "place"):
        if text[key] not in ("d", "a.bin"):
            text[key] = json.dumps(text[key])
    return _HEAD.format(**text) + _END.format(**text)


def typed_text() -> str:
    """Every name, path, folder and command is checked against its kind; nothing is written and nothing runs."""
    import json

    refused = 0
    with workshop() as place:
        (place.recipes / "things" / "a.bin").write_bytes(DATA)
        for bad in _BAD_TEXTS:
            quoted = json.dumps(bad)
            for recipe in (
                _recipe(demo=bad),
                _recipe(more=f"tree: {quoted}\n"),
                _recipe(more=f"tree: t\nboard: {quoted}\n"),
                _recipe(place=bad),
                _recipe(more=f"run: {json.dumps('demo' + chr(10) + bad)}\n"),
            ):  # fmt: skip
                place.recipe("odd", recipe)
                ran = place.run("fetch", "things", "--offline")
                clean(ran)
                safe = ran.code == 2 or (ran.code == 0 and not any(c < " " for c in bad))
                assert safe, f"exit {ran.code} for {recipe!r}"
                refused += ran.code == 2
                assert "\x1b[31m" not in ran.out + ran.err
        for url in ("file:/etc/passwd", "file:///proc/self/environ", "file:../../../etc/passwd", "https://a/%00"):
            place.recipe("odd", _recipe(url=url))
            ran = place.run("fetch", "things")
            assert ran.code == 2, f"exit {ran.code} for {url}"
            refused += 1
        assert not list(place.root.rglob("pwned"))
    return f"{refused} recipes refused, nothing ran"


def _pytest(*arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    last = ran.stdout.strip().splitlines()[-1] if ran.stdout.strip() else ran.stderr[-200:]
    assert ran.returncode == 0, last
    return last.partition(" in ")[0].strip("= ")


def writers() -> str:
    """Each writer against the real reader of its language; these are the tests."""
    return _pytest("tests/quoting")


def secrets() -> str:
    """What is secret in a URL is in no file and no output."""
    with workshop() as place:
        url = place.server.put("/thing.bin?token=tokSECRET", DATA)
        place.recipe("odd", _recipe(url=url.replace("http://", "http://user:s3cretpw@")))
        ran = place.run("fetch", "things")
        assert ran.code == 2, f"user info: exit {ran.code}"
        assert "s3cretpw" not in ran.out + ran.err
        place.simple("thing", DATA, urls=f"'{url}'")
        (place.recipes / "things" / "odd.yaml").unlink()
        shown = ""
        for command in (["fetch", "things", "--dry-run"], ["fetch", "things"], ["list"], ["show", "things/thing"]):
            ran = place.run(*command)
            assert ran.code == 0, (command, ran.err)
            shown += ran.out + ran.err
        assert "tokSECRET" not in shown
        files = [path for folder in (place.out, place.cache) for path in folder.rglob("*") if path.is_file()]
        for path in files:
            assert b"tokSECRET" not in path.read_bytes() and "tokSECRET" not in path.name, path
    return f"user info refused; a token in none of {len(files)} files, not shown"


def lists() -> str:
    """SHA256SUMS and run-tests.sh belong to what has to be in place."""
    with workshop() as place:
        place.simple("thing", DATA)
        assert place.run("fetch", "things").code == 0
        for name in ("SHA256SUMS", "run-tests.sh", "data/thing.bin"):
            path = place.out / "Things" / name
            good = path.read_bytes()
            path.chmod(0o644)
            path.write_bytes(b"")
            ran = place.run("fetch", "things")
            assert ran.code == 0, ran.err
            assert path.read_bytes() == good, f"{name} was not repaired"
    return "damaged files and lists are repaired"


def network() -> str:
    """Metadata addresses are never asked; a redirect is no way to them, nor to private ones where these are refused."""
    refused = 0
    with workshop() as place:
        for target in ("http://169.254.169.254/latest/meta-data/", "http://[fe80::1]/", "http://[fd00:ec2::254]/"):
            for url in (target, place.server.put("/go.bin", location=target)):
                place.simple("thing", DATA, urls=f"'{url}'")
                ran = place.run("fetch", "things")
                clean(ran)
                assert ran.code == 3, f"exit {ran.code} for {url}"
                assert "169.254" not in ran.err or "refused" in ran.err or "skipped" in ran.err, ran.err
                refused += 1
        place.simple("thing", DATA)
        ran = place.run("fetch", "things", "--no-allow-private")
        assert ran.code == 3, f"exit {ran.code} with --no-allow-private"
    return f"{refused + 1} addresses refused, exit 3"


def streams() -> str:
    """The work is done and the status is its own, whatever becomes of stdout and stderr."""
    tried = 0
    with workshop() as place:
        place.simple("thing", DATA)
        for shell, wanted in (
            ("{} | true; exit ${{PIPESTATUS[0]}}", 0), ("{} >&-", 0), ("{} 2>&-", 0), ("{} >&- 2>&- <&-", 0),
            ("{} 2>/dev/full", 0), ("{} >/dev/full", 6), ("{} --json >/dev/full", 6),
            ("{} --json 2>&1 | true; exit ${{PIPESTATUS[0]}}", 0),
        ):  # fmt: skip
            place.out = place.root / f"out{tried}"
            command = " ".join(f"'{word}'" for word in place.command(*place.arguments("fetch", "things")))
            ran = subprocess.run(
                ["bash", "-c", shell.format(command)], env=place.environment(), capture_output=True, text=True,
                timeout=120, check=False,
            )  # fmt: skip
            assert ran.returncode == wanted, f"exit {ran.returncode} for {shell}: {ran.stderr}"
            assert place.installed() == {"data/thing.bin": DATA}, shell
            assert "bug" not in ran.stderr + ran.stdout
            tried += 1
    return f"{tried} ways, the work done each time"


def early_signals() -> str:
    """From the interpreter's own start on, which nobody can catch, a signal is one line and 130 or 143."""
    seen = {"one line": 0, "before the first import": 0}
    command = [sys.executable, "-m", "modelprep", "list"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    begun = time.monotonic()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    usual = time.monotonic() - begun
    for number in (signal.SIGINT, signal.SIGTERM):
        for step in range(20):
            process = subprocess.Popen(
                command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip
            time.sleep(usual * step / 20)
            process.send_signal(number)
            _, err = process.communicate(timeout=60)
            if process.returncode == 128 + number:
                assert err.startswith("error: interrupted"), err
                assert err.count("\n") == 1, err
                seen["one line"] += 1
            elif process.returncode != 0:
                assert "modelprep/" not in err, err  # no line of ours had run
                seen["before the first import"] += 1
    assert seen["one line"]
    return ", ".join(f"{value} {name}" for name, value in seen.items())


def memory() -> str:
    """Under ``ulimit -v`` a command ends with a true sentence, and never hangs."""
    short = 0
    with workshop() as place:
        place.simple("thing", DATA * 100)
        limits = range(24_000, 120_000, 4_000)
        for limit in limits:
            place.out = place.root / f"out{limit}"
            ran = _limited(place, limit)
            clean(ran)
            assert ran.code in (0, 6), (limit, ran.code, ran.err)
            assert ran.code == 0 or "memory" in ran.err, ran.err
            short += ran.code == 6
    return f"{len(limits)} limits, {short} too low: exit 6, none hung"


def _limited(place: Workshop, kilobytes: int) -> object:
    return place.run("fetch", "things", preexec=lambda: resource.setrlimit(resource.RLIMIT_AS, (kilobytes << 10,) * 2))


def odd_names() -> str:
    """Names that begin with a dash or are no UTF-8 are names."""
    tried = 0
    with workshop() as place:
        place.simple("thing", DATA)
        for name in ("-rf", "--out", os.fsdecode(b"caf\xe9"), "a b", "-"):
            place.out = place.root / name / "out"
            for command in (["fetch", "things"], ["fetch", "things"], ["list"], ["check", "things"]):
                ran = subprocess.run(
                    place.command(*place.arguments(*command)), env=place.environment(), capture_output=True,
                    timeout=120, check=False, cwd=place.root,
                )  # fmt: skip
                assert b"bug in modelprep" not in ran.stderr and b"Traceback" not in ran.stderr, ran.stderr
                assert ran.returncode in (0, 1, 7), (name, command, ran.returncode, ran.stderr)
                tried += 1
            assert place.installed() == {"data/thing.bin": DATA}
            bundle = place.root / name / "b.tar"
            words = ["bundle", "things", "--recipes", place.recipes, "--out", place.out, "-o", bundle]
            ran = subprocess.run(
                place.command(*map(str, words)), env=place.environment(), capture_output=True, timeout=120, check=False
            )
            assert ran.returncode == 0, (name, ran.stderr)
            assert Path(bundle).is_file()
    return f"{tried} commands"


ROWS = [
    Row("1: text of a recipe is checked against its kind", typed_text),
    Row("2: every writer against the reader of its language", writers),
    Row("3: secrets of URLs", secrets),
    Row("4: lists and files that were damaged", lists),
    Row("5: no file of 1 MB takes more than 300 MB or 10 s", all_costs),
    Row("6: metadata and private addresses", network),
    Row("7: closed, full and broken streams", streams),
    Row("7: signals at any moment", early_signals),
    Row("7: little memory", memory),
    Row("7: names with a dash, blanks, no UTF-8", odd_names),
]
