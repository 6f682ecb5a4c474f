import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
