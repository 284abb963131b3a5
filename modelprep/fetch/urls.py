"""Pure functions on URLs: paths in a mirror, share links, archives of last resort.

No network or disk access.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlencode, urlunsplit

from modelprep.url import Url

#: Maximum size of a file on jsDelivr in bytes, about.
JSDELIVR_LIMIT = 20 * 1024 * 1024

_DEFAULT_PORT = {"http": 80, "https": 443}


def basename(url: Url) -> str:
    """Return the last part of a URL's path, decoded; empty when there is none."""
    return unquote(url.path.rstrip("/").rpartition("/")[2])


def bitbake_name(url: Url) -> str:
    """Return the name of the file of an http or https URL in BitBake's DL_DIR: the last part with its query, decoded.

    Source: ``urldata_init`` of BitBake's wget fetcher. Empty for a URL without a path, one that BitBake cannot parse,
    or one with a secret query.
    """
    if url.scheme not in _DEFAULT_PORT or url.query_digest:
        return ""
    path = unquote(url.reveal().partition("://")[2].partition(";")[0].partition("/")[2])
    return path.rpartition("/")[2]


def mirror_path(url: Url) -> PurePosixPath | None:
    """Return the path of a URL's file in a mirror: ``<host>/<path>``, relative.

    The path is decoded (``%20`` is a blank in the name), the query is part of the last name, percent-encoded with its
    question mark (``model.bin%3Fdl%3D1``); a secret query is replaced by a digest. Characters that could leave the
    folder or are special in a file system stay encoded, so that no URL names a file outside the mirror.

    Returns
    -------
    PurePosixPath or None
        None for URLs that a mirror cannot contain (``file:``, no host).
    """
    parts, host = url.parts, url.host
    port = parts.port
    if parts.scheme not in _DEFAULT_PORT or not _safe_name(host):
        return None
    if port is not None and port != _DEFAULT_PORT[parts.scheme]:
        host = f"{host}:{port}"
    names = [_decoded(name) for name in parts.path.split("/") if name]
    if not names or parts.path.endswith("/"):
        names.append("index.html")
    if parts.query:
        names[-1] += "%3F" + (url.query_digest or quote(unquote(parts.query), safe=""))
    return PurePosixPath(host, *names)


def _safe_name(name: str) -> bool:
    return bool(name) and name.strip(".") != "" and not set(name) & set('/\\\0:*?"<>|')


def _decoded(name: str) -> str:
    plain = unquote(name, errors="surrogateescape")
    odd = not plain.isprintable() or set(plain) & set("/\\\0")
    if odd:
        return quote(unquote(name), safe="")
    return plain.replace(".", "%2E") if plain.strip(".") == "" else plain


def join_mirror(base: str, path: PurePosixPath) -> str:
    """Return the URL of a mirror's file: the base and the path, each name encoded once more."""
    return f"{base.rstrip('/')}/{quote(str(path), safe='/:')}"


#: Hosts of shared files that need a browser session.
_BROWSERS_ONLY = frozenset((
    "pan.baidu.com", "yun.baidu.com", "mega.nz", "www.mediafire.com", "wetransfer.com", "we.tl", "disk.yandex.com",
    "yadi.sk", "share.weiyun.com", "www.aliyundrive.com", "www.alipan.com", "icloud.com", "www.icloud.com",
))  # fmt: skip


def direct_forms(url: Url) -> tuple[tuple[Url, str], ...]:
    """Turn a link made for browsers into URLs of the file itself, each with a note, to be tried in order.

    Google Drive, OneDrive, SharePoint and Dropbox share links, ``/blob/`` pages of GitHub, GitLab and Hugging Face; any
    other URL is returned with an empty note.
    """
    return tuple((url.derived(form), note) for form, note in _direct_forms(url)) or ((url, ""),)


def browser_link(url: Url) -> str:
    """Say why a link never returns the file itself, and what to write instead; empty if it may."""
    direct, note = direct_forms(url)[0]
    if url.host == "drive.google.com" and "export=download" in url.parts.query.split("&"):
        return ""  # it returns the file, or for a large one a confirmation page
    if note and str(direct) != str(url):
        return f"{url} is a page for browsers, not the file; write the direct URL: {direct}"
    if url.host in _BROWSERS_ONLY:
        return f"{url} is a page that delivers its file to browsers only; write another source, or `provide: true`"
    return ""


