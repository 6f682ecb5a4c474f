"""Fetching pinned files: from a mirror, and from a server with every fault that a fetch meets."""

import csv
import hashlib
import os
import shutil
import time
from email.utils import formatdate

import pytest

from mirror import MIRROR, NEEDS_MIRROR, REPOSITORY
from published_logs import MODELS, write_mirror
from steerability.cli import run
from steerability.fetch import download
from steerability.fetch.download import obtain_source
from steerability.fetch.sources import Source, read_sources
from steerability.support import retry as patience
from steerability.support.errors import UserError
from support.files import Files, serve_files

BODY = os.urandom(50_000)
SOURCE = Source(
    name="fruit/list.bin",
    repository="orchard/fruit",
    commit="b" * 40,
    path="lists/All fruit – 1.bin",
    sha256=hashlib.sha256(BODY).hexdigest(),
    bytes=len(BODY),
    licence="none",
)
PATH = f"/orchard/fruit/{'b' * 40}/lists/All fruit – 1.bin"


@pytest.fixture
def files():
    with serve_files(Files({PATH: BODY})) as served:
        yield served


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "WAIT_SECONDS", 0.01)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "sources" / "fruit" / "list.bin"


def obtain(files, target, said=None, **options):
    say = (said if said is not None else []).append
    options = {"mirror": None, "base_url": files.address} | options
    return obtain_source(SOURCE, target, say=say, **options)


def part_of(target):
    return target.with_name(f".{target.name}.part")


def test_a_file_is_fetched_once_and_checked(files, target):
    assert obtain(files, target)
    assert target.read_bytes() == BODY
    assert not obtain(files, target)
    assert len(files.seen) == 1
    assert files.seen[0][0].endswith("/lists/All%20fruit%20%E2%80%93%201.bin")
    assert sorted(path.name for path in target.parent.iterdir()) == ["list.bin"]


def test_cut_connections_are_gone_on_with(files, target):
    files.cut = 15_000
    said = []
    obtain(files, target, said)
    assert target.read_bytes() == BODY
    assert [asked for _, asked in files.seen] == [
        None, "bytes=15000-", "bytes=30000-", "bytes=45000-",
    ]  # fmt: skip
    assert all("the connection failed" in line for line in said)
    assert len(said) == 3


def test_a_cut_without_a_length_is_noticed(files, target):
    files.lengthless, files.cut, files.cuts = True, 20_000, 1
    obtain(files, target)
    assert target.read_bytes() == BODY


def test_a_later_start_goes_on(files, target):
    files.cut = 5_000
    with pytest.raises(OSError, match="after 6 attempts"):
        obtain(files, target)
    assert not target.exists()
    assert part_of(target).read_bytes() == BODY[:30_000]
    files.cut = None
    obtain(files, target)
    assert target.read_bytes() == BODY
    assert files.seen[-1][1] == "bytes=30000-"
    assert not part_of(target).exists()


@pytest.mark.parametrize("option", [{"ranges": False}, {"shifted": True}])
def test_a_server_without_proper_ranges_sends_it_whole(files, target, option):
    part_of(target).parent.mkdir(parents=True)
    part_of(target).write_bytes(BODY[:100])
    for name, value in option.items():
        setattr(files, name, value)
    obtain(files, target)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("kept", [b"x" * 100, b"x" * len(BODY), b"x" * 90_000])
def test_what_was_kept_of_another_file_is_dropped(files, target, kept):
    part_of(target).parent.mkdir(parents=True)
    part_of(target).write_bytes(kept)
    obtain(files, target)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_passing_failures_are_tried_again(files, target, status):
    files.answers = [(status, {})] * 3
    said = []
    obtain(files, target, said)
    assert target.read_bytes() == BODY
    assert len(files.seen) == 4
    assert all(f"the server answers {status}; again in" in line for line in said)


@pytest.mark.parametrize("value", ["1", pytest.param(None, id="date")])
def test_retry_after_is_honoured(files, target, value):
    value = value or formatdate(time.time() + 2, usegmt=True)
    files.answers = [(429, {"Retry-After": value})]
    begun = time.monotonic()
    obtain(files, target)
    assert time.monotonic() - begun > 0.9


