"""Weights from a hub: the real client against a hub on the loopback, and everything that fails."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from steerability.errors import UserError
from steerability.fetch import transfer
from steerability.fetch.hub import ask
from steerability.fetch.lock import lock_table
from steerability.fetch.pins import WeightPin, read_pins, write_pins
from steerability.fetch.weights import Places, Weights, obtain
from steerability.weightfile import combine, load_path
from support.hub import SIGNATURE, Fault, Hub, serve, sha256

BODY = b"GGUF" + os.urandom(300_000)
# more than the client's read block of 10 MiB, so that a killed fetch leaves something
LARGE = b"GGUF" + bytes(range(256)) * 100_000
REPOSITORY = "maker/Tiny-GGUF"
TOKEN = "hf_secret_token"


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    hub.add(REPOSITORY, {"README.md": b"words", "Tiny.Q8_0.gguf": BODY, "Tiny.Q4_K_M.gguf": b"G4"})
    with serve(hub):
        yield hub


@pytest.fixture(autouse=True)
def surroundings(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "home" / "token"))
    monkeypatch.setattr(transfer, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(transfer, "RESERVE_BYTES", 0)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "weights", [], tmp_path / "weights.csv", tmp_path / "none.txt")


@pytest.fixture
def said() -> list[str]:
    return []


def pin(**changes: object) -> WeightPin:
    values = {
        "name": "tiny",
        "source": "hub",
        "repository": REPOSITORY,
        "file": "Tiny.Q8_0.gguf",
        "sha256": sha256(BODY),
        "licence": "MIT",
    }
    return WeightPin.model_validate(values | changes)


def fetch(wanted: WeightPin, places: Places, said: list[str]) -> Weights:
    write_pins(places.table, [wanted])
    return obtain(wanted, places, said.append)


def command(places: Places, *more: str) -> list[str]:
    words = [sys.executable, "-m", "steerability", "fetch", "--weights", "tiny"]
    return [
        *words,
        "--weights-dir",
        str(places.folder),
        "--weights-table",
        str(places.table),
        *more,
    ]


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path("workflow").resolve())} | more


def test_first_fetch_closes_the_gaps_and_a_second_asks_nothing(
    hub: Hub, places: Places, said: list[str]
) -> None:
    weights = fetch(pin(), places, said)
    assert weights.path.read_bytes() == BODY
    assert weights.path.name == f"{sha256(BODY)}.gguf"
    locked = read_pins(places.table)["tiny"]
    assert locked == pin(revision=hub.commit(REPOSITORY), bytes=len(BODY))
    assert not (places.folder / ".incoming" / "tiny").exists()
    before = len(hub.seen)
    assert obtain(locked, places, said.append) == weights
    assert len(hub.seen) == before


def test_unknown_digest_is_learned_on_first_contact(
    hub: Hub, places: Places, said: list[str]
) -> None:
    weights = fetch(pin(sha256=None), places, said)
    assert weights.sha256 == sha256(BODY)
    assert read_pins(places.table)["tiny"].sha256 == sha256(BODY)
    assert (places.folder / "tiny.gguf").resolve() == weights.path.resolve()


def test_a_read_only_table_does_not_stop_the_fetch(
    hub: Hub, places: Places, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("steerability.fetch.weights.record", refuse)
    assert fetch(pin(sha256=None), places, said).sha256 == sha256(BODY)
    assert any("cannot be written (Permission denied), not locked" in line for line in said)


def test_a_cut_connection_is_gone_on_with(
    hub: Hub, places: Places, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1 << 12)
    hub.cut_at, hub.cuts = 0.6, 1
    fetch(pin(), places, said)
    first, second = hub.gets()
    assert first.range is None
    assert second.range is not None and int(second.range[6:-1]) > 0.55 * len(BODY)
    assert hub.sent() < 1.05 * len(BODY)


def test_without_a_terminal_lines_say_how_far_it_is(
    hub: Hub, places: Places, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1 << 16)
    monkeypatch.setattr(transfer, "_SAY_EVERY", 0.0)
    fetch(pin(), places, said)
    assert f"Tiny.Q8_0.gguf: 65,536 of {len(BODY):,} bytes" in said


def test_a_killed_fetch_is_gone_on_with(hub: Hub, places: Places, said: list[str]) -> None:
    hub.add(REPOSITORY, {"Tiny.Q8_0.gguf": LARGE})
    write_pins(places.table, [pin(sha256=sha256(LARGE))])
    hub.hold_at = 0.6
    job = subprocess.Popen(command(places), stderr=subprocess.PIPE, env=environment())
    assert hub.held.wait(30)
    part = places.folder / ".incoming" / "tiny" / f"{sha256(LARGE)}.part"
    until = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size >= 10 << 20) and time.monotonic() < until:
        time.sleep(0.02)
    job.send_signal(signal.SIGKILL)
    job.communicate()
    hub.hold_at = None
    hub.release.set()
    have = part.stat().st_size
    assert 10 << 20 <= have <= 0.6 * len(LARGE)
    obtain(read_pins(places.table)["tiny"], places, said.append)
    assert hub.gets()[-1].range == f"bytes={have}-"
    assert any(f"going on at {have:,}" in line for line in said)


def test_wrong_bytes_are_dropped_and_a_second_start_mends_it(
    hub: Hub, places: Places, said: list[str]
) -> None:
    hub.damage = True
    with pytest.raises(OSError, match="not what the hub announced") as caught:
        fetch(pin(), places, said)
    assert sha256(BODY) in str(caught.value)
    assert not list(places.folder.glob("*.gguf"))
    hub.damage = False
    assert fetch(pin(), places, said).path.read_bytes() == BODY


def test_pin_and_hub_that_differ_are_both_shown_before_a_byte_is_fetched(
    hub: Hub, places: Places, said: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        fetch(pin(sha256="0" * 64), places, said)
    assert "0" * 64 in str(caught.value) and sha256(BODY) in str(caught.value)
    assert hub.commit(REPOSITORY) in str(caught.value)
    assert hub.sent() == 0
    assert read_pins(places.table)["tiny"].revision is None


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("/api/", 401), "check the repository's name, and HF_TOKEN"),
        (Fault("/api/", 403), "may not read maker/Tiny-GGUF"),
        (Fault("/api/", 404, headers={"X-Error-Code": "RepoNotFound"}), "the hub has no maker"),
        (Fault("/cdn/", 403), "status 403"),
        (Fault("/resolve/", 401), "status 401"),
    ],
)
def test_refusals_are_the_users_to_mend(
    hub: Hub, places: Places, said: list[str], fault: Fault, words: str
) -> None:
    hub.faults.append(fault)
    with pytest.raises(UserError, match=words):
        fetch(pin(), places, said)
    hub.faults.clear()
    assert fetch(pin(), places, said).path.read_bytes() == BODY


def test_a_gated_repository_says_where_to_accept_its_terms(
    hub: Hub, places: Places, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token, hub.gated = TOKEN, True
    with pytest.raises(UserError, match=r"is gated.*status 401.*HF_TOKEN"):
        fetch(pin(), places, said)
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    with pytest.raises(UserError, match=r"is gated.*status 403.*accept them"):
        fetch(pin(), places, said)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    fetch(pin(), places, said)


def test_the_token_goes_to_the_hub_only_and_into_no_line(
    hub: Hub, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = TOKEN
    hub.faults.append(Fault("/cdn/", 503, times=1))
    hub.cut_at, hub.cuts = 0.5, 1
    write_pins(places.table, [pin()])
    done = subprocess.run(
        command(places), capture_output=True, text=True, env=environment(HF_TOKEN=TOKEN)
    )
    assert done.returncode == 0, done.stderr
    for text in (done.stdout, done.stderr):
        assert TOKEN not in text and SIGNATURE not in text
    for seen in hub.seen:
        expected = None if "/cdn/" in seen.path else f"Bearer {TOKEN}"
        assert seen.authorization == expected


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_fails_in_passing_is_waited_for(
    hub: Hub, places: Places, said: list[str], status: int
) -> None:
    hub.faults += [Fault("/api/", status, times=2), Fault("/cdn/", 503, times=2)]
    assert fetch(pin(), places, said).path.read_bytes() == BODY


@pytest.mark.parametrize(("status", "words"), [(503, "is failing"), (429, "asks to wait")])
def test_a_server_that_keeps_failing_is_named_and_nothing_is_lost(
    hub: Hub, places: Places, said: list[str], status: int, words: str
) -> None:
    hub.faults.append(Fault("/api/", status))
    with pytest.raises(OSError, match=f"{words}.*status {status}.*kept"):
        fetch(pin(), places, said)


def test_no_hub_at_all(places: Places, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(OSError, match="cannot be reached"):
        fetch(pin(), places, said)


def test_faults_of_the_command_line_are_one_line_with_the_right_status(
    hub: Hub, places: Places
) -> None:
    def run(**more: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            command(places), capture_output=True, text=True, env=environment(**more)
        )
        return done.returncode, done.stderr.splitlines()

    write_pins(places.table, [pin(file="Tiny.Q8.gguf")])
    status, lines = run()
    assert (status, len(lines)) == (2, 1)
    assert "has no file Tiny.Q8.gguf" in lines[0] and "Tiny.Q8_0.gguf" in lines[0]
    write_pins(places.table, [pin()])
    status, lines = run(HF_HUB_OFFLINE="1")
    assert (status, len(lines)) == (2, 1) and "HF_HUB_OFFLINE" in lines[0]
    hub.damage = True
    status, lines = run()
    assert status == 1 and "not what the hub announced" in lines[-1]
    assert not any("Traceback" in line for line in lines)


def test_a_disk_without_room_is_seen_before_the_first_byte(
    hub: Hub, places: Places, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = shutil.disk_usage("/")._replace(free=len(BODY) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room)
    with pytest.raises(OSError, match=f"{len(BODY):,} bytes are still to come, but only"):
        fetch(pin(), places, said)
    assert hub.sent() == 0


DRIVE = """
import shutil, sys
from pathlib import Path
from steerability import cli
from steerability.fetch import transfer
transfer.RESERVE_BYTES = 0
if sys.argv[1] == "blind":
    shutil.disk_usage = lambda _: type("Room", (), {"free": 1 << 40})
