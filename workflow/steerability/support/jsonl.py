"""Files of typed records: JSON lines, or one JSON object."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from steerability.support.errors import UserError
from steerability.support.files import read_bytes, write_atomic

_MARK = b"\xef\xbb\xbf"

RecordT = TypeVar("RecordT", bound=BaseModel)


def explain(error: ValidationError) -> str:
    """Return the first fault of a pydantic error as one clause with its field."""
    fault = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in fault["loc"])
    count = error.error_count()
    more = f" (and {count - 1} more)" if count > 1 else ""
    message = fault["msg"].removeprefix("Value error, ")
    return f"{field}: {message}{more}" if field else f"{message}{more}"


def read_records(path: Path, record: type[RecordT]) -> Iterator[RecordT]:
    """Yield the records of a JSON-lines file, one per line.

    Args:
        path: a UTF-8 file, with or without a byte order mark, one JSON object a line.
        record: the pydantic model that each line must fit.

    Raises:
        UserError: the file cannot be read, is not UTF-8, or a line does not fit; names the line.
    """
    content = read_bytes(path).removeprefix(_MARK)
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(
                "not UTF-8", where=f"{path} line {number}", mend="save the file as UTF-8"
            ) from error
        try:
            yield record.model_validate_json(text)
        except ValidationError as error:
            raise UserError(explain(error), where=f"{path} line {number}") from error


def read_record(path: Path, record: type[RecordT]) -> RecordT:
    """Read a file that holds one record as JSON.

    Raises:
        UserError: the file cannot be read or does not fit.
    """
    try:
        return record.model_validate_json(read_bytes(path).removeprefix(_MARK))
    except ValidationError as error:
        raise UserError(explain(error), where=path) from error


def write_records(path: Path, records: Iterable[BaseModel]) -> None:
    """Write records as JSON lines, fields in the order of their model, atomically."""
    lines = (record.model_dump_json() + "\n" for record in records)
    write_atomic(path, "".join(lines).encode("utf-8"))
