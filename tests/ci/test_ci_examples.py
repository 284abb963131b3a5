"""The CI examples run: their lines are executed in order, on fresh machines, against servers on loopback."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ci.conftest import REPOSITORY, Machine, filled
from cli.workshop import Workshop
from servers.http import FaultServer

WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
DATA = b"model" * 1000


class GitHub:
    """As much of GitHub as ``models.yml`` asks for; what it does not know fails."""

    def __init__(self, workshop: Workshop, **known: str) -> None:
        self.workshop = workshop
        self.known = {"inputs.targets": "things", "vars.MODELPREP_MIRROR": "", **known}
        self.caches: dict[str, Path] = {}
        self.runs = 0
        self.log: list[str] = []
        # YAML 1.1 reads the key "on" as true.
        self.workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "models.yml").read_text())

    def run(self) -> dict[str, bool]:
        """Run all jobs, each on a fresh machine; say which went well."""
        self.runs += 1
        self.log.clear()
        results: dict[str, bool] = {}
        outputs: dict[str, str] = {}
        for name, job in self.workflow["jobs"].items():
            needs = job.get("needs")
            results[name] = (needs is None or results[needs]) and self.job(name, job, outputs)
        return results

    def job(self, name: str, job: dict[str, Any], outputs: dict[str, str]) -> bool:
        assert job["runs-on"] == "ubuntu-latest"
        machine = Machine(self.workshop.root / f"run-{self.runs}-{name}", self.workshop, self.caches)
        known = {**self.known, **outputs, "github.workspace": str(machine.workspace)}
        environment = filled({**self.workflow["env"], **job.get("env", {})}, known)
        well, to_save = True, None
        for step in job["steps"]:
            assert step.get("if") in (None, "always()")
            if not well and "if" not in step:
                continue
            with_ = filled(step.get("with", {}), known)
            action = step.get("uses", "").partition("@")[0]
            if action in ("actions/cache", "actions/cache/restore"):
                prefix = with_.get("restore-keys", "").strip() or None
                hit = machine.restore(with_["key"], prefix=prefix)
                well = hit or not with_.get("fail-on-cache-miss")
                to_save = with_["key"] if action == "actions/cache" else None
            elif action == "actions/upload-artifact":
                kept = [p for pattern in with_["path"].split() for p in machine.workspace.glob(pattern)]
                self.log.append(f"artifact {sorted(path.name for path in kept)}")
            elif action:
                assert action in ("actions/checkout", "actions/setup-python")
            else:
                well = self.step(machine, step, environment, known) and well
        if well and to_save is not None:
            machine.save(to_save, self.workshop.root / f"saved-{self.runs}")
        outputs |= {f"needs.{name}.outputs.{key}": filled(v, known) for key, v in job.get("outputs", {}).items()}
        return well

    def step(self, machine: Machine, step: dict[str, Any], environment: dict[str, str], known: dict[str, str]) -> bool:
        told = machine.workspace.parent / "output"
        told.write_text("")
        assert "${{" not in step["run"], "expressions reach the shell as variables, never as text"
        options = ["-e", "-o", "pipefail"] if step.get("shell") == "bash" else ["-e"]
        ran = machine.shell(step["run"], {**environment, "GITHUB_OUTPUT": str(told)}, *options)
        self.log.append(f"{ran.stdout}{ran.stderr}")
        for line in told.read_text().splitlines():
            key, _, value = line.partition("=")
            known[f"steps.{step['id']}.outputs.{key}"] = value
        return ran.returncode == 0


def furnish(workshop: Workshop) -> None:
    workshop.simple("one", DATA)
    workshop.simple("two", DATA[1:])


@pytest.fixture
def github(workshop: Workshop) -> GitHub:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed here; GitHub's machines have it")
    furnish(workshop)
    return GitHub(workshop)


@pytest.mark.slow
def test_the_workflow_downloads_once_and_then_lives_on_the_cache(github: GitHub) -> None:
    assert github.run() == {"fetch": True, "offline": True}, github.log
    assert len(github.workshop.server.log) == 2
    assert list(github.caches) == [key for key in github.caches if re.fullmatch("modelprep-[0-9a-f]{64}", key)]
    assert "artifact ['MANIFEST.json', 'SHA256SUMS', 'fetch.jsonl']" in github.log
    assert github.run() == {"fetch": True, "offline": True}
    assert len(github.workshop.server.log) == 2
    assert len(github.caches) == 1


@pytest.mark.slow
def test_a_changed_recipe_gives_a_new_cache_that_begins_with_the_old_one(github: GitHub) -> None:
    assert github.run()["fetch"]
    github.workshop.simple("two", DATA[2:])
    asked = len(github.workshop.server.log)
    assert github.run() == {"fetch": True, "offline": True}, github.log
    assert len(github.caches) == 2
    assert [request.path for request in github.workshop.server.log[asked:]] == ["/two.bin"]


@pytest.mark.slow
def test_a_mirror_serves_a_lost_cache(github: GitHub, tmp_path: Path) -> None:
    assert github.run()["fetch"]
    made = github.workshop.run("mirror", "things", tmp_path / "mirror")
    assert made.code == 0, made.err
    asked = len(github.workshop.server.log)
    github.caches.clear()
    with FaultServer(tmp_path / "mirror") as mirror:
        github.known["vars.MODELPREP_MIRROR"] = mirror.base
        assert github.run() == {"fetch": True, "offline": True}, github.log
        assert len(mirror.log) == 2
    assert len(github.workshop.server.log) == asked


def test_a_failing_fetch_fails_the_run_and_is_annotated(github: GitHub) -> None:
    github.workshop.simple("gone", b"x", urls=github.workshop.server.put("/gone", status=404))
    assert github.run() == {"fetch": False, "offline": False}
    [annotations] = [text for text in github.log if "::error" in text]
    assert annotations.startswith(
        "::error title=Demo-gone::could not download gone (asset gone-file): none of 2 sources has it%0A"
    )
    assert annotations.count("\n") == 1
    assert github.caches == {}


@pytest.mark.slow
def test_a_pin_that_nobody_committed_fails_the_run(github: GitHub) -> None:
    url = github.workshop.server.put("/loose", b"loose")
    head = "schema: 1\ndemo: Loose\nsummary: s\nstatus: ready\ntree: Things\n"
    text = f"{head}assets:\n  loose: {{urls: [{url}], pin: first-use}}\ninstall: {{l: $loose}}\n"
    github.workshop.recipe("loose", text)
    assert not github.run()["fetch"]
    assert any("refuses to add one" in text for text in github.log)
    # Fetched once by hand, the lock file committed.
    lock = github.workshop.root / "modelprep.lock"
    assert github.workshop.run("fetch", "things", "--lockfile", lock).code == 0
    assert github.run() == {"fetch": True, "offline": True}, github.log


@pytest.mark.parametrize(
    "targets", ["things; touch broken", "$(touch broken)", '" && touch broken #', "`touch broken`"]
)
def test_what_is_typed_as_targets_never_becomes_a_command(github: GitHub, targets: str) -> None:
    github.known["inputs.targets"] = targets
    assert not github.run()["fetch"]
    assert list(github.workshop.root.rglob("broken")) == []


def gitlab() -> dict[str, Any]:
    block = re.search(r"## GitLab\n.*?```yaml\n(.*?)```", (REPOSITORY / "docs" / "ci.md").read_text(), re.DOTALL)
    assert block is not None
    read = yaml.safe_load(block[1])
    assert isinstance(read, dict)
    return read


@pytest.mark.slow
def test_the_gitlab_example_runs(workshop: Workshop, tmp_path: Path) -> None:
    furnish(workshop)
    example, caches = gitlab(), {}
    key_file = tmp_path / "models.key"

    def pipeline(number: int) -> list[tuple[str, int]]:
        codes = []
        for name in ("models", "offline"):
            job = example[name]
            machine = Machine(tmp_path / f"lab-{number}-{name}", workshop, caches)
            assert job["cache"]["key"]["files"] == ["models.key"]
            assert job["cache"]["paths"] == ["cache"]
            key = f"{job['cache']['key']['prefix']}-{key_file.read_text()}"
            machine.restore(key)
            environment = {"CI_PROJECT_DIR": str(machine.workspace)}
            environment |= {"TARGETS": "things", "MODELPREP_CACHE": str(machine.workspace / "cache")}
            assert example["variables"]["MODELPREP_CACHE"] == "$CI_PROJECT_DIR/cache"
            lines = "\n".join([*job["before_script"], *job["script"]])
            ran = machine.shell(lines, environment, "-e", "-o", "pipefail")
            codes.append((name, ran.returncode))
            if ran.returncode:
                break
            if job["cache"].get("policy") != "pull":
                machine.save(key, tmp_path / f"kept-{number}")
        return codes

    key_file.write_text("0" * 64 + "\n")
    assert pipeline(1) == [("models", 1)], "a key that is not up to date fails"
    machine = Machine(tmp_path / "mine", workshop, {})
    key_file.write_text(machine.shell("modelprep cache key things", {}).stdout)
    assert pipeline(2) == [("models", 0), ("offline", 0)]
    asked = len(workshop.server.log)
    assert asked == 2
    assert pipeline(3) == [("models", 0), ("offline", 0)]
    assert len(workshop.server.log) == asked


def validate(schema: str, path: Path) -> None:
    pytest.importorskip("check_jsonschema", reason="holds the schemas of workflow files")
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "check_jsonschema", "--builtin-schema", schema, str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_keep_to_githubs_schema(path: Path) -> None:
    validate("vendor.github-workflows", path)


def test_the_schema_would_find_a_fault(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text(WORKFLOWS[-1].read_text().replace("runs-on", "run-on"))
    with pytest.raises(AssertionError, match="run-on"):
        validate("vendor.github-workflows", broken)


def test_the_gitlab_example_keeps_to_gitlabs_schema(tmp_path: Path) -> None:
    (tmp_path / "ci.yml").write_text(yaml.safe_dump(gitlab()))
    validate("vendor.gitlab-ci", tmp_path / "ci.yml")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_ask_for_no_more_rights_than_reading(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    if path.name == "release.yml":
        pytest.skip("it publishes: test_packaging.py says which job may do what")
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 120
        assert "permissions" not in job