@pytest.mark.parametrize("value", ["soon", "", "Wed, 99 Foo"])
def test_a_retry_after_that_says_nothing_is_no_harm(files, target, value):
    files.answers = [(503, {"Retry-After": value})]
    obtain(files, target)


def test_waits_grow_and_are_bounded(files, target, monkeypatch):
    waits = []
    monkeypatch.setattr(download, "WAIT_SECONDS", 1.0)
    monkeypatch.setattr(patience.time, "sleep", waits.append)
    files.answers = [(500, {}), (500, {}), (500, {}), (429, {"Retry-After": "9999"})]
    obtain(files, target)
    assert waits == [1.0, 2.0, 4.0, 60.0]


def test_a_server_that_keeps_failing_is_one_line(files, target):
    files.answers = [(500, {})] * 20
    with pytest.raises(OSError, match=r"the server answers 500 after 6 attempts; give a mirror"):
        obtain(files, target)
    assert not target.exists()


@pytest.mark.parametrize(("status", "what"), [(404, "is not there"), (403, "is refused")])
def test_a_missing_file_is_not_asked_for_again(files, target, status, what):
    files.answers = [(status, {})]
    with pytest.raises(UserError, match=rf"{what} \(status {status}\)"):
        obtain(files, target)
    assert len(files.seen) == 1


@pytest.mark.parametrize(
    "changed", [BODY[:-1] + b"\0", BODY + b"more", BODY[:100]], ids=["changed", "longer", "shorter"]
)
def test_a_changed_file_is_named_with_both_digests(files, target, changed):
    files.files[PATH] = changed
    with pytest.raises(UserError) as caught:
        obtain(files, target)
    assert SOURCE.sha256 in str(caught.value)
    assert hashlib.sha256(changed).hexdigest() in str(caught.value)
    assert "fruit/list.bin" in str(caught.value)
    assert not target.exists()
    assert not part_of(target).exists()


def test_a_file_without_end_is_not_taken(files, target, monkeypatch):
    monkeypatch.setattr(download, "MAX_BYTES", 60_000)
    files.files[PATH] = b"x" * 1_000_000
    with pytest.raises(UserError, match="sends more than 60,000 bytes"):
        obtain(files, target)
    assert not part_of(target).exists()


def test_an_altered_file_in_its_place_is_fetched_again(files, target):
    target.parent.mkdir(parents=True)
    target.write_bytes(BODY[:-1])
    said = []
    assert obtain(files, target, said)
    assert target.read_bytes() == BODY
    assert f"{target}: differs from its pin" in said[0]


def test_an_address_that_is_none_is_told(files, target):
    with pytest.raises(UserError, match=r"correct sources\.base_url"):
        obtain(files, target, base_url="ftp://nowhere")


def mirror_of(tmp_path, content=BODY):
    path = tmp_path / "mirror" / SOURCE.path
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return tmp_path / "mirror"


def test_a_mirror_takes_the_place_of_the_network(files, target, tmp_path):
    mirror = mirror_of(tmp_path)
    assert obtain(files, target, mirror=mirror)
    assert target.read_bytes() == BODY
    assert not obtain(files, target, mirror=mirror)
    assert files.seen == []


def test_a_changed_mirror_is_noticed_even_when_the_file_is_there(files, target, tmp_path):
    mirror = mirror_of(tmp_path)
    obtain(files, target, mirror=mirror)
    (mirror / SOURCE.path).write_bytes(BODY[:-1] + b"\0")
    with pytest.raises(UserError, match=r"mirror/lists/.*differs from its pin.*put the published"):
        obtain(files, target, mirror=mirror)
    (mirror / SOURCE.path).unlink()
    with pytest.raises(UserError, match="not in the mirror"):
        obtain(files, target, mirror=mirror)


def test_a_link_out_of_the_mirror_is_not_followed(files, target, tmp_path):
    mirror = mirror_of(tmp_path)
    outside = tmp_path / "outside.bin"
    outside.write_bytes(BODY)
    (mirror / SOURCE.path).unlink()
    (mirror / SOURCE.path).symlink_to(outside)
    with pytest.raises(UserError, match="leads out of the mirror"):
        obtain(files, target, mirror=mirror)
    (mirror / SOURCE.path).unlink()
    (mirror / "inside.bin").write_bytes(BODY)
    (mirror / SOURCE.path).symlink_to(mirror / "inside.bin")
    assert obtain(files, target, mirror=mirror)