sys.exit(cli.run(sys.argv[2:]))
"""


def test_a_full_disk_keeps_what_was_fetched(hub: Hub, places: Places, tmp_path: Path) -> None:
    """On a real file system of 16 MiB, in a mount namespace of its own."""
    hub.add(REPOSITORY, {"Tiny.Q8_0.gguf": LARGE})
    write_pins(places.table, [pin(sha256=sha256(LARGE))])
    (tmp_path / "drive.py").write_text(DRIVE)
    places.folder.mkdir()
    words = " ".join(command(places)[3:])
    script = (
        f"mount -t tmpfs -o size=16m tmpfs {places.folder} || exit 99\n"
        f"{sys.executable} {tmp_path}/drive.py seeing {words}; echo seeing $?\n"
        f"{sys.executable} {tmp_path}/drive.py blind {words}; echo blind $?\n"
        f"stat -c %s {places.folder}/.incoming/tiny/*.part\n"
        f"mount -o remount,size=64m {places.folder}\n"
        f"{sys.executable} {tmp_path}/drive.py seeing {words}; echo more $?\n"
    )
    unshare = ["unshare", "--mount", "--user", "--map-root-user", "sh", "-c", script]
    done = subprocess.run(unshare, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    assert "seeing 1" in done.stdout and "blind 1" in done.stdout and "more 0" in done.stdout
    assert "are free on the disk" in done.stderr
    assert "the disk is full; what was fetched is kept" in done.stderr
    have = next(int(line) for line in done.stdout.splitlines() if line.isdigit())
    assert have > 8 << 20
    assert hub.gets()[-1].range == f"bytes={have}-"


def test_two_jobs_that_want_the_same_file_fetch_it_once(hub: Hub, places: Places) -> None:
    hub.hold_at = 1.0
    write_pins(places.table, [pin(sha256=None)])
    jobs = [
        subprocess.Popen(command(places), stderr=subprocess.PIPE, text=True, env=environment())
        for _ in range(2)
    ]
    assert hub.held.wait(30)
    time.sleep(1.5)
    hub.release.set()
    errors = [job.communicate(timeout=60)[1] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], errors
    assert len(hub.gets()) == 1
    assert any("another job is fetching it, waiting" in error for error in errors)


def test_shards_are_fetched_side_by_side_as_one_weight(
    hub: Hub, places: Places, said: list[str]
) -> None:
    parts = {f"BF16/m-0000{n}-of-00003.gguf": bytes([n]) * 50_000 * n for n in (1, 2, 3)}
    hub.add(REPOSITORY, parts)
    names = list(parts)
    whole = combine(names[0], [sha256(part) for part in parts.values()])
    weights = fetch(pin(file=names[0], sha256=None), places, said)
    assert weights.sha256 == whole
    assert weights.bytes == sum(map(len, parts.values()))
    assert load_path(weights.path).name == "m-00001-of-00003.gguf"
    del hub.repositories[REPOSITORY][names[1]]
    with pytest.raises(UserError, match=r"has no file BF16/m-00002-of-00003\.gguf"):
        ask(pin(file=names[0]))


def test_the_hubs_own_cache_is_used(
    hub: Hub, places: Places, said: list[str], tmp_path: Path
) -> None:
    from huggingface_hub import hf_hub_download

    cached = hf_hub_download(
        REPOSITORY,
        "Tiny.Q8_0.gguf",
        endpoint=hub.address,
        cache_dir=tmp_path / "home" / "hub",
    )
    before = len(hub.seen)
    weights = fetch(pin(), places, said)
    assert weights.path.samefile(cached)
    assert len(hub.seen) == before
    assert any("taken from the hub's cache" in line for line in said)


def test_a_file_too_large_for_plain_http_goes_through_the_clients_own_download(
    hub: Hub, places: Places, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.MAX_HTTP_DOWNLOAD_SIZE", len(BODY) - 1)
    monkeypatch.setattr("huggingface_hub.file_download.http_get", _plain_http(hub))
    assert fetch(pin(), places, said).path.read_bytes() == BODY
    assert any(seen.method == "HEAD" for seen in hub.seen)


def _plain_http(hub: Hub) -> object:
    """The chunk protocol has no server here; the client's call ends in a plain GET instead."""
    import urllib.request

    def get(url: str, file: object, **_: object) -> None:
        with urllib.request.urlopen(url) as answer:
            file.write(answer.read())  # type: ignore[attr-defined]

    return get


