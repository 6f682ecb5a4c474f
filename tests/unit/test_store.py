import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from steerability.judges.rules import RulesJudge
from steerability.judges.run import run_judge
from steerability.protocol.response import JudgeInput
from steerability.rules.preflight import preflight
from steerability.support.canonical import canonical_json, digest
from steerability.support.errors import UserError
from steerability.support.store import Store
from support.disk import mounted

KEY = {"kind": "completion", "weights": "ab", "tokens": [1, 2, 3]}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_what_is_put_is_got(tmp_path: Path) -> None:
    store = Store(tmp_path)
    name = store.put(KEY, {"text": "naïve ☃", "tokens": [5]})
    assert name == digest(KEY)
    assert store.get(KEY) == {"text": "naïve ☃", "tokens": [5]}
    assert store.path(KEY) == tmp_path / "sha256" / name[:2] / f"{name[2:]}.json"


def test_an_absent_object_is_none(tmp_path: Path) -> None:
    assert Store(tmp_path / "no" / "such").get(KEY) is None


@given(value=json_values)
def test_the_order_of_keys_changes_no_digest(value: object) -> None:
    text = canonical_json(value)
    assert canonical_json(json.loads(text)) == text


def test_the_same_key_in_another_order_is_the_same_object(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put({"a": 1, "b": 2}, 3)
    assert store.get({"b": 2, "a": 1}) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b"hello", b"jello"),
        lambda content: content.replace(b'"weights":"ab"', b'"weights":"cd"'),
        lambda content: b"",
        lambda content: b"[]",
        lambda content: b"\xff\xfe",
    ],
)
def test_a_damaged_object_is_set_aside_and_made_again(
    tmp_path: Path, damage: object, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    name = store.put(KEY, {"text": "hello"})
    path = store.path(KEY)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    assert store.get(KEY) is None
    assert not path.exists()
    assert len(list((tmp_path / "aside").iterdir())) == 1
    assert name in capsys.readouterr().err
    store.put(KEY, {"text": "hello"})
    assert store.get(KEY) == {"text": "hello"}


def test_a_value_that_does_not_fit_its_user_is_set_aside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    for value in ({"count": 7}, {"count": "x"}, {}, 7):
        store.put(KEY, value)
        found = store.get(KEY, fits=lambda one: int(one["count"]))
        assert found == (value if value == {"count": 7} else None)
        assert store.get(KEY) == found
    assert capsys.readouterr().err.count("failed its check") == 3


def test_no_temporary_file_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(KEY, 1)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [store.path(KEY)]


def test_a_value_without_canonical_form_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ValueError, match=r"."):
        store.put(KEY, float("nan"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_several_writers_of_one_object_agree(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from steerability.support.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "for n in range(60): store.put({'n': n}, {'text': 'x' * 2000, 'n': n})\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], env=env) for _ in range(3)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    store = Store(tmp_path)
    assert all(store.get({"n": n}) == {"text": "x" * 2000, "n": n} for n in range(60))
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 60


def test_a_full_disk_leaves_no_half_object_and_the_run_goes_on_later(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=256k") as disk:
        store = Store(disk / "store")
        written = 0
        with pytest.raises(OSError, match="No space left"):
            for written in range(1000):
                store.put({"n": written}, "x" * 20000)
        whole = [store.get({"n": number}) for number in range(written + 1)]
        assert whole == ["x" * 20000] * written + [None]
        assert not list(disk.rglob("*.tmp"))
        subprocess.run(["mount", "-o", "remount,size=2m", str(disk)], check=True)
        store.put({"n": written}, "x" * 20000)
        assert store.get({"n": written}) == "x" * 20000


def test_a_store_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="the store cannot be written: Not a directory"):
        Store(tmp_path / "file" / "store").check_writable()


def test_a_read_only_store_is_one_clear_line(tmp_path: Path) -> None:
    with (
        mounted(tmp_path / "disk", "size=64k,ro") as disk,
        pytest.raises(UserError, match="the store cannot be written: Read-only file system"),
    ):
        Store(disk).check_writable()


RACE = """
import sys
from pathlib import Path
from steerability.support.store import Store
store = Store(Path(sys.argv[1]))
for n in range(40):
    if store.get({"n": n}) is None:
        store.put({"n": n}, {"n": n})
    assert store.get({"n": n}) == {"n": n}, n
"""


def test_several_processes_that_meet_damaged_objects_make_them_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for n in range(40):
        store.put({"n": n}, {"n": n})
        store.path({"n": n}).write_bytes(b"{}")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(tmp_path)], env=env, stderr=subprocess.PIPE
        )
        for _ in range(4)
    ]
    said = [process.communicate(timeout=120)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    assert all(store.get({"n": n}) == {"n": n} for n in range(40))
    # only damaged ones were moved aside
    assert {path.read_bytes() for path in (tmp_path / "aside").iterdir()} == {b"{}"}


def test_a_sound_object_that_came_between_reading_and_moving_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst moment: another process replaces the damaged object just before it is moved."""
    store, other = Store(tmp_path), Store(tmp_path)
    store.put(KEY, {"text": "hello"})
    store.path(KEY).write_bytes(b"cut")
    move = Store._move

    def late(self: Store, path: Path) -> Path | None:
        if self is store:
            other.put(KEY, {"text": "hello"})
        return move(self, path)

    monkeypatch.setattr(Store, "_move", late)
    assert store.get(KEY) == {"text": "hello"}
    assert other.get(KEY) == {"text": "hello"}
    assert not list((tmp_path / "aside").iterdir())


def test_an_object_that_another_process_moved_first_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.put(KEY, {"text": "hello"})
    store.path(KEY).write_bytes(b"cut")
    move = Store._move

    def second(self: Store, path: Path) -> Path | None:
        path.unlink()
        return move(self, path)

    monkeypatch.setattr(Store, "_move", second)
    assert store.get(KEY) is None


def _folder(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "something").write_text("")


@pytest.mark.parametrize("put", [_folder, lambda path: path.symlink_to(path)])
def test_a_folder_or_a_loop_of_links_is_set_aside(
    tmp_path: Path, put: object, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    path = store.path(KEY)
    path.parent.mkdir(parents=True)
    put(path)  # type: ignore[operator]
    assert store.get(KEY) is None
    assert len(capsys.readouterr().err.splitlines()) == 1
    store.put(KEY, 1)
    assert store.get(KEY) == 1
    # without having been looked at first
    path.unlink()
    put(path)  # type: ignore[operator]
    store.put(KEY, 1)
    assert store.get(KEY) == 1


@pytest.mark.parametrize("what", ["sha256", "shard"])
def test_a_file_in_a_folders_place_is_one_line(tmp_path: Path, what: str) -> None:
    store = Store(tmp_path)
    path = store.path(KEY)
    place = path.parent if what == "shard" else tmp_path / "sha256"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("")
    with pytest.raises(UserError, match="an object of the store cannot be read: Not a directory"):
        store.get(KEY)


def test_an_object_without_permission_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.put(KEY, 1)

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UserError, match="cannot be read: Permission denied; make it readable"):
        store.get(KEY)


@pytest.mark.parametrize(
    "value", [None, "a text", {"tokens": "123"}, {"tokens": ["1"]}, {"tokens": [1], "more": 2}]
)
def test_a_self_consistent_object_of_a_wrong_form_is_set_aside(
    tmp_path: Path, value: object
) -> None:
    class Form(BaseModel):
        tokens: list[int]

    store = Store(tmp_path)
    store.put(KEY, value)
    usable = isinstance(value, dict) and "more" in value
    assert store.get(KEY, partial(Form.model_validate, strict=True)) == (value if usable else None)
    assert store.path(KEY).exists() is usable


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"key":' * 50_000, b"9" * 10_000])
def test_an_object_that_no_reader_should_follow_is_set_aside(
    tmp_path: Path, content: bytes
) -> None:
    store = Store(tmp_path)
    store.put(KEY, 1)
    store.path(KEY).write_bytes(content)
    assert store.get(KEY) is None


def test_what_killed_writers_left_is_removed_after_a_day(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(KEY, 1)
    folder = store.path(KEY).parent
    old, young = folder / ".x.json.0a.tmp", folder / ".y.json.0b.tmp"
    for path in (old, young):
        path.write_text("half")
    day = 86_400
    os.utime(old, (time.time() - day - 60,) * 2)
    os.utime(young, (time.time() - day + 600,) * 2)
    store.check_writable()
    assert [path.exists() for path in (old, young, store.path(KEY))] == [False, True, True]


def test_a_read_only_store_is_enough_where_nothing_is_to_be_written(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=1m") as disk:
        store = Store(disk / "store")
        cells = [
            JudgeInput(id="a", category="c", context="", prompt="p", response="I will not."),
            JudgeInput(id="b", category="c", context="", prompt="p", response="I will do it."),
        ]
        judge = RulesJudge.load()
        before = run_judge(judge, cells[:1], store=store)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert run_judge(judge, cells[:1], store=store) == before
        assert preflight(images=[], store=disk / "store", gpu=False) == {}
        with pytest.raises(UserError, match="the store cannot be written: Read-only"):
            run_judge(judge, cells, store=store)
