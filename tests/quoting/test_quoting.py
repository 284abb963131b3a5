"""What the writers of `modelprep.quoting` write is read back by the real reader of each language, whatever the text."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelprep import quoting
from modelprep.quoting import Unquotable

SHELLS = [["dash"], ["busybox", "sh"]]
#: What has a meaning in some language, beside any character at all and the bytes of names that are not UTF-8.
HOSTILE = [
    "$(touch x)", "`id`", "'; id; '", '"$x"', "${@1+1}", "${PN}", "$", "{", "}", "-rf", "--", "-", "a=b", "if", "!",
    "~", "*", "#", "\\", "\n", "\r", "\t", "%n", "\x1b[31m", "\x9b", "\u202e", "<b>&amp;", "]]>", "\x85", "\u2028",
    "\ufeff", "\udcff", "é", "日本", "😀", " ", "modelprep-list", "END", ";", "|", "\x7f", "\x01", "\x81", "\x88",
]  # fmt: skip
ANY = st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.characters(
    min_codepoint=0xDC80, max_codepoint=0xDCFF
)
PIECES = st.lists(st.sampled_from(HOSTILE) | st.text(ANY, max_size=6), max_size=5)
TEXT = PIECES.map("".join)
#: Texts in batches: starting a program costs more than reading a hundred words.
BATCH = st.lists(TEXT, min_size=1, max_size=60)
NAMES = st.lists(
    TEXT.map(lambda text: text.replace("/", "")).filter(lambda name: name not in ("", ".", "..")),
    min_size=1,
    max_size=30,
    unique=True,
).map(lambda names: [name for name in names if len(os.fsencode(name)) < 200])
few = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs the program {name}")
    return found


def quoted(write: Callable[[str], str], texts: list[str]) -> dict[str, str]:
    """Texts that a language can hold -> how they are written."""
    found = {}
    for text in texts:
        with contextlib.suppress(Unquotable):
            found[text] = write(text)
    return found


# -- POSIX sh ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@few
@given(texts=BATCH)
def test_a_shell_reads_a_quoted_word_as_the_text(shell: list[str], texts: list[str]) -> None:
    program(shell[0])
    script = "printf '%s\\0' " + " ".join(quoting.sh(text) for text in texts)
    ran = subprocess.run([*shell, "-s"], input=os.fsencode(script), capture_output=True, check=True)
    assert ran.stdout == b"".join(os.fsencode(text) + b"\0" for text in texts)
    assert not ran.stderr


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@few
@given(names=NAMES, arguments=st.lists(TEXT, max_size=4), value=TEXT)
def test_a_shell_runs_the_program_of_a_command_with_its_arguments_and_environment(
    shell: list[str], names: list[str], arguments: list[str], value: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    program(shell[0])
    folder = tmp_path_factory.mktemp("bin")
    for name in names:
        tool = folder / name
        tool.write_bytes(b'#!/bin/sh\nprintf "%s\\0" "$0" "$VALUE" "$@"\n')
        tool.chmod(0o755)
    commands = [quoting.command(f"./{name}", *arguments, environment={"VALUE": value}) for name in names]
    ran = subprocess.run(
        [*shell, "-s"], input=os.fsencode("\n".join(commands)), capture_output=True, check=True, cwd=folder
    )
    expected = [os.fsencode(text) for name in names for text in (f"./{name}", value, *arguments)]
    assert ran.stdout.split(b"\0")[:-1] == expected


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize("name", ["a=b", "if", "while", "!", "{", "-x", "case", "a b", "$x", "~"])
def test_a_program_may_have_a_name_that_means_something_to_the_shell(
    shell: list[str], name: str, tmp_path: Path
) -> None:
    program(shell[0])
    (tmp_path / name).write_text("#!/bin/sh\necho ran\n")
    (tmp_path / name).chmod(0o755)
    ran = subprocess.run(
        [*shell, "-s"],
        input=quoting.command(name),
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert ran.stdout == "ran\n", ran.stderr


def test_what_a_shell_cannot_hold_is_refused() -> None:
    for wrong in (
        lambda: quoting.sh("a\0b"),
        lambda: quoting.command(),
        lambda: quoting.command(""),
        lambda: quoting.command("p", environment={"A B": "x"}),
        lambda: quoting.command("p", environment={"x;id": "x"}),
    ):
        with pytest.raises(Unquotable):
            wrong()


@few
@given(names=NAMES)
def test_an_operand_is_no_option(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("files")
    for name in names:
        (folder / name).write_text("x")
    ran = subprocess.run(
        ["rm", *(quoting.operand(name) for name in names)], cwd=folder, capture_output=True, check=True
    )
    assert not ran.stderr
    assert not list(folder.iterdir())


# -- BitBake -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bitbake() -> Iterator[Callable[[str], dict[str, object]]]:
    if importlib.util.find_spec("bb") is None:
        pytest.skip("needs BitBake's library: pip install bitbake-setup")
    worker = Path(__file__).with_name("bitbake_reader.py")
    with subprocess.Popen(
        [sys.executable, worker], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def read(recipe: str) -> dict[str, object]:
            process.stdin.write(json.dumps(recipe) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            assert "error" not in answer, answer["error"]
            return answer

        yield read
        process.stdin.close()


@few
@given(texts=BATCH)
def test_bitbake_expands_a_value_to_the_text(bitbake: Callable[[str], dict[str, object]], texts: list[str]) -> None:
    written = quoted(quoting.bitbake, texts)
    lines = [f"V{number} = {value}" for number, value in enumerate(written.values())]
    assert bitbake("\n".join([*lines, ""]))["values"] == {f"V{number}": text for number, text in enumerate(written)}


@few
@given(texts=BATCH)
def test_bitbake_takes_any_prose(bitbake: Callable[[str], dict[str, object]], texts: list[str]) -> None:
    lines = [f"V{number} = {quoting.bitbake_prose(text)}" for number, text in enumerate(texts)]
    values = bitbake("\n".join([*lines, ""]))["values"]
    assert isinstance(values, dict)
    for number, text in enumerate(texts):
        kept = [char for char in text if char.isalnum()]
        assert [char for char in values[f"V{number}"] if char.isalnum()] == kept


@few
@given(texts=BATCH)
def test_a_shell_reads_a_word_of_a_bitbake_function_as_the_text(
    bitbake: Callable[[str], dict[str, object]], texts: list[str]
) -> None:
    written = quoted(quoting.bitbake_sh, texts)
    words = "".join(f"    printf '%s\\0' {word}\n" for word in written.values())
    body = bitbake(f'PN = "expanded"\nx = "expanded"\ndo_test() {{\n    :\n{words}}}\n')["sh"]
    assert isinstance(body, str)
    ran = subprocess.run(["sh", "-c", body], capture_output=True, check=True)
    assert ran.stdout.decode() == "".join(f"{text}\0" for text in written)


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (quoting.bitbake, 'x"\npython () {\n}\nA = "'),
        (quoting.bitbake, "${@__import__('os')}"),
        (quoting.bitbake, "both ' and \""),
        (quoting.bitbake, "\udcff"),
        (quoting.bitbake_sh, "a\n}\npython () {"),
        (quoting.bitbake_path, "/x`id`"),
        (quoting.bitbake_path, "/x$(id)"),
        (quoting.bitbake_path, "/x*"),
        (quoting.bitbake_item, "a b"),
        (quoting.bitbake_item, "a\tb"),
        (quoting.bitbake_item, ""),
        (quoting.bitbake_item, 'a"'),
    ],
)
def test_what_bitbake_cannot_hold_is_refused(write: Callable[[str], str], text: str) -> None:
    with pytest.raises(Unquotable):
        write(text)


# -- ssh and sftp ------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    login=TEXT
    | st.sampled_from(["root@imx8mq", "imx8", "a.b-c_d@10.0.0.2", "u@fe80::1%eth0", "::1", "-oProxyCommand=id", "-F@x"])
    | st.from_regex(r"[a-z-][a-z@:%.=-]{0,12}", fullmatch=True)
)
def test_ssh_takes_an_accepted_login_for_user_and_host_and_nothing_else(login: str) -> None:
    try:
        words = quoting.remote(login, "true")
    except Unquotable:
        return
    ran = subprocess.run([program("ssh"), "-G", "-F", "none", *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    facts = dict(line.partition(" ")[::2] for line in ran.stdout.splitlines())
    user, _, host = login.rpartition("@")
    with contextlib.suppress(OSError):  # ssh writes an address that is short of numbers in full
        host = socket.inet_ntoa(socket.inet_aton(host))
    assert facts["hostname"].lower() == host.lower()
    assert not user or facts["user"] == user
    assert facts.get("proxycommand", "none") == "none"


@pytest.mark.parametrize(
    "login",
    [
        "-oProxyCommand=id",
        "-F",
        "root@-oX",
        "a b",
        "a;id",
        "root@$(id)",
        "root@h\n",
        "@h",
        "u@",
        "",
        "a@b@c",
        "h/../x",
        "é",
    ],
)
def test_no_odd_login_reaches_ssh(login: str) -> None:
    with pytest.raises(Unquotable):
        quoting.destination(login)


def test_no_command_for_a_board_is_an_option_of_ssh() -> None:
    with pytest.raises(Unquotable):
        quoting.remote("board", "-oProxyCommand=id")


@few
@given(names=NAMES)
def test_sftp_puts_a_file_of_any_name_under_that_name(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = next(
        (place for place in ("/usr/lib/openssh/sftp-server", "/usr/libexec/sftp-server") if Path(place).exists()), None
    )
    if server is None:
        pytest.skip("needs OpenSSH's sftp-server")
    here, there = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("there")
    written = quoted(quoting.sftp, names)
    for name in written:
        (here / name).write_bytes(os.fsencode(name))
    batch = "".join(f"put {word} {word}\n" for word in written.values())
    ran = subprocess.run(
        [program("sftp"), "-q", "-D", server, "-b", "-"],
        input=os.fsencode(f"cd {quoting.sftp(str(there))}\n{batch}"), capture_output=True, check=False, cwd=here,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {name: os.fsencode(name) for name in written}


# -- terminals ---------------------------------------------------------------------------------------------------------


@given(text=st.text())
def test_nothing_that_steers_a_terminal_or_reorders_text_is_left(text: str) -> None:
    for char in quoting.line(text):
        assert unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp"), hex(ord(char))
        assert unicodedata.bidirectional(char) not in {
            "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
        }  # fmt: skip
    assert set(quoting.terminal(text)) - set(quoting.line(text)) <= {"\n", "\t"}
    assert quoting.terminal(text).encode().decode() == quoting.terminal(text)


def test_every_bidi_control_and_every_control_character_is_escaped() -> None:
    controls = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F)]
    controls += [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))]
    for char in controls:
        assert quoting.line(f"a{char}b").isprintable()
    assert quoting.line("\x1b[31m\u202e\udcff\t") == r"\x1b[31m\u202e\xff\t"
    assert quoting.terminal("Grüße, 日本 😀\n\tok") == "Grüße, 日本 😀\n\tok"


# -- HTML, JSON, YAML --------------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Collects the text and the attributes of what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str | None] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [value for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


@given(text=TEXT)
def test_a_parser_reads_text_and_attribute_back(text: str) -> None:
    reader = Reader()
    reader.feed(f'<p title="{quoting.html(text)}">{quoting.html(text)}</p>')
    reader.close()
    assert reader.tags == ["p"]
    assert reader.attributes == [quoting.terminal(text)]
    assert reader.text == quoting.terminal(text)


@pytest.mark.slow
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(TEXT, min_size=150, max_size=300))
def test_a_browser_reads_text_and_attribute_back(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("needs Chromium")
    folder = tmp_path_factory.mktemp("page")
    rows = "".join(f'<i title="{quoting.html(text)}">{quoting.html(text)}</i>' for text in texts)
    read = "JSON.stringify([...document.querySelectorAll('i')].map(e => [e.title, e.textContent]))"
    (folder / "page.html").write_text(
        f"<!DOCTYPE html><meta charset=utf-8><div id=rows>{rows}</div><pre id=out></pre><script>"
        f"const found = {read}; document.getElementById('rows').remove();"
        "document.getElementById('out').textContent = btoa(unescape(encodeURIComponent(found)));</script>",
        encoding="utf-8",
    )
    ran = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}", "--dump-dom",
         f"file://{folder}/page.html"], capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    import base64

    found = json.loads(base64.b64decode(ran.stdout.partition('<pre id="out">')[2].partition("</pre>")[0]))
    assert found == [[quoting.terminal(text)] * 2 for text in texts]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "--set", ""])
def test_only_web_addresses_become_links(url: str) -> None:
    assert "<a" not in quoting.link(url)


@given(text=TEXT)
def test_a_link_holds_its_address(text: str) -> None:
    reader = Reader()
    reader.feed(quoting.link(f"https://host/{text}", text or "here"))
    reader.close()
    assert reader.tags == ["a"]
    assert f"https://host/{quoting.terminal(text)}" in reader.attributes


@given(text=TEXT)
def test_json_is_read_back_and_steers_no_terminal(text: str) -> None:
    written = quoting.json({text: [text]}, indent=2)
    assert json.loads(written) == {text: [text]}
    assert quoting.terminal(written) == written


@given(text=TEXT.filter(lambda text: not any("\ud800" <= char <= "\udfff" for char in text)))
def test_yaml_is_read_back(text: str) -> None:
    assert yaml.safe_load(f"key: {quoting.yaml(text)}\n") == {"key": text}
    assert yaml.load(f"key: {quoting.yaml(text)}\n", Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) == {
        "key": text
    }


# -- sha256sum ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reader", [["sha256sum"], ["busybox", "sha256sum"]], ids=" ".join)
@few
@given(names=NAMES)
def test_sha256sum_checks_a_list_of_any_names(
    reader: list[str], names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    program(reader[0])
    if reader[0] == "busybox":  # it knows no escapes
        names = [name for name in names if not set(name) & set("\\\n\r")]
    folder = tmp_path_factory.mktemp("tree")
    lines = []
    for name in names:
        data = os.fsencode(name)
        (folder / name).write_bytes(data)
        lines.append(quoting.sums_line(hashlib.sha256(data).hexdigest(), name))
    if not lines:
        return
    given = os.fsencode("".join(lines))
    ran = subprocess.run([*reader, "-c", "-"], cwd=folder, input=given, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count(b": OK") == len(names)


@few
@given(names=NAMES)
def test_what_sha256sum_prints_is_read_as_the_names_and_digests(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    program("sha256sum")
    folder = tmp_path_factory.mktemp("tree")
    for name in names:
        (folder / name).write_bytes(os.fsencode(name))
    if not names:
        return
    ran = subprocess.run(
        ["sha256sum", "--", *names], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    digests = {name: hashlib.sha256(os.fsencode(name)).hexdigest() for name in names}
    digests |= {"-": hashlib.sha256(b"").hexdigest()} if "-" in names else {}
    assert quoting.read_sums(os.fsdecode(ran.stdout)) == digests
    assert quoting.read_sums("".join(quoting.sums_line(digests[name], name) for name in names)) == digests


def test_a_list_of_sums_holds_no_empty_name_and_no_nul() -> None:
    for name in ("", "a\0b"):
        with pytest.raises(Unquotable):
            quoting.sums_line("0" * 64, name)
