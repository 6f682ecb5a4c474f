"""CSV files as the product writes and reads them: UTF-8, one header, line feeds as line ends.

Spreadsheets run a cell that begins with ``=``, ``+``, ``-`` or ``@``. A text that does gets an
apostrophe before it; a number never does, as its sign is part of it.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from steerability.support.errors import UserError
from steerability.support.files import read_text, write_atomic
from steerability.support.jsonl import explain

Field = str | int | None
RecordT = TypeVar("RecordT", bound=BaseModel)

_NUMBER = re.compile(r"[+-]?[0-9]{1,64}(\.[0-9]{1,64})?([eE][+-]?[0-9]{1,3})?")
_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r")
# the default, 131,072 characters, is shorter than what a model may say in one field
csv.field_size_limit(1 << 30)
_MOST_DIGITS = 300
"""No number of a table is so large or so close to nothing; double precision holds it."""


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Field]]) -> None:
    """Write rows under a header, atomically; None is an empty field.

    Args:
        path: the file to write.
        columns: the header; every row must hold exactly these names.
        rows: field by column name, numbers already rounded to the decimals to publish.

    Raises:
        ValueError: a row lacks a column or has one that is not in the header.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        if row.keys() != set(columns):
            raise ValueError(f"{path.name}: {sorted(row.keys() ^ set(columns))} do not match")
        writer.writerow([_cell(row[name]) for name in columns])
    write_atomic(path, text.getvalue().encode("utf-8"))


def read_csv(
    path: Path, required: Sequence[str], numbers: Sequence[str] = ()
) -> list[dict[str, str]]:
    """Return the rows of a CSV file, every field as text.

    Args:
        path: a UTF-8 file with a header.
        required: columns that must be there; further ones are kept.
        numbers: columns that must be there and hold a number or nothing in every row.

    Raises:
        UserError: the file cannot be read, lacks a column, has a row of another length, or a
            field of ``numbers`` is none.
    """
    lines = _lines(path)
    header = next(lines, ("", []))[1]
    missing = [name for name in (*required, *numbers) if name not in header]
    if missing:
        raise UserError(f"lacks the column {missing[0]}", where=path)
    if twice := [name for name in header if header.count(name) > 1]:
        raise UserError(f"has the column {twice[0]} twice", where=path)
    rows = []
    for where, fields in lines:
        if len(fields) != len(header):
            raise UserError(f"{len(fields)} fields where the header has {len(header)}", where=where)
        row = dict(zip(header, fields, strict=True))
        for name in numbers:
            parse_number(row[name], where, name)
        rows.append(row)
    return rows


def _cell(field: Field) -> Field:
    if field is None:
        return ""
    if isinstance(field, str) and field.startswith(_RUN_BY_SPREADSHEETS):
        return field if _NUMBER.fullmatch(field) else f"'{field}"
    return field


def _lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield where each row of a CSV file ends, for messages, and its fields; empty lines are none.

    Raises:
        UserError: the file cannot be read, or is not CSV; names the line.
    """
    text = read_text(path)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError("holds a NUL", where=f"{path} line {line}")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise UserError(f"not CSV: {error}", where=f"{path} line {reader.line_num}") from error
        if fields is None:
            return
        if fields:
            yield f"{path} line {reader.line_num}", fields


def parse_number(text: str, where: Path | str, column: str) -> Decimal | None:
    """Return the number that a field holds, None where it is empty.

    Raises:
        UserError: it holds anything else, infinity, NaN, ``1_0`` and ``1e999999`` included.
    """
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise UserError(f"{column} is no number: {text[:40]}", where=where)
    number = Decimal(text)
    if number and not -_MOST_DIGITS < number.adjusted() < _MOST_DIGITS:
        raise UserError(f"{column} is beyond what is counted here: {text[:40]}", where=where)
    return number


def read_pinned(path: Path, record: type[RecordT]) -> dict[str, RecordT]:
    """Return the rows of a table of pins by their column ``name``, in the order of the table.

    Args:
        path: a UTF-8 file whose header is exactly the record's fields.
        record: the pydantic model that each row must fit; has a field ``name``.

    Raises:
        UserError: the file is missing, a row is wrong, or a name stands twice; names the line.
    """
    columns = list(record.model_fields)
    lines = _lines(path)
    if next(lines, ("", []))[1] != columns:
        raise UserError("the columns are not " + ",".join(columns), where=f"{path} line 1")
    found: dict[str, RecordT] = {}
    for where, fields in lines:
        if len(fields) != len(columns):
            raise UserError(f"not {len(columns)} fields", where=where)
        row = dict(zip(columns, fields, strict=True))
        if row["name"] in found:
            raise UserError(f"{row['name']} stands twice", where=where)
        try:
            found[row["name"]] = record.model_validate(row)
        except ValidationError as error:
            raise UserError(f"{explain(error)} ({row['name']})", where=where) from error
    return found
