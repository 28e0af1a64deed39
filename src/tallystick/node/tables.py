"""Reading a CSV file that somebody else wrote, and writing back the rows that can't go in with their reasons."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tallystick.wire.errors import DecodeError

REJECTS_SUFFIX = ".rejects.csv"


class Row(NamedTuple):
    """A data row with the line of the file at which it begins, and its cells in the order of the file."""

    line: int
    cells: dict[str, str]
    written: tuple[str, ...] = ()


class Rejected(NamedTuple):
    """A row that did not go in, and why."""

    row: Row
    reason: str


def read_table(path: Path) -> tuple[list[str], list[Row | Rejected]]:
    """The file's columns and its rows; a row of another length comes back rejected.

    Raises `DecodeError` where the file as a whole can't be read: encoding, quoting, no or twice the same column.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DecodeError(f"can't be read: {error.strerror}", str(path)) from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise DecodeError("not UTF-8", f"{path}, line {line}") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter_of(text))
    rows: list[Row | Rejected] = []
    line = 1
    try:
        columns = next(reader, [])
        if not columns:
            raise DecodeError("the file is empty", str(path))
        if len(set(columns)) < len(columns):
            raise DecodeError("two columns have the same name", f"{path}, line 1")
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                row = Row(line, dict(zip(columns, cells, strict=False)), tuple(cells))
                wrong = f"{len(cells)} cells, {len(columns)} columns are named in the first line"
                rows.append(row if len(cells) == len(columns) else Rejected(row, wrong))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DecodeError(f"not CSV: {error}", f"{path}, line {line}") from None
    return columns, rows


def delimiter_of(text: str) -> str:
    """What separates the header's cells: a comma; a semicolon or a tab, as spreadsheets write, where there is none."""
    header = text.partition("\n")[0]
    return next((one for one in ",;\t" if one in header), ",")


def rejects_path(path: Path) -> Path:
    """Where the rejects of a file go."""
    return path.with_name(path.name + REJECTS_SUFFIX)


def write_rejects(path: Path, columns: list[str], rejected: list[Rejected]) -> Path:
    """Write the rejects beside the file, with line and reason; an older one goes where nothing was rejected."""
    target = rejects_path(path)
    line = "line" if "line" not in columns else "line of the file"
    if not rejected:
        target.unlink(missing_ok=True)
        return target
    write_table(target, [line, "reason", *columns], ([one.row.line, one.reason, *one.row.written] for one in rejected))
    return target


def write_table(target: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file, all of it or none."""
    draft = target.with_name(f".{target.name}.new")
    draft.write_bytes(table_bytes(columns, rows))
    draft.replace(target)


def table_bytes(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """The content of a CSV file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()
