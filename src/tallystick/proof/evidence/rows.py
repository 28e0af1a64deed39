"""Reading a proven record or operation by field. That validators signed a state does not say that its rows are well
formed: what is not of its form is `NotProven`, never another exception.
"""

import re
from dataclasses import dataclass

from tallystick.proof.evidence.bundle import Json
from tallystick.proof.evidence.errors import NotProven

Place = tuple[int, int]
"""Height and transaction index. What a block did by itself at its start has index 0, as its first transaction has."""

GENESIS: Place = (0, 0)

_UNITS = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Row:
    """An object of a record, and how messages name it. A field at its default is left out, as records are written."""

    value: dict[str, Json]
    where: str

    @property
    def id(self) -> str:
        """A record's own id."""
        return self.text("id")

    def get(self, name: str) -> Json:
        """The field as it stands, or None."""
        return self.value.get(name)

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        return name in self.value

    def text(self, name: str) -> str:
        """A text, empty where the field is left out."""
        value = self.value.get(name, "")
        if type(value) is not str:
            raise self._fault(name, "a text")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(self._text_in(name, item) for item in self._list(name))

    def number(self, name: str, default: int = 0) -> int:
        """A whole number."""
        value = self.value.get(name, default)
        if type(value) is not int:
            raise self._fault(name, "a whole number")
        return value

    def units(self, name: str) -> int:
        """An amount in minor units, 0 where the field is left out."""
        return self._units(name, self.value.get(name, "0"))

    def sums(self, name: str) -> tuple[int, ...]:
        """A list of amounts in minor units."""
        return tuple(self._units(name, item) for item in self._list(name))

    def interval(self, name: str) -> tuple[int, int]:
        """The first and the last unit of an interval."""
        found = [self._units(name, item) for item in self._list(name)]
        if len(found) != 2 or not 1 <= found[0] <= found[1]:
            raise self._fault(name, "an interval")
        return found[0], found[1]

    def place(self, name: str) -> Place | None:
        """A place of the ledger, None where the field is left out."""
        value = self.value.get(name)
        if value is None:
            return None
        if isinstance(value, list) and len(value) == 2 and all(type(number) is int for number in value):
            height, index = value
            return int(height), int(index)
        raise self._fault(name, "a place of the ledger")

    def needed_place(self, name: str) -> Place:
        """A place of the ledger that must be there."""
        found = self.place(name)
        if found is None:
            raise self._fault(name, "a place of the ledger")
        return found

    def row(self, name: str) -> "Row | None":
        """An object inside, None where the field is left out."""
        value = self.value.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self._fault(name, "an object")
        return Row(value, self.where)

    def rows(self, name: str) -> tuple["Row", ...]:
        """The objects of a list."""
        found = []
        for item in self._list(name):
            if not isinstance(item, dict):
                raise self._fault(name, "a list of objects")
            found.append(Row(item, self.where))
        return tuple(found)

    def _list(self, name: str) -> list[Json]:
        value = self.value.get(name, [])
        if not isinstance(value, list):
            raise self._fault(name, "a list")
        return value

    def _text_in(self, name: str, item: Json) -> str:
        if type(item) is not str:
            raise self._fault(name, "a list of texts")
        return item

    def _units(self, name: str, value: Json) -> int:
        if type(value) is not str or not _UNITS.fullmatch(value):
            raise self._fault(name, "an amount in minor units")
        return int(value)

    def _fault(self, name: str, kind: str) -> NotProven:
        return NotProven("state", f"its field {name} is not {kind}", self.where)
