"""YAML and JSON from outside: plain values, or one line; never a signal or a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import Run
from steerability import cli
from steerability.config.load import load_config
from steerability.judges.rubric import load_rubric
from steerability.suites.load import load_suite
from steerability.support.documents import parse_json, parse_yaml, read_yaml
from steerability.support.errors import UserError

DEEP = 200_000
LAUGHS = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 2024-13-45", {"a": "2024-13-45"}),
        ("a: 2024-02-30T99:99:99", {"a": "2024-02-30T99:99:99"}),
        ("a: [1, 2.5, true, null, text]", {"a": [1, 2.5, True, None, "text"]}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("", None),
        ("a: 9007199254740991", {"a": 9007199254740991}),
    ],
)
def test_plain_values_are_read(text: str, value: object) -> None:
    assert parse_yaml(text, "f") == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x: 1\na: " + "9" * 5000, "f:2: not YAML: 9999"),
        ("a: 9007199254740992", "is larger than 9007199254740991"),
        ("a: .nan", ".nan is no number"),
        ("a: -.inf", "-.inf is no number"),
        ("a: 1\nb: 2\na: 3", "f:3: not YAML: key 'a' stands twice"),
        ("a: {b: 1, b: 2}", "key 'b' stands twice"),
        ("? [1]\n: 2", "a key must be a word"),
        ("a: !!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("a: !!timestamp 2024-13-45", "could not determine a constructor"),
        ("a: !!int x", "x is no number"),
        ("a: !!bool x", "not YAML"),
        ("a: !!binary x", "could not determine a constructor"),
        ("a: \x00", "not YAML"),
        ("a: *b", "undefined alias"),
        ("a: &x [*x]", "nested deeper than 64 levels"),
        ("[" * DEEP, "f:1: nested deeper than 64 levels"),
        ("{a: " * DEEP, "nested deeper than 64 levels"),
        ("- " * DEEP + "x", "nested deeper than 64 levels"),
        (LAUGHS, "holds more than 2,000,000 values"),
        ("<<: {a: 1}\n<<: {b: 1}", "key '<<' stands twice"),
    ],
)
def test_everything_else_is_one_line(text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_yaml(text, "f")
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * DEEP, "nested deeper than 64 levels"),
        ('{"a": ' * 100 + "1" + "}" * 100, "nested deeper than 64 levels"),
        ('{"a": 1, "a": 2}', "key 'a' stands twice"),
        ("NaN", "NaN is no number"),
        ("-Infinity", "-Infinity is no number"),
        ("1e999", "1e999 is no number"),
        ("9" * 5000, "is larger than"),
        ('{"a": ["\\ud800"]}', "half of a character"),
        ("{", "not JSON"),
    ],
)
def test_json_is_bounded_alike(text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_json(text, "f")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_json_in_full_is_read(tmp_path: Path) -> None:
    assert parse_json('\ufeff{"a": [1, "\\ud83d\\ude00", -2.5e3, null]}', "f") == {
        "a": [1, "😀", -2500.0, None]
    }
    assert parse_json(b'\xef\xbb\xbf"x"', "f") == "x"


def test_the_files_of_the_repository_read_as_before(root: Path) -> None:
    files = [root / "config.yaml", root / "workflow" / "judges" / "rules.yaml"]
    files += (root / "config").rglob("*.yaml")
    for path in files:
        assert read_yaml(path) == yaml.safe_load(path.read_text(encoding="utf-8")), path


READERS = {
    "config": "from steerability.config.load import load_config; load_config([path])",
    "suite": "from steerability.suites.load import load_suite; load_suite(path)",
    "rubric": "from steerability.judges.rubric import load_rubric; load_rubric(path)",
    "reading": (
        "from steerability.judges.reading import ReadingSettings, load_reading; "
        "load_reading(path, ReadingSettings)"
    ),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_no_reader_dies_by_a_signal(reader: str, opening: str, tmp_path: Path) -> None:
    """In a process of its own: libyaml's composer would end it."""
    path = tmp_path / "deep.yaml"
    content = opening * DEEP
    path.write_text(f"---\n{content}\n---\ntext\n" if reader == "reading" else content)
    program = (
        "from pathlib import Path\nfrom steerability.support.errors import exit_if_wrong\n"
        f"path = Path({str(path)!r})\nwith exit_if_wrong():\n    {READERS[reader]}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "nested deeper than 64 levels" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("threshold: ", "threshold: .nan # "),
        ("threshold: ", "threshold: .inf # "),
        ("threshold: ", "threshold: 1.0e+300 # "),
        ("head_words: ", "head_words: " + "9" * 4000 + " # "),
        ("most_words: ", "most_words: 99999999999 # "),
        ("version: ", "version: 2024-13-45 # "),
        ("threshold: ", "threshold: 1\n  threshold: "),
    ],
)
def test_a_rubrics_numbers_are_ordinary_ones(
    old: str, new: str, root: Path, tmp_path: Path
) -> None:
    text = (root / "workflow" / "judges" / "rules.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "rubric.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    if "2024" in new:  # a date that is none is a text like any other
        assert load_rubric(path).version == "2024-13-45"
        return
    with pytest.raises(UserError):
        load_rubric(path)


def test_a_suite_that_swells_is_refused(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(LAUGHS)
    with pytest.raises(UserError, match="holds more than"):
        load_suite(tmp_path / "suite.yaml")


def test_a_loop_of_links_a_folder_and_a_long_name_are_one_line(
    tmp_path: Path, steerability: Run
) -> None:
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    for path in (loop, tmp_path, tmp_path / ("x" * 260)):
        with pytest.raises(UserError, match="cannot be read"):
            load_config([path])
        done = steerability("suite", path)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr


def test_a_name_that_no_file_name_holds_is_refused(root: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(f"run: {'x' * 260}\n")
    with pytest.raises(UserError, match="run: String should have at most 120 characters"):
        load_config([root / "config.yaml", overlay])


def test_a_byte_order_mark_is_passed_over(root: Path, tmp_path: Path) -> None:
    marked = tmp_path / "config.yaml"
    marked.write_bytes(b"\xef\xbb\xbf" + (root / "config.yaml").read_bytes())
    assert load_config([marked]) == load_config([root / "config.yaml"])


def test_options_that_are_json_are_read_the_same_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text, said in (("[" * DEEP, "nested deeper"), ("[]", "is no mapping"), ("{", "not JSON")):
        assert cli.run(["publish", str(tmp_path), "--inputs", text]) == 2
        error = capsys.readouterr().err
        assert said in error and len(error.splitlines()) == 1
