"""Weights from a hub: the real client against a hub on the loopback; faults: test_hub_faults.py."""

import contextlib
import os
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from steerability.fetch import transfer
from steerability.fetch.hub import ask
from steerability.fetch.lock import lock_table
from steerability.fetch.pins import read_pins, write_pins
from steerability.fetch.weights import Places, obtain
from steerability.loading.weight_file import combine, load_path
from steerability.support.errors import UserError
from support.fetching import BODY, LARGE, REPOSITORY, command, environment, fetch, pin
from support.hub import SIGNATURE, Fault, Hub, sha256


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


def test_on_a_terminal_a_bar_says_how_far_it_is(hub: Hub, places: Places) -> None:
    write_pins(places.table, [pin()])
    mine, its = os.openpty()
    termios.tcsetwinsize(its, (24, 100))
    job = subprocess.Popen(command(places), stdout=subprocess.PIPE, stderr=its, env=environment())
    os.close(its)
    assert job.communicate(timeout=60) and job.returncode == 0
    said = b""
    with contextlib.suppress(OSError):
        while block := os.read(mine, 1 << 16):
            said += block
    os.close(mine)
    assert b"Tiny.Q8_0.gguf: 100%" in said


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