def _direct_forms(url: Url) -> tuple[tuple[str, str], ...]:
    parts, host, path = url.parts, url.host, url.path
    if host in ("drive.google.com", "docs.google.com") and (file_id := _drive_id(path, parts.query)):
        query = urlencode({"id": file_id, "export": "download", "confirm": "t"})
        return ((f"https://drive.usercontent.google.com/download?{query}", "Google Drive share link"),)
    if host == "onedrive.live.com" or host == "1drv.ms":
        return _onedrive(url.reveal(), host, parts.query)
    if host in ("www.dropbox.com", "dropbox.com"):
        query = urlencode([*((k, v) for k, v in parse_qsl(parts.query) if k != "dl"), ("dl", "1")])
        return ((urlunsplit((parts.scheme, parts.netloc, path, query, "")), "Dropbox share link"),)
    names = path.strip("/").split("/")
    if host in ("huggingface.co", "hf.co") and "blob" in names[1:4]:
        at = names.index("blob", 1)
        names[at] = "resolve"
        return ((urlunsplit((parts.scheme, parts.netloc, "/" + "/".join(names), parts.query, "")), "model page"),)
    if host == "github.com" and len(names) > 4 and names[2] == "blob":
        raw = f"https://raw.githubusercontent.com/{names[0]}/{names[1]}/{'/'.join(names[3:])}"
        return ((raw, "a /blob/ link is a web page, not the file; its raw form was taken"),)
    if "/-/blob/" in path:  # GitLab, wherever it runs
        raw = urlunsplit((parts.scheme, parts.netloc, path.replace("/-/blob/", "/-/raw/", 1), parts.query, ""))
        return ((raw, "a /-/blob/ link is a web page, not the file; its raw form was taken"),)
    if host.endswith(".sharepoint.com") and path.startswith("/:") and "download=1" not in parts.query.split("&"):
        query = "&".join(filter(None, (parts.query, "download=1")))
        return ((urlunsplit((parts.scheme, parts.netloc, path, query, "")), "SharePoint share link"),)
    return ()


def _drive_id(path: str, query: str) -> str:
    names = path.strip("/").split("/")
    if len(names) > 2 and names[0] == "file" and names[1] == "d":
        return names[2]
    values = parse_qs(query).get("id")
    return values[0] if values and names[-1] in ("uc", "open", "download") else ""


def _onedrive(url: str, host: str, query: str) -> tuple[tuple[str, str], ...]:
    note = "OneDrive share link"
    forms = []
    values = {k: v[0] for k, v in parse_qs(query).items()}
    item = values.get("resid") or values.get("id", "")
    if host == "onedrive.live.com" and item and "authkey" in values:
        asked = {"cid": values.get("cid", item.partition("!")[0]), "resid": item, "authkey": values["authkey"]}
        forms.append((f"https://onedrive.live.com/download?{urlencode(asked)}", note))
    import base64

    token = base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
    forms.append((f"https://api.onedrive.com/v1.0/shares/u!{token}/root/content", note))
    return tuple(forms)


def _github_file(url: Url) -> tuple[str, str, str, str] | None:
    """Parse a raw link: (owner, repository, ref, path), still percent-encoded."""
    host = url.host
    names = url.path.strip("/").split("/")
    if host == "github.com" and len(names) > 4 and names[2] in ("raw", "blob"):
        names = [*names[:2], *names[3:]]
    elif host == "media.githubusercontent.com" and names[0] == "media":
        names = names[1:]
    elif host != "raw.githubusercontent.com":
        return None
    if len(names) > 5 and names[2] == "refs" and names[3] in ("heads", "tags"):
        names = [*names[:2], *names[4:]]
    if len(names) < 4 or not all(names):
        return None
    return names[0], names[1], names[2], "/".join(names[3:])


def lfs_media_url(url: Url) -> Url | None:
    """Return GitHub's URL of the content if `url` is a raw link of a Git LFS pointer; None for other URLs."""
    if (file := _github_file(url)) is None or url.host == "media.githubusercontent.com":
        return None
    return Url(f"https://media.githubusercontent.com/media/{'/'.join(file)}")


def by_digest(digests: Mapping[str, str]) -> tuple[Url, ...]:
    """Return the URLs of Software Heritage for a content, by sha256, sha1 or git's blob id."""
    names = {"sha256": "sha256", "git": "sha1_git", "sha1": "sha1"}
    for ours, theirs in names.items():  # one request is enough: these are three names of one content
        if ours in digests:
            return (Url(f"https://archive.softwareheritage.org/api/1/content/{theirs}:{digests[ours]}/raw/"),)
    return ()


def by_url(url: Url, *, size: int | None = None) -> tuple[Url, ...]:
    """Return the public archives' URLs for the file at `url`: jsDelivr for files in git, then the Wayback Machine.

    jsDelivr has small files only: `size` is in bytes, None if unknown.
    """
    if not is_public(url):
        return ()
    found = []
    file = _github_file(url)
    if file is not None and (size is None or size <= JSDELIVR_LIMIT):
        owner, repository, ref, path = file
        found.append(f"https://cdn.jsdelivr.net/gh/{owner}/{repository}@{ref}/{path}")
    # `id_` requests the original bytes; a bare "2" leads to the nearest snapshot.
    found.append(f"https://web.archive.org/web/2id_/{url.reveal()}")
    return tuple(url.derived(form) for form in found)


def is_public(url: Url) -> bool:
    """Say whether a URL may be sent to a third party: no secret, and no host of a private network."""
    import ipaddress

    host = url.host
    if url.scheme not in _DEFAULT_PORT or url.secret:
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host.strip(".") and not host.endswith(
            (".local", ".internal", ".lan", ".corp", ".home", ".localhost")
        )
