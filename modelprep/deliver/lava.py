"""``modelprep export lava``: a LAVA job and its test definition, which fetch a bundle and report each of its tests.

The test shell of a LAVA job runs on the board: it downloads the bundle, checks it against the checksum in the
definition, and starts ``run-tests.sh --lava`` in each tree, which calls LAVA's ``lava-test-case`` for each test.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from modelprep import quoting
from modelprep.deliver.bundle import Bundled, plan_bundle, write_bundle
from modelprep.errors import UsageError
from modelprep.events import Listener, silent
from modelprep.recipe.text import url_fault
from modelprep.store.disk import write_atomic
from modelprep.tree.selection import TreePart
from modelprep.url import redact

JOB, DEFINITION, ARCHIVE = "job.yaml", "tests.yaml", "modelprep-bundle.tar.gz"
#: LAVA's device types for the boards of NXP's i.MX Linux releases (/usr/share/lava-server/device-types).
DEVICE_TYPES: Mapping[str, str] = {"": "imx8mq-evk", "imx8mp": "imx8mp-evk", "imx93": "imx93-11x11-evk"}
#: Timeouts of a whole job and of booting the board, in minutes.
JOB_MINUTES, BOOT_MINUTES = 120, 10

# The steps become one script, in their order, under ``set -e``. `_step` adds the arguments; the output of a step must
# not look like a LAVA signal.
_DOWNLOAD = """\
modelprep_get() {
    if curl -fsSL -o "$2" "$1" || wget -O "$2" "$1"; then
        lava-test-case bundle-download --result pass
    else
        lava-test-case bundle-download --result fail
        exit 1
    fi
}
modelprep_check() {
    if printf '%s  %s\\n' "$1" "$2" | sha256sum -c -; then
        lava-test-case bundle-checksum --result pass
    else
        lava-test-case bundle-checksum --result fail
        exit 1
    fi
}
modelprep_run() {
    # A failed test is in the results already; the other trees run too.
    sh "$1/run-tests.sh" --lava || echo "run-tests.sh: exit status $?"
}"""


@dataclass(frozen=True)
class LavaJob:
    """Files of a job.

    Parameters
    ----------
    folder
        Folder of all files.
    job, definition
        The job, with the test definition in it, and the test definition alone.
    bundle
        The archive that the board fetches.
    url
        Where the board fetches it from.
    device_type
        LAVA device type.
    """

    folder: Path
    job: Path
    definition: Path
    bundle: Bundled
    url: str
    device_type: str


def write_job(
    folder: Path,
    parts: Sequence[TreePart],
    *,
    bundle_url: str = "",
    device_type: str = "",
    soc: str | None = None,
    listen: Listener = silent,
) -> LavaJob:
    """Write the bundle, the test definition and the job.

    `folder`: created if missing. `parts`: contents of the bundle. `bundle_url`: URL of the bundle: a folder, or the
    file if it ends in ``.tar.gz``. Empty: a ``file:`` URL of `folder`, for boards that have it mounted. `device_type`:
    LAVA device type; empty: an NXP evaluation board for `soc`. `soc`: the board's SoC, if known. `listen`: receives the
    events of the bundle. Raises UsageError: the URL is not valid, or no device type is known for the SoC; StorageError,
    DigestMismatch, MissingTool: as :func:`modelprep.deliver.bundle.write_bundle`.
    """
    if bundle_url and (url_fault(bundle_url) or urlsplit(bundle_url).query):
        raise UsageError("not a URL for a bundle", got=redact(bundle_url), expected="https://HOST/FOLDER")
    chosen = device_type or DEVICE_TYPES.get(soc or "", "")
    if not re.fullmatch(r"[\w.+-]{1,200}", chosen):
        raise UsageError(
            "LAVA needs a device type" if not chosen else "not a LAVA device type",
            got=device_type or f"no default for {soc}",
            expected="its name in your LAVA server, in letters, digits, dots and dashes",
            hint="--device-type imx8mp-evk",
        )
    name = urlsplit(bundle_url).path.rpartition("/")[2] if bundle_url.endswith(".tar.gz") else ARCHIVE
    bundle = write_bundle(plan_bundle(parts), folder / name, listen)
    url = bundle_url if bundle_url.endswith(".tar.gz") else f"{bundle_url.rstrip('/')}/{name}" if bundle_url else ""
    url = url or bundle.path.resolve().as_uri()
    definition = _definition(parts, url, name, bundle.sha256)
    write_atomic(folder / DEFINITION, quoting.yaml_document(definition).encode())
    write_atomic(folder / JOB, quoting.yaml_document(_job(parts, chosen, definition)).encode())
    return LavaJob(folder, folder / JOB, folder / DEFINITION, bundle, url, chosen)


def _definition(parts: Sequence[TreePart], url: str, name: str, sha256: str) -> dict[str, object]:
    steps = [
        _DOWNLOAD,
        'modelprep_work="${HOME:-/root}/modelprep-lava"',
        'rm -rf "$modelprep_work" && mkdir -p "$modelprep_work" && cd "$modelprep_work"',
        quoting.command("modelprep_get", url, name),
        quoting.command("modelprep_check", sha256, name),
        quoting.command("tar", "-xzf", name),
        quoting.command("rm", name),
    ]
    for part in parts:
        folder = quoting.operand(part.name)
        if part.board:
            # Programs of these demos look for their files there.
            steps += [
                quoting.command("mkdir", "-p", part.board),
                quoting.command("cp", "-R", f"{folder}/.", f"{part.board}/"),
            ]
            folder = part.board
        steps.append(quoting.command("modelprep_run", folder))
    return {
        "metadata": {
            "format": "Lava-Test Test Definition 1.0",
            "name": "modelprep",
            "description": f"Board tests of {', '.join(_demos(parts))}",
            "os": ["oe"],
            "scope": ["functional"],
        },
        "run": {"steps": steps},
    }


def _job(parts: Sequence[TreePart], device_type: str, definition: Mapping[str, object]) -> dict[str, object]:
    """Make the job: power on, log in to the image that is on the board, run the tests."""
    return {
        "job_name": f"modelprep: {', '.join(_demos(parts))}"[:200],
        "device_type": device_type,
        "visibility": "public",
        "priority": "medium",
        "timeouts": {"job": {"minutes": JOB_MINUTES}, "connection": {"minutes": 2}},
        "actions": [
            {"deploy": {"to": "overlay", "timeout": {"minutes": BOOT_MINUTES}}},
            {
                "boot": {
                    "method": "minimal",
                    "prompts": ["root@[^ ]*[#$]"],
                    "auto_login": {"login_prompt": "login:", "username": "root"},
                    "transfer_overlay": {"download_command": "cd /tmp; wget", "unpack_command": "tar -C / -xzf"},
                    "timeout": {"minutes": BOOT_MINUTES},
                }
            },
            {
                "test": {
                    "timeout": {"minutes": JOB_MINUTES - 2 * BOOT_MINUTES},
                    "definitions": [
                        {
                            "from": "inline",
                            "name": "modelprep",
                            "path": f"inline/{DEFINITION}",
                            "repository": dict(definition),
                        }
                    ],
                }
            },
        ],
    }


def _demos(parts: Sequence[TreePart]) -> list[str]:
    return [quoting.line(demo.demo) for part in parts for _, demo in sorted(part.manifest.demos.items())]