@pytest.fixture
def made(tmp_path):
    """A mirror of our own and the words that fetch from it."""
    table = write_mirror(tmp_path / "mirror", MODELS[:2])
    words = ["fetch", "--sources-table", str(table), "--output-dir", str(tmp_path / "sources")]
    return tmp_path, table, words


def test_the_verb_fetches_all_that_a_mirror_has(made, capsys):
    root, table, words = made
    words += ["--all", "--mirror", str(root / "mirror")]
    assert run(words) == 0
    assert "18 files as pinned" in capsys.readouterr().err
    for name, source in read_sources(table).items():
        content = (root / "sources" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == source.sha256
    assert run(words) == 0
    assert "18 files as pinned" in (said := capsys.readouterr().err)
    assert "0 fetched now" in said


def test_the_verb_says_what_a_mirror_lacks(made, capsys):
    root, table, words = made
    gone = read_sources(table)[f"transcripts/{MODELS[1]}/pro_ic/stdout.log"]
    (root / "mirror" / gone.path).unlink()
    assert run([*words, "--all", "--mirror", str(root / "mirror")]) == 0
    said = capsys.readouterr().err
    assert f"not (wholly) in the mirror, left out: transcripts/{MODELS[1]}/pro_ic\n" in said
    assert run([*words, gone.name, "--mirror", str(root / "mirror")]) == 2
    assert "not in the mirror" in capsys.readouterr().err


def test_every_byte_of_every_file_is_watched(made, capsys):
    root, table, words = made
    lacking, *rest = reversed(read_sources(table).values())
    (root / "mirror" / lacking.path).unlink()
    for source in rest:
        path = root / "mirror" / source.path
        good = path.read_bytes()
        place = len(good) // 2
        path.write_bytes(good[:place] + bytes([good[place] ^ 32]) + good[place + 1 :])
        assert run([*words, "--all", "--mirror", str(root / "mirror")]) == 2
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1
        assert str(path) in said
        assert source.sha256 in said
        path.write_bytes(good)


@NEEDS_MIRROR
def test_a_changed_byte_in_any_published_file_is_one_line_and_status_2(tmp_path, capsys):
    mirror = tmp_path / "mirror"
    shutil.copytree(MIRROR, mirror, copy_function=shutil.copyfile)
    with (MIRROR / "SOURCES.csv").open(encoding="utf-8", newline="") as file:
        listed = [mirror / row["path"] for row in csv.DictReader(file)]
    held = [path for path in listed if path.is_file()]
    assert held
    words = ["fetch", "--sources-table", str(REPOSITORY / "config" / "sources.csv"), "--all"]
    words += ["--mirror", str(mirror), "--output-dir", str(tmp_path / "sources")]
    for number, path in enumerate(held):
        good = path.read_bytes()
        place = number * len(good) // len(held)
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        assert run(words) == 2
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1
        assert str(path) in said
        path.write_bytes(good)
    assert run(words) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fetch"], "nothing to fetch"),
        (["fetch", "no/such"], "no outside file is called no/such"),
        (["fetch", "--all", "--mirror", "/nowhere"], "/nowhere: no such folder"),
        (["fetch", "--all", "--mirror", "/usr"], "/usr: holds none of the pinned files"),
    ],
)
def test_wrong_words_are_one_line(words, message, capsys, monkeypatch, root):
    monkeypatch.chdir(root)
    assert run(words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1


def test_no_network_and_no_mirror_is_one_clear_line(made, capsys):
    _, table, words = made
    name = next(iter(read_sources(table)))
    # port 1 of the loopback: nothing listens there
    assert run([*words, name, "--base-url", "http://127.0.0.1:1"]) == 1
    (last,) = capsys.readouterr().err.splitlines()
    assert f"{name}: the connection failed (ConnectError) after 6 attempts" in last
    assert "give a mirror (--mirror DIR, make replay MIRROR=DIR), or a network" in last
