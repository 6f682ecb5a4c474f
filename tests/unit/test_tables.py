"""CSV and JSON lines as people, spreadsheets and other programs leave them."""

import csv
import io
from pathlib import Path

import pytest

from steerability.fetch.pins import read_pins, write_pins
from steerability.fetch.sources import read_sources
from steerability.protocol.intervention import Intervention
from steerability.support.errors import UserError
from steerability.support.jsonl import read_record, read_records
from steerability.support.tables import parse_number, read_csv, write_csv

MARK = b"\xef\xbb\xbf"


def test_a_field_of_any_length_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    long = 'a "quoted" word, ' * 20_000
    write_csv(path, ["a", "b"], [{"a": long, "b": 1}])
    assert read_csv(path, ["a"]) == [{"a": long, "b": "1"}]


def test_a_byte_order_mark_is_passed_over(tmp_path: Path, root: Path) -> None:
    for name, read in (("weights", read_pins), ("sources", read_sources)):
        path = tmp_path / f"{name}.csv"
        path.write_bytes(MARK + (root / "config" / f"{name}.csv").read_bytes())
        assert read(path) == read(root / "config" / f"{name}.csv")
    lines = tmp_path / "t.jsonl"
    lines.write_bytes(MARK + b'{"name": "a", "strength": 1}\r\n{"name": "b"}\n')
    assert [one.name for one in read_records(lines, Intervention)] == ["a", "b"]
    lines.write_bytes(MARK + b'{"name": "a", "strength": 1}')
    assert read_record(lines, Intervention).name == "a"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a,b\n1,2\nx\0y,2\n", "line 3: holds a NUL"),
        (b'a,b\n1,2\n"x,2\n', "not CSV: unexpected end of data"),
        (b'a,b\n"x"y,2\n', "line 2: not CSV"),
        (b"a,b\n1\n", "line 2: 1 fields where the header has 2"),
        (b"a,b,a\n1,2,3\n", "has the column a twice"),
        (b"a,b\n\xff,2\n", "not UTF-8"),
        (b"", "lacks the column a"),
    ],
)
def test_a_damaged_table_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_csv(path, ["a"])
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["nan", "inf", "1_0", "1e999999", "٥", " 1", "0x1", "1e-999", ""])
def test_a_number_is_plain_or_none(text: str) -> None:
    if not text:
        assert parse_number(text, "t", "a") is None
        return
    with pytest.raises(UserError):
        parse_number(text, "t", "a")


@pytest.mark.parametrize("text", ["0", "-1.5", "+2", "1e-05", "2.5E+10", "0.0004883"])
def test_numbers_as_programs_write_them_are_read(text: str) -> None:
    assert float(parse_number(text, "t", "a") or 0) == float(text)


def test_no_text_is_run_by_a_spreadsheet_and_no_number_changes(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    texts = ["=1+1", "+cmd", "-cmd|x", "@SUM(A1)", "\t=1", "plain", "a=b", "'"]
    numbers = ["-12.50", "+3", "-1e-05", "0"]
    write_csv(path, ["a"], [{"a": text} for text in (*texts, *numbers)])
    rows = [row["a"] for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))]
    assert rows[: len(texts)] == [
        *("'=1+1", "'+cmd", "'-cmd|x", "'@SUM(A1)", "'\t=1"),
        *("plain", "a=b", "'"),
    ]
    assert rows[len(texts) :] == numbers


def test_the_pins_are_written_as_they_are_read(tmp_path: Path, root: Path) -> None:
    table = root / "config" / "weights.csv"
    write_pins(tmp_path / "weights.csv", read_pins(table).values())
    assert (tmp_path / "weights.csv").read_bytes() == table.read_bytes()
