"""Payroll files with workers who do not exist: identity and card numbers that only have the right form."""

import csv
from pathlib import Path

COLUMNS = ("name", "identity", "account", "bank", "amount")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def resident(number: int) -> str:
    """A resident identity number of the right form (GB 11643): no district, a birthday in 1990, `number` in it."""
    day, order = divmod(number, 1_000)
    body = f"000000{1990 + day // 300}{day // 25 % 12 + 1:02d}{day % 25 + 1:02d}{order:03d}"
    return body + "10X98765432"[sum(int(a) * b for a, b in zip(body, _WEIGHTS, strict=True)) % 11]


def card(number: int) -> str:
    """A card number of the right form (ISO 7812): no issuer's, `number` in it."""
    body = f"620000{number:012d}"
    digits = [int(char) for char in reversed(body)]
    doubled = sum(sum(divmod(digit * 2, 10)) for digit in digits[::2])
    return f"{body}{-(doubled + sum(digits[1::2])) % 10}"


def payroll_row(number: int, amount: str = "1000.00") -> tuple[str, ...]:
    """A line of a payroll."""
    return (f"Worker {number}", resident(number), card(number), "Bank of the river", amount)


def write_rows(path: Path, columns: tuple[str, ...], *rows: tuple[str, ...]) -> Path:
    """A CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    return path
