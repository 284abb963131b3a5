"""A URL's secrets stay in it: nothing printed, stored or logged holds them; what is public is kept."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from cli.conftest import Run
from cli.workshop import Workshop
from hypothesis import given
from hypothesis import strategies as st

from modelprep.errors import RecipeError
from modelprep.fetch import urls
from modelprep.pipeline.run.errors import as_error
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.loader import load_recipe
from modelprep.url import Url, redact_proxy, scrub

SECRET = "tok-4711-secret"
WORDS = st.text(st.characters(categories=["L", "N"], max_codepoint=0x7F), min_size=8, max_size=20)


@given(
    user=WORDS,
    password=WORDS,
    name=st.sampled_from(["token", "jwt", "sig", "private_token", "k", "X-Amz-Signature"]),
    value=WORDS,
)
def test_nothing_that_prints_a_url_shows_a_secret(user: str, password: str, name: str, value: str) -> None:
    url = Url(f"https://{user}:{password}@host.example/a.bin?dl=1&{name}={value}&{value}#{value}")
    told = [str(url), repr(url), f"{url}", json.dumps({"url": url}, default=str), url.key, str(urls.mirror_path(url))]
    told += [str(form) for form, _ in urls.direct_forms(url)] + [urls.bitbake_name(url), urls.basename(url)]
    told += [scrub(f"Max retries exceeded with url: /a.bin?{name}={value} for {user}:{password}")]
    for text in told:
        assert value not in text
        assert password not in text
    assert url.secret
    assert not urls.by_url(url)
    assert pickle.loads(pickle.dumps(url)).reveal() == url.reveal()


@pytest.mark.parametrize(
    "query",
    ["dl=1", "raw=true", "id=0Bzy9&export=download&confirm=t", "usp=sharing", "revision=7", "file=x.bin&version=2"],
)
def test_a_query_of_harmless_parameters_is_kept(query: str) -> None:
    url = Url(f"https://h.example/a.bin?{query}")
    assert str(url) == url.reveal() == url.key
    assert not url.secret


@pytest.mark.parametrize(
    "query", ["file=https://u:s3cret-pw@h/x", "path=https%3A%2F%2Fh%2Fx%3Ftoken%3Ds3cret-pw", "name=//s3cret-pw@h"]
)
def test_a_url_in_a_public_parameter_is_a_secret(query: str) -> None:
    assert "s3cret-pw" not in str(Url(f"https://h.example/get?{query}"))


def test_a_secret_query_is_named_by_its_digest_where_a_name_is_needed() -> None:
    import hashlib

    url = Url("https://h.example/f/a.bin?token=x-secret&dl=1")
    digest = hashlib.sha256(b"token=x-secret&dl=1").hexdigest()[:16]
    assert str(url) == "https://h.example/f/a.bin?token=REDACTED&dl=REDACTED"
    assert str(urls.mirror_path(url)) == f"h.example/f/a.bin%3F{digest}"
    assert url.key == f"https://h.example/f/a.bin?{digest}"
    assert str(Url("https://h.example/a?abcdef")) == "https://h.example/a?REDACTED"


def test_queries_of_the_packaged_catalogue_are_public_in_any_recipe(tmp_path: Path) -> None:
    catalogue = Catalogue.open()
    keyed = [
        source.url
        for recipe in catalogue.resolve(["all"])
        for asset in recipe.assets.values()
        for source in asset.sources
        if "authkey=" in source.url.reveal()
    ]
    assert keyed
    assert all(str(url) == url.reveal() for url in keyed)
    mine = tmp_path / "g" / "r.yaml"
    mine.parent.mkdir()
    for text, secret in ((keyed[0].reveal(), False), (keyed[0].reveal() + "x", True)):
        mine.write_text(f"schema: 1\ndemo: D\nassets: {{a: {{urls: ['{text}'], pin: first-use}}}}\n")
        (source,) = load_recipe(mine).assets["a"].sources
        assert source.url.secret is secret


def test_user_info_in_a_recipe_is_refused_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(
        f"schema: 1\ndemo: D\nassets: {{a: {{urls: ['https://bob:{SECRET}@h.example/a'], pin: first-use}}}}\n"
    )
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert "netrc" in caught.value.what
    assert SECRET not in str(caught.value) + json.dumps(caught.value.to_json())


def test_no_command_shows_or_stores_a_token(workshop: Workshop, modelprep: Run, tmp_path: Path) -> None:
    url = workshop.server.put(f"/m.bin?token={SECRET}", b"\0" * 3000)
    workshop.simple("one", b"\0" * 3000, urls=url)
    told = ""
    for arguments in (
        ["fetch", "things", "--dry-run"], ["fetch", "things"], ["fetch", "things", "--json"], ["show", "things/one"],
        ["show", "things/one", "--json"], ["list", "things", "--json"],
        ["mirror", "things", str(tmp_path / "m"), "--no-archives"],
        ["bundle", "things", "-o", str(tmp_path / "b.tar")], ["audit", "things"],
    ):  # fmt: skip
        ran = modelprep(*arguments)
        told += ran.out + ran.err
    assert SECRET not in told
    assert "REDACTED" in told
    kept = [path for folder in (workshop.out, workshop.cache, tmp_path) for path in folder.rglob("*") if path.is_file()]
    assert kept
    recipes = workshop.recipes
    assert not [
        path for path in kept
        if SECRET.encode() in path.read_bytes() + str(path).encode() and not path.is_relative_to(recipes)
    ]  # fmt: skip


def test_a_file_that_could_not_be_fetched_is_named_by_its_place_in_the_recipe(
    workshop: Workshop, modelprep: Run
) -> None:
    workshop.simple("one", b"x", urls=workshop.server.url(f"/gone?jwt={SECRET}"))
    ran = modelprep("fetch", "things", "--no-archives")
    assert ran.code == 3
    assert "'<URL from " in ran.err
    assert SECRET not in ran.err


def test_doctor_and_bug_logs_hold_no_password(modelprep: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://bob:{SECRET}@127.0.0.1:1")
    ran = modelprep("doctor", "--offline", bare=True)
    assert SECRET not in ran.out + ran.err
    assert "REDACTED@127.0.0.1:1" in ran.out
    assert redact_proxy(f"bob:{SECRET}@proxy:3128") == "REDACTED@proxy:3128"
    shown = str(as_error(RuntimeError(f"no proxy http://bob:{SECRET}@127.0.0.1:1, nor {SECRET}")))
    log = Path(shown.split("traceback in ")[1].strip())
    assert SECRET not in shown + log.read_text()
    log.unlink()
