"""The options of each verb: types, defaults and documentation, for functions and commands alike.

Options that many verbs share are declared once and inherited. Annotations are data here
(:mod:`modelprep.api.declaring`), so this module evaluates them.
"""

from typing import Annotated, TypedDict

from modelprep.api.declaring import AnyPath, Files, Option, Paths, Words

# fmt: off

class Out(TypedDict, total=False):
    """Folder of the trees."""

    out: Annotated[AnyPath, Option("out", "Folder that holds the finished trees.", metavar="DIR")]


class Cache(TypedDict, total=False):
    """Folder of the store."""

    cache: Annotated[AnyPath | None, Option(
        None, "The cache (default: cache/ of a checkout, else the user's cache folder).", metavar="DIR",
        env="MODELPREP_CACHE"
    )]


class Places(TypedDict, total=False):
    """Mirrors, and whether the network may be used."""

    mirrors: Annotated[
        Paths, Option((), "A folder or URL to look in first (laid out HOST/PATH).", "--mirror", "DIR_OR_URL")
    ]
    offline: Annotated[bool, Option(False, "Use no network: only the cache, folders and file: URLs.")]


class Sources(Places, total=False):
    """Sources of files."""

    archives: Annotated[bool, Option(True, "Also try the archives of last resort.", "--no-archives")]
    allow_private: Annotated[bool | None, Option(
        None, "Allow loopback and private addresses, redirects included; or never (default: unless a public server "
        "redirects there).", "--allow-private/--no-allow-private", env="MODELPREP_ALLOW_PRIVATE"
    )]


class Jobs(TypedDict, total=False):
    """How many downloads in parallel."""

    jobs: Annotated[int | None, Option(
        None, "Number of parallel downloads (default: 4 per host, 16 in all).", "--jobs -j", "N", least=1, most=64
    )]


class Lock(TypedDict, total=False):
    """Lock file with first-use checksums."""

    lockfile: Annotated[AnyPath | None, Option(
        None, "Lock file with first-use checksums (default: modelprep.lock in `out`).", metavar="FILE"
    )]


class Armnn(TypedDict, total=False):
    """Target Arm NN release."""

    armnn: Annotated[
        str | None, Option(None, "Prepare for another Arm NN release, if its facts are known.", metavar="VERSION")
    ]


class Board(TypedDict, total=False):
    """Target board."""

    bsp: Annotated[str | None, Option(
        None, "i.MX Linux release of the board (`modelprep bsp list` shows them).", metavar="RELEASE"
    )]
    soc: Annotated[str | None, Option(None, "SoC of the board: imx8mp, imx93 or imx95.", metavar="SOC")]


class Recipes(TypedDict, total=False):
    """Recipes beside the shipped ones."""

    recipes: Annotated[Paths, Option(
        (), "Your own recipes, which may replace shipped ones: a folder, an archive, or https://...tar.gz#sha256=... "
        "(MODELPREP_RECIPES adds more).", metavar="DIR"
    )]


class Restricted(TypedDict, total=False):
    """Whether files of a restricted licence are included."""

    include_restricted: Annotated[bool, Option(False, "Include files whose licence does not allow redistribution.")]


class PlanOptions(Out, Cache, Sources, Jobs, Lock, Armnn, Board, Recipes, total=False):
    """Options of ``plan`` and ``fetch``."""

    overrides: Annotated[Files, Option(None, "A file of yours for an asset, by its name.", "--set", "NAME=PATH")]
    accept_any: Annotated[
        bool, Option(False, "Accept a file of `overrides` even if it looks like a web page or a pointer, or is empty.")
    ]
    link: Annotated[bool, Option(False, "Hard links into the cache instead of copies.")]
    locked: Annotated[bool, Option(False, "Refuse to add pins to the lock file (for CI).")]
    image_files: Annotated[
        bool, Option(False, "With `bsp`: also prepare files that the board's image already contains.")
    ]
    remote_cache: Annotated[str | None, Option(
        None, "A cache shared with other machines: https://, or s3://, gs://, az:// with the extra 'remote'.",
        metavar="URL", env="MODELPREP_REMOTE_CACHE"
    )]
    remote_cache_mode: Annotated[
        str, Option("read", "Only read the remote cache, or upload to it too.", metavar="read|write")
    ]
    trust_remote_results: Annotated[
        bool, Option(False, "Use the remote cache for conversions too (mode write: upload them).")
    ]
    verify: Annotated[bool, Option(False, "Compare the numbers of conversions with those of their originals.")]
    deny_licence_class: Annotated[Words, Option(
        (), "Refuse demos with a file of this licence class: non-commercial, restricted, unknown or permissive.",
        metavar="CLASS"
    )]


class ListOptions(Out, Cache, Lock, Board, Recipes, total=False):
    """Options of ``list_demos``."""


class ShowOptions(ListOptions, Armnn, total=False):
    """Options of ``show``."""


class KeyOptions(Out, Lock, Armnn, Board, Recipes, total=False):
    """Options of ``cache_key``."""


class MirrorOptions(Restricted, Out, Cache, Sources, Jobs, Lock, Armnn, Board, Recipes, total=False):
    """Options of ``mirror``."""

    bitbake: Annotated[
        bool, Option(False, "Write one flat folder, with the file names and stamps of BitBake's DL_DIR.")
    ]


class PictureOptions(Out, Armnn, Board, Recipes, total=False):
    """Options of ``find_pictures``."""


class CheckOptions(PictureOptions, Cache, total=False):
    """Options of ``check``."""

    lint_only: Annotated[bool, Option(False, "Only check the models against the parser's rules; run nothing.")]
    iterations: Annotated[int, Option(
        0, "Like -i N on the board: N cases, no labels; 0 runs every case.", "--iterations -i", "N", least=0
    )]
    html: Annotated[AnyPath | None, Option(None, "Also write the report as an HTML page.", metavar="FILE")]
    against: Annotated[
        str | None, Option(None, "Compare with another variant's model (such as frozen).", metavar="VARIANT")
    ]


