"""Every way a fetch from a hub fails: one clear line, the right status, nothing lost."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from steerability.cli import run
from steerability.fetch.pins import read_pins, write_pins
from steerability.fetch.weights import Places
from steerability.support import retry as patience
from steerability.support.errors import UserError
from support.fetching import BODY, LARGE, REPOSITORY, command, environment, fetch, pin
from support.hub import SIGNATURE, Fault, Hub, sha256

TOKEN = "hf_secret_token"


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


@pytest.mark.usefixtures("hub")
def test_no_hub_at_all(places: Places, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(OSError, match="cannot be reached"):
        fetch(pin(), places, said)


@pytest.mark.parametrize("match", ["/api/", "/resolve/", "/cdn/"])
@pytest.mark.parametrize(("code", "status"), [(401, 2), (403, 2), (404, 2), (429, 1), (503, 1)])
def test_a_fault_is_one_line_with_its_status_and_the_next_start_goes_on(
    hub: Hub,
    places: Places,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    match: str,
    code: int,
    status: int,
) -> None:
    # the client's own waits between its attempts
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    write_pins(places.table, [pin()])
    part = places.folder / ".incoming" / "tiny" / f"{sha256(BODY)}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(BODY[:180_000])
    hub.faults.append(Fault(match, code))
    assert run(command(places)[3:]) == status
    said = capsys.readouterr().err
    faults = [line for line in said.splitlines() if f"status {code}" in line]
    assert len(faults) == 1 and faults[0] == said.splitlines()[-1]
    assert "Traceback" not in said and SIGNATURE not in said
    assert part.stat().st_size == 180_000
    hub.faults.clear()
    assert run(command(places)[3:]) == 0
    assert hub.gets()[-1].range == "bytes=180000-"
    assert (places.folder / f"{sha256(BODY)}.gguf").read_bytes() == BODY


def test_faults_of_the_command_line_are_one_line_with_the_right_status(
    hub: Hub, places: Places
) -> None:
    def start(**more: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            command(places), capture_output=True, text=True, env=environment(**more)
        )
        return done.returncode, done.stderr.splitlines()

    write_pins(places.table, [pin(file="Tiny.Q8.gguf")])
    status, lines = start()
    assert (status, len(lines)) == (2, 1)
    assert "has no file Tiny.Q8.gguf" in lines[0] and "Tiny.Q8_0.gguf" in lines[0]
    write_pins(places.table, [pin()])
    status, lines = start(HF_HUB_OFFLINE="1")
    assert (status, len(lines)) == (2, 1) and "HF_HUB_OFFLINE" in lines[0]
    hub.damage = True
    status, lines = start()
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


def test_a_file_left_by_an_older_pin_is_not_taken_for_the_pinned_one(
    hub: Hub, places: Places, said: list[str]
) -> None:
    """One of two shards lies there already, of the right name and size and with other bytes."""
    names = [f"m-0000{n}-of-00002.gguf" for n in (1, 2)]
    hub.add(REPOSITORY, {name: bytes([n]) * 50_000 for n, name in enumerate(names)})
    stale = places.folder / ".incoming" / "tiny" / names[1]
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"x" * 50_000)
    weights = fetch(pin(file=names[0], sha256=None), places, said)
    shards = [(places.folder / weights.sha256 / name).read_bytes() for name in names]
    assert shards == [bytes([n]) * 50_000 for n in (0, 1)]
    assert len(hub.gets()) == 2


def test_the_wait_that_a_server_asks_for_is_kept(
    hub: Hub, places: Places, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(patience.time, "sleep", waits.append)
    hub.faults.append(Fault("/api/", 429, headers={"Retry-After": "7"}, times=1))
    assert fetch(pin(), places, said).path.read_bytes() == BODY
    assert waits == [7.0]