def test_a_url_is_fetched_checked_and_gone_on_with(
    hub: Hub, places: Places, said: list[str]
) -> None:
    url = f"http://localhost:{hub.port}/cdn/{REPOSITORY}/Tiny.Q8_0.gguf?key={SIGNATURE}"
    wanted = pin(source="url", repository="", file=url, bytes=len(BODY))
    hub.faults.append(Fault("/cdn/", 404, times=1))
    with pytest.raises(UserError, match="status 404") as caught:
        fetch(wanted, places, said)
    assert SIGNATURE not in str(caught.value)
    part = places.folder / ".incoming" / "tiny" / "Tiny.Q8_0.gguf.part"
    part.write_bytes(BODY[:1000])
    assert fetch(wanted, places, said).path.read_bytes() == BODY
    assert hub.gets()[-1].range == "bytes=1000-"
    assert not any(SIGNATURE in line for line in said)


def test_lock_writes_what_the_hub_says(hub: Hub, places: Places, said: list[str]) -> None:
    rows = [
        pin(),
        pin(name="small", file="Tiny.Q4_K_M.gguf", sha256=None),
        pin(name="mine", source="file", repository="", file="/x.gguf"),
    ]
    write_pins(places.table, rows)
    assert lock_table(places.table, ["small"], said.append) == 1
    assert read_pins(places.table)["tiny"].revision is None
    assert lock_table(places.table, [], said.append) == 1
    pins = read_pins(places.table)
    assert pins["small"].sha256 == sha256(b"G4")
    assert pins["tiny"].bytes == len(BODY)
    assert pins["mine"] == rows[2]
    assert lock_table(places.table, [], said.append) == 0
    hub.repositories[REPOSITORY]["Tiny.Q4_K_M.gguf"] = b"changed"
    with pytest.raises(UserError, match="status 404"):
        lock_table(places.table, ["small"], said.append)
    write_pins(places.table, [pins["small"].model_copy(update={"revision": None})])
    with pytest.raises(UserError, match=r"is pinned as .*; size is pinned as 2, the hub says 7"):
        lock_table(places.table, [], said.append)


def test_the_lock_verb_exits_2_where_pin_and_hub_differ(hub: Hub, places: Places) -> None:
    write_pins(places.table, [pin(sha256="f" * 64)])
    before = places.table.read_bytes()
    words = [sys.executable, "-m", "steerability", "lock", "--weights-table", str(places.table)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment())
    assert done.returncode == 2
    assert "f" * 64 in done.stderr and sha256(BODY) in done.stderr
    assert places.table.read_bytes() == before