class HostOptions(Out, Lock, Recipes, total=False):
    """Options of ``count_hosts``."""


class AuditOptions(HostOptions, total=False):
    """Options of ``audit``."""

    archives: Annotated[
        bool, Option(False, "Also check the archives of last resort (they limit requests).", "--archives/--no-archives")
    ]
    history: Annotated[AnyPath | None, Option(
        None, "History file: when a source last worked (default: in the user's state folder).", metavar="FILE"
    )]
    html: Annotated[AnyPath | None, Option(None, "Also write the report as an HTML page.", metavar="FILE")]
    jobs: Annotated[int, Option(
        8, "Number of hosts checked in parallel, one request at a time each.", "--jobs -j", "N", least=1, most=32
    )]
    pause: Annotated[
        float, Option(0.5, "Seconds between two requests to one host.", metavar="SECONDS", least=0, most=60)
    ]
    timeout: Annotated[float, Option(20.0, "Read timeout in seconds.", metavar="SECONDS", least=0.1, most=600)]


class LintOptions(TypedDict, total=False):
    """Options of ``lint``."""

    target: Annotated[
        str, Option("armnn-19.02", "Target: a parser (armnn-19.02 and later) or the NPU (ethos-u).", "--for", "RUNTIME")
    ]
    parser: Annotated[
        str | None, Option(None, "caffe, tf, tflite or onnx, if it cannot be recognized from the file.", metavar="KIND")
    ]
    test: Annotated[str | None, Option(None, "Also check what this board test requires.", metavar="NAME")]
    outputs: Annotated[Words, Option((), "Outputs that the application will request.", "--output", "NAME")]
    all_npu: Annotated[bool, Option(False, "For an NPU: an operator that stays on the CPU is an error.")]
    sarif: Annotated[AnyPath | None, Option(None, "Also write a SARIF 2.1.0 log.", metavar="FILE")]


class BundleOptions(Restricted, Out, Board, Recipes, total=False):
    """Options of ``bundle``."""


class PlanDeployOptions(Out, Board, Recipes, total=False):
    """Options of ``plan_deploy``."""

    ssh: Annotated[str | None, Option(
        None, "The ssh command, with your options (default: ssh).", metavar="COMMAND", env="MODELPREP_SSH"
    )]


class DeployOptions(PlanDeployOptions, total=False):
    """Options of ``deploy``."""

    run: Annotated[bool, Option(False, "Then run the tests of these demos on the board.")]
    compute: Annotated[
        Words, Option((), "With `run`: backend for the Arm NN tests (CpuRef).", "--compute -c", "BACKEND")
    ]
    timeout: Annotated[
        int, Option(3600, "With `run`: seconds after which a test is ended.", metavar="SECONDS", least=1, most=604800)
    ]
    junit: Annotated[AnyPath | None, Option(
        None, "With `run`: write a JUnit XML report of the tests here (of several boards: a folder, one file each).",
        metavar="FILE"
    )]
    retries: Annotated[int, Option(
        0, "Number of retries when the connection fails or files arrive damaged.", metavar="N", least=0, most=20
    )]


class DeployManyOptions(DeployOptions, total=False):
    """Options of ``deploy_many``."""

    jobs: Annotated[int, Option(8, "Number of boards served in parallel.", "--jobs -j", "N", least=1, most=64)]


class YoctoOptions(Restricted, Out, Board, Recipes, total=False):
    """Options of ``export_yocto``."""

    bundle_url: Annotated[str, Option(
        "", "URL where you will host the converted files (default: they are part of the layer).", metavar="URL"
    )]
    release: Annotated[str | None, Option(
        None, "Yocto release (default: that of --bsp where it is known, else scarthgap).", metavar="NAME"
    )]
    layer_series: Annotated[
        Words, Option((), "Also mark the layer compatible with this newer release.", metavar="NAME")
    ]


class LavaOptions(Restricted, Out, Board, Recipes, total=False):
    """Options of ``export_lava``."""

    bundle_url: Annotated[str, Option(
        "", "URL where you will host the bundle, a folder or a file (default: file: and the folder).", metavar="URL"
    )]
    device_type: Annotated[str, Option("", "LAVA device type (default: an NXP board with `soc`).", metavar="NAME")]


class VerifyOptions(Out, Cache, Sources, Lock, Recipes, total=False):
    """Options of ``verify_cache``."""

    repair: Annotated[bool, Option(False, "Download or convert again the corrupt files that a recipe uses.")]


class GcOptions(Out, Cache, Lock, Recipes, total=False):
    """Options of ``collect_garbage``."""

    older_than: Annotated[float, Option(0.0, "Keep files younger than this many days.", metavar="DAYS", least=0)]
    max_size: Annotated[str | None, Option(
        None, "Then remove the least recently used files, down to SIZE (such as 2GiB).", metavar="SIZE"
    )]
    dry_run: Annotated[bool, Option(False, "Show what would be removed; remove nothing.", "--dry-run -n")]


class PinOptions(Lock, Recipes, total=False):
    """Options of ``pin_recipe``."""


class DoctorOptions(Out, Cache, Places, Recipes, total=False):
    """Options of ``doctor``."""


class UpdateOptions(Out, Cache, Sources, Lock, total=False):
    """Options of ``update_recipes``."""

    recipes: Annotated[Paths, Option((), "URL of the recipes (default: all that the lock file pins).", metavar="URL")]
    to: Annotated[str, Option("", "Move to this version (default: the current file at the URL).", metavar="VERSION")]
