"""Weights: the table of pins, finding, checking and naming files, packages."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from steerability.fetch import package
from steerability.fetch.pins import WeightPin, find_pin, read_pins, write_pins
from steerability.fetch.weights import Places, obtain
from steerability.loading.weight_file import combine, load_path, shard_names, weights_sha256
from steerability.support.errors import UserError

TRACKED = Path("config/weights.csv")
HEADER = "name,source,repository,revision,file,sha256,bytes,licence\n"
BODY = b"GGUF" + bytes(range(256)) * 40


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file_pin(path: Path, content: bytes = BODY, name: str = "tiny") -> WeightPin:
    return WeightPin(
        name=name,
        source="file",
        file=str(path),
        sha256=sha(content),
        bytes=len(content),
        licence="CC0-1.0",
    )


def package_pin(name: str) -> WeightPin:
    """A weight that a package holds as its member ``m.gguf``."""
    return WeightPin(
        name="t",
        source="package",
        repository=name,
        revision="1.0",
        file=f"{name.replace('-', '_')}/m.gguf",
        sha256=sha(BODY),
        licence="MIT",
    )


def test_tracked_table_is_read_and_written_to_the_same_bytes(tmp_path: Path) -> None:
    pins = read_pins(TRACKED)
    write_pins(tmp_path / "again.csv", pins.values())
    assert (tmp_path / "again.csv").read_bytes() == TRACKED.read_bytes()
    assert pins["smollm2-135m-instruct-q4_1"].bytes == 98_362_432
    assert {pin.source for pin in pins.values()} == {"hub", "package"}


@pytest.mark.parametrize(
    ("row", "clause"),
    [
        ("a,hub,owner/name,,f.gguf,xyz,,MIT\n", "line 2: sha256"),
        ("a,hub,name,,f.gguf,,,MIT\n", "OWNER/NAME"),
        ("a,package,p,1,f.gguf,,,MIT\n", "needs its sha256"),
        ("a,ftp,o/n,,f.gguf,,,MIT\n", "line 2: source"),
        ("a,hub,o/n,,f.gguf,,,MIT\na,hub,o/n,,f.gguf,,,MIT\n", "line 3: a stands twice"),
        ("a,hub,o/n\n", "line 2: not 8 fields"),
    ],
)
def test_wrong_row_is_named_by_its_line(tmp_path: Path, row: str, clause: str) -> None:
    table = tmp_path / "weights.csv"
    table.write_text(HEADER + row)
    with pytest.raises(UserError, match=clause):
        read_pins(table)


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="qwen3-4b-base-q8_0"):
        find_pin(TRACKED, "qwen3-5b")


def test_file_is_linked_under_digest_and_name(
    tmp_path: Path, places: Places, said: list[str]
) -> None:
    source = tmp_path / "mine.gguf"
    source.write_bytes(BODY)
    weights = obtain(file_pin(source), places, said.append)
    assert weights.path == places.folder / f"{sha(BODY)}.gguf"
    assert weights.path.samefile(source)
    link = places.folder / "tiny.gguf"
    assert link.readlink() == Path(f"{sha(BODY)}.gguf")
    before = link.lstat().st_mtime_ns
    assert obtain(file_pin(source), places, said.append) == weights
    assert link.lstat().st_mtime_ns == before


def test_file_in_a_search_folder_is_taken_and_left_there(
    tmp_path: Path, places: Places, said: list[str]
) -> None:
    have = tmp_path / "have" / "o" / "n"
    have.mkdir(parents=True)
    (have / "f.gguf").write_bytes(BODY)
    pin = WeightPin(
        name="t",
        source="hub",
        repository="o/n",
        file="f.gguf",
        sha256=sha(BODY),
        licence="MIT",
    )
    weights = obtain(pin, places._replace(search=[tmp_path / "have"]), said.append)
    assert weights.path.read_bytes() == BODY
    assert (have / "f.gguf").exists()


def test_wrong_bytes_of_a_file_that_was_there_stop_nothing_and_are_named(
    tmp_path: Path, places: Places, said: list[str]
) -> None:
    good = tmp_path / "good.gguf"
    good.write_bytes(BODY)
    wrong = tmp_path / "have"
    wrong.mkdir()
    (wrong / "good.gguf").write_bytes(BODY[:-1] + b"x")
    obtain(file_pin(good), places._replace(search=[wrong]), said.append)
    assert any("is not the pinned file" in line and str(wrong) in line for line in said)


def test_a_damaged_weight_is_moved_aside_and_made_again(
    tmp_path: Path, places: Places, said: list[str]
) -> None:
    source = tmp_path / "mine.gguf"
    source.write_bytes(BODY)
    places.folder.mkdir()
    named = places.folder / f"{sha(BODY)}.gguf"
    named.write_bytes(BODY[:-1] + b"x")
    obtain(file_pin(source), places, said.append)
    assert named.read_bytes() == BODY
    assert named.with_suffix(".gguf.bad").exists()
    assert any("failed its check" in line for line in said)


def test_missing_file_says_which_row_to_mend(
    tmp_path: Path, places: Places, said: list[str]
) -> None:
    with pytest.raises(UserError, match=r"nowhere\.gguf: no such file; correct tiny"):
        obtain(file_pin(tmp_path / "nowhere.gguf"), places, said.append)


def test_shards_are_one_weight_whatever_they_are_called(
    tmp_path: Path, places: Places, said: list[str]
) -> None:
    parts = [BODY, BODY[::-1], b"last"]
    digests = [sha(part) for part in parts]
    names = shard_names("m-00001-of-00003.gguf")
    assert names == [f"m-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    lines = "".join(f"{d}  0000{n}-of-00003.gguf\n" for n, d in enumerate(digests, 1))
    whole = sha(lines.encode())
    assert combine(names[1], digests) == whole
    for name, part in zip(names, parts, strict=True):
        (tmp_path / name).write_bytes(part)
    assert weights_sha256(tmp_path / names[0]) == whole
    pin = file_pin(tmp_path / names[0]).model_copy(
        update={"sha256": whole, "bytes": sum(map(len, parts))}
    )
    weights = obtain(pin, places, said.append)
    assert weights.sha256 == whole
    assert load_path(places.folder / "tiny.gguf").name == names[0]
    assert weights_sha256(places.folder / "tiny.gguf") == whole
    (tmp_path / names[2]).unlink()
    (places.folder / whole / names[2]).unlink()
    with pytest.raises(UserError, match="a shard of the weights is missing"):
        weights_sha256(places.folder / "tiny.gguf")


def test_installed_package_is_read_without_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: Places, said: list[str]
) -> None:
    site = tmp_path / "site"
    (site / "tiny_pkg").mkdir(parents=True)
    (site / "tiny_pkg" / "m.gguf").write_bytes(BODY)
    (site / "tiny_pkg" / "__init__.py").write_text("raise SystemExit('imported')")
    info = site / "tiny_pkg-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-pkg\nVersion: 1.0\n")
    (info / "RECORD").write_text("tiny_pkg/m.gguf,,\ntiny_pkg/__init__.py,,\n")
    monkeypatch.syspath_prepend(str(site))
    pin = package_pin("tiny-pkg")
    assert obtain(pin, places, said.append).path.read_bytes() == BODY
    assert "tiny_pkg" not in sys.modules


def test_package_that_is_not_installed_is_downloaded_as_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: Places, said: list[str]
) -> None:
    index = tmp_path / "index"
    index.mkdir()
    wheel = index / "absent_pkg-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("absent_pkg/m.gguf", BODY)
        archive.writestr("absent_pkg/__init__.py", "raise SystemExit('imported')")
        archive.writestr(
            "absent_pkg-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: absent-pkg\nVersion: 1.0\n",
        )
        archive.writestr(
            "absent_pkg-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("absent_pkg-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    pin = package_pin("absent-pkg")
    places.requirements.write_text("other==1 --hash=sha256:00\n")
    with pytest.raises(UserError, match="absent-pkg is not locked with hashes"):
        obtain(pin, places, said.append)
    places.requirements.write_text(
        f"absent-pkg==1.0 \\\n    --hash=sha256:{sha(wheel.read_bytes())}\n"
    )
    assert obtain(pin, places, said.append).path.read_bytes() == BODY
    assert not list((places.folder / ".incoming").iterdir())
    places.requirements.write_text(f"absent-pkg==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(UserError, match="pip could not download absent-pkg"):
        package.download_member(pin, places.requirements, tmp_path / "x", said.append)


def test_the_verb_prints_the_path(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(BODY)
    table = tmp_path / "weights.csv"
    write_pins(table, [file_pin(tmp_path / "m.gguf")])
    command = [sys.executable, "-m", "steerability", "fetch", "--weights", "tiny"]
    command += ["--weights-dir", str(tmp_path / "w"), "--weights-table", str(table)]
    environment = os.environ | {"PYTHONPATH": str(Path("workflow").resolve())}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == str(tmp_path / "w" / f"{sha(BODY)}.gguf")
    assert "SHA-256 as pinned" in done.stderr
