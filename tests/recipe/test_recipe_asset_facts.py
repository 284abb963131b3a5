"""Every URL, digest and size of the shipped assets is one that the asset facts know, and none of theirs is left out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelprep.recipe.catalogue import Catalogue, SharedAssets
from modelprep.recipe.schema import Asset

#: Not files that can be fetched as they are: whole source trees, and what was never published or is made by a script.
NOT_FILES = {
    "opencv_extra_zip": "GitHub makes the archive anew; its files are taken one by one",
    "tensorflow_r112_src": "a git repository",
    "tf_models_repo": "a git repository",
    "mlsec_inception_v3": "made by a script that is not public; inception-v3-frozen is the candidate",
    "yolov1_tiny_caffe": "a slot: no source is known to be the file",
    "tf_resnext": "a slot: never public",
    "vgg16_quant": "a slot: never public",
    "hedgehog_jpg": "a slot: the manual credits a page, not a file",
}
#: Source packages of Debian, as its own indices (bullseye, bookworm) state them: sha256 -> size.
DEBIAN = {
    "e0eb3f06794f7402c77b7dec8e8480273ee1a1bb192e9122b621a69d4147ad0c": 8518844,  # caffe 1.0.0+git20180821.99bd997
    "3bba7c17e4a4a8b995c60904453dfc39315b3bea50e14008fd851afe7a1ff798": 53831292,  # opencv 4.6.0+dfsg, contrib
    "40a59ba7e5c18a43652de0a08733c9843a39bba619b1f3e26a5fac4a6f041423": 73835896,  # opencv 4.6.0+dfsg
}
POOL = "https://deb.debian.org/debian/pool/main/"
#: Links that no program can follow, and what stands for them.
REPLACED = {
    "https://onedrive.live.com/?authkey=%21AAFW2-FVoxeVRck&cid=4006CBB8476FF777&id=4006CBB8476FF777%2117895"
    "&parId=4006CBB8476FF777%2117887&o=OneUp": "a viewer page; the facts give its direct form",
    "https://storage.cloud.google.com/download.tensorflow.org/models/tflite/mnasnet_1.3_224_09_07_2018.tgz": (
        "the browser form of storage.googleapis.com; asks for a login"
    ),
    # The pictures' other candidates are other pictures; an asset is one file.
    "https://raw.githubusercontent.com/EliSchwartz/imagenet-sample-images/master/n01484850_great_white_shark.JPEG": (
        "another picture"
    ),
    "https://raw.githubusercontent.com/EliSchwartz/imagenet-sample-images/master/n02099712_Labrador_retriever.JPEG": (
        "another picture"
    ),
    "https://upload.wikimedia.org/wikipedia/commons/2/26/YellowLabradorLooking_new.jpg": "another picture",
}


@pytest.fixture(scope="module")
def facts_text(repository: Path) -> str:
    folder = Path(os.environ.get("MODELPREP_TEST_FACTS", repository.parent / "shared" / "facts"))
    if not (folder / "assets.yaml").is_file():
        pytest.skip("the asset facts are not on this machine (MODELPREP_TEST_FACTS names their folder)")
    names = ("assets.yaml", "armnn-19.02-tests.yaml", "imx-demos.yaml")
    return "".join((folder / name).read_text("utf-8") for name in names if (folder / name).is_file())


@pytest.fixture(scope="module")
def facts(facts_text: str) -> dict[str, Any]:
    return yaml.load(facts_text.partition("\n# Facts about the Arm NN 19.02 inference")[0], yaml.CSafeLoader)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def later(facts_text: str) -> dict[str, Any]:
    """The facts on the demos of later boards."""
    head, mark, rest = facts_text.partition("# Demos of today for i.MX boards")
    if not mark:
        pytest.skip(f"the facts on later boards are not on this machine ({len(head)} characters of others are)")
    return yaml.load(mark + rest, yaml.CSafeLoader)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def assets(repository: Path) -> Mapping[str, Asset]:
    return SharedAssets([repository / "recipes" / "assets"])


@pytest.fixture(scope="module")
def all_assets(assets: Mapping[str, Asset]) -> Mapping[str, Asset]:
    """The shared assets, and what recipes and their variants declare for themselves."""
    catalogue = Catalogue.open()
    found = dict(assets)
    for recipe in catalogue.resolve(["all"]):
        for variant in ("", *recipe.variants):
            for asset in catalogue.recipe(recipe.name, variant).assets.values():
                shipped = asset.sources and all(source.url.is_local for source in asset.sources)
                if not asset.shared and not shipped:  # what lies beside a recipe is held to itself where it is tested
                    found[f"{recipe.name}@{variant}#{asset.id}"] = asset
    return found


def urls_of(assets: Mapping[str, Asset]) -> Iterator[tuple[str, str]]:
    for asset in assets.values():
        for source in asset.sources:
            yield asset.id, source.url.reveal()


def test_no_url_is_our_own_invention(all_assets: Mapping[str, Asset], facts_text: str) -> None:
    # Long URLs are folded in the facts, and some stand within sentences: compare with all white space taken out.
    known = re.sub(r"\s+", "", facts_text)
    found = [(asset, url) for asset, url in urls_of(all_assets) if url not in known and not url.startswith(POOL)]
    # A share link of Google Drive may stand in its direct form.
    assert [each for each in found if each[1].replace("uc?export=download&id=", "file/d/") not in known] == []


def test_no_digest_is_our_own_invention(all_assets: Mapping[str, Asset], facts_text: str) -> None:
    known = {*re.findall(r"\b[0-9a-f]{32,128}\b", facts_text), *DEBIAN}
    digests = [
        (asset.id, value)
        for asset in all_assets.values()
        for each in (
            asset.digests,
            *asset.members.values(),
            *(source.digests for source in asset.sources),
            *(version.digests for version in asset.other_versions),
        )
        for value in each.values.values()
    ]
    assert len(digests) > 100
    assert [(name, value) for name, value in digests if value not in known] == []


def test_no_size_is_our_own_invention(all_assets: Mapping[str, Asset], facts_text: str) -> None:
    known = {int(number.replace(",", "")) for number in re.findall(r"\b\d[\d,]{2,}\b", facts_text)} | set(
        DEBIAN.values()
    )
    sizes = [
        (asset.id, size)
        for asset in all_assets.values()
        for size in (asset.size, *(each.size for each in (*asset.sources, *asset.other_versions)))
    ]
    assert [(name, size) for name, size in sizes if size is not None and size not in known] == []


def test_every_asset_of_the_facts_has_its_sources_here(assets: Mapping[str, Asset], facts: dict[str, Any]) -> None:
    ours = {url for _, url in urls_of(assets)}
    left_out = []
    for fact in facts["assets"]:
        if fact["id"] in NOT_FILES:
            continue
        urls = [fact.get("manual_url"), fact.get("url")]
        urls += [mirror["url"] for mirror in fact["mirrors"] if mirror["same_bytes"] in ("proven", "stated")]
        left_out += [(fact["id"], url) for url in urls if url and url not in ours and url not in REPLACED]
    assert left_out == []


def test_the_manuals_own_link_comes_first(assets: Mapping[str, Asset], facts: dict[str, Any]) -> None:
    firsts = {asset.sources[0].url for asset in assets.values() if asset.sources}
    manual = {fact["manual_url"] for fact in facts["assets"] if fact["manual_url"] and fact["id"] not in NOT_FILES}
    assert manual - firsts - set(REPLACED) == set()


def test_every_published_digest_of_an_asset_is_used(assets: Mapping[str, Asset], facts: dict[str, Any]) -> None:
    """The strongest digest that somebody publishes for a file decides over it here."""
    ours = {
        value
        for asset in assets.values()
        for each in (asset.digests, *(source.digests for source in asset.sources))
        for value in each.values.values()
    }
    strength = ["sha256", "sha384", "git_blob_sha1", "sha1", "md5"]
    unused = []
    for fact in facts["assets"]:
        published = [check for check in fact["checksums"] if check.get("published", True)]
        if fact["id"] in NOT_FILES or not published:
            continue
        best = min(published, key=lambda check: strength.index(check["algo"]))
        if best["value"] not in ours:
            unused.append((fact["id"], best))
    assert unused == []


def test_a_digest_that_nobody_publishes_is_never_passed_off_as_published(
    assets: Mapping[str, Asset], facts: dict[str, Any], later: dict[str, Any]
) -> None:
    published = {check["value"] for file in later["a_gopoint"]["assets"] for check in file["checksums"]}
    published |= {file["sha"] for file in later["a_gopoint"]["older_lists"]["files"]}
    published |= {
        check["value"]
        for each in ("v2", "v3")
        for file in later["d_pyeiq"][each]["archives"]
        for check in file["checksums"]
    }
    published |= {
        check["value"] for fact in facts["assets"] for check in fact["checksums"] if check.get("published", True)
    }
    published |= {value for fact in facts["assets"] for member in fact.get("members", ()) for value in member.values()}
    pointers = [facts["onnx_zoo_lfs_pointers_2020_05"], facts["onnx_zoo_lfs_pointers_2025_06"]]
    published |= {file["sha256"] for pointer in pointers for file in pointer["files"]}
    # Both by renesas, named in notes of the facts.
    published |= {"f4c9a2906a949f089bee5ef1bf9ea1c0dc1b49d5abeb1874fff3d206751d0f3b"}
    published |= {"efb9f930c2cc9d69854afea506446f296f75d0ec3530f3f8394956e9dab78fcb"}
    for asset in assets.values():
        if asset.digests and not set(asset.digests.values.values()) & published:
            assert "no publisher states" in asset.pinned_by, asset.id


def test_every_file_of_gopoint_is_here_with_its_published_sha1(
    assets: Mapping[str, Asset], later: dict[str, Any]
) -> None:
    ours = {asset.digests.values["sha1"]: asset for asset in assets.values() if "sha1" in asset.digests.values}
    files = later["a_gopoint"]["assets"]
    assert len(files) > 30
    for file in files:
        asset = ours[file["checksums"][0]["value"]]
        urls = {source.url.reveal() for source in asset.sources}
        assert {file["url"], *(mirror["url"] for mirror in file["mirrors"])} & urls, file["id"]


def test_no_other_version_is_a_file_that_is_wanted(all_assets: Mapping[str, Asset]) -> None:
    for asset in all_assets.values():
        for version in asset.other_versions:
            assert not set(version.digests.values.values()) & set(asset.digests.values.values()), asset.id


def test_every_asset_says_who_pins_it_and_what_its_licence_is(assets: Mapping[str, Asset]) -> None:
    for asset in assets.values():
        assert asset.licence is not None, asset.id
        assert asset.licence.source, asset.id
        assert asset.summary, asset.id
        if asset.digests or asset.members:
            assert asset.pinned_by, asset.id


#: Licence sources that somebody has read beyond the facts, each with what was read.
READ = {
    "forresti/SqueezeNet, LICENSE": "two clauses, at commit 40eddd44581b4c32d1c7ffb0b2289e55d19cef32",
    "the gist that holds the file": "its own words; the file is among the upstream files",
    "the model's readme in its repository": "named by the facts",
    "the picture's EXIF data": "in the file",
    "developer.arm.com": "the site that the facts mean",
    "www.cs.toronto.edu/~kriz/cifar.html": "the page that the facts mean",
}


def of_fact(assets: Mapping[str, Asset], fact: Mapping[str, Any]) -> Iterator[Asset]:
    """Yield our assets that are fetched, as they are, from an address that the facts give for this file."""
    urls = {fact.get("manual_url"), fact.get("url")}
    urls |= {mirror["url"] for mirror in fact["mirrors"] if mirror["same_bytes"] in ("proven", "stated")}
    for asset in assets.values():
        if any(source.url in urls and not source.member for source in asset.sources):
            yield asset


def test_each_asset_has_the_digests_and_the_size_of_its_own_file(
    assets: Mapping[str, Asset], facts: dict[str, Any]
) -> None:
    """Digests are joined to files by address: a true digest on the wrong asset is found here."""
    wrong, compared = [], 0
    for fact in facts["assets"]:
        digests = {check["value"] for check in fact["checksums"]}
        for asset in of_fact(assets, fact):
            if asset.digests and digests:
                compared += 1
                if not set(asset.digests.values.values()) & digests:
                    wrong.append((asset.id, fact["id"], "digest"))
            if asset.size is not None and fact["size"] is not None and asset.size != fact["size"]:
                wrong.append((asset.id, fact["id"], "size"))
    assert wrong == []
    assert compared > 40


def test_a_licence_names_no_place_that_the_facts_do_not_name(
    assets: Mapping[str, Asset], facts: dict[str, Any]
) -> None:
    """What only the facts say is said to be theirs; a repository is a source only where they name it as one."""
    more = []
    for fact in facts["assets"]:
        said = re.sub(r"\W+", " ", f"{fact['licence']} {' '.join(map(str, fact.get('notes', ())))}").casefold()
        for asset in of_fact(assets, fact):
            assert asset.licence is not None
            source = asset.licence.source
            if "without a licence document" in source or source in READ or asset.restricted:
                continue
            named = [word for word in re.split(r"[/ ,]+", source.casefold()) if re.sub(r"\W+", " ", word) in said]
            if not named:
                more.append((asset.id, source, fact["licence"]))
    assert more == []


def test_real_files_have_the_pinned_bytes(assets: Mapping[str, Asset], upstream: Path) -> None:
    import hashlib

    def git(data: bytes) -> str:
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    checked = 0
    for asset in assets.values():
        for source in asset.sources:
            parts = source.url.parts
            path = upstream / parts.netloc / parts.path.lstrip("/")
            digests, size = (source.digests, source.size) if source.member else (asset.digests, asset.size)
            if not path.is_file():
                continue
            data = path.read_bytes()
            if digests:
                checked += 1
            assert size in (None, len(data)), source.url
            for algorithm, value in digests.values.items():
                found = git(data) if algorithm == "git" else hashlib.new(algorithm, data).hexdigest()
                assert found == value, (source.url, algorithm)
    assert checked > 30
