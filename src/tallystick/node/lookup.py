"""Finding records as people name them: by id, by the beginning of an id, or, for members, by legal name.

What fits several records is refused with the candidates; nothing is guessed.
"""

from difflib import get_close_matches

from tallystick.kernel.core.record import TABLES, Record
from tallystick.kernel.governance.currencies import CurrencyTerms
from tallystick.kernel.membership.records import Member, SigningKey
from tallystick.ledger.engine import Engine
from tallystick.node.key_store import StoredKey
from tallystick.node.reading import PresentState
from tallystick.wire.errors import DecodeError
from tallystick.wire.ids import is_record_id

ID_TABLES = {
    "mbr": "member",
    "rev": "review",
    "rcv": "receivable",
    "trf": "transfer",
    "fin": "financing",
    "rec": "recourse",
    "acc": "account",
    "dep": "deposit",
    "rdm": "redemption",
    "doc": "document",
    "prd": "product",
    "pln": "plan",
    "evd": "evidence",
    "crt": "certificate",
    "dsp": "dispute",
    "rfd": "refund",
}
"""Which table the id of each kind of record stands in."""

NEARLY = 0.75
PAGE = 1_000
MOST_CANDIDATES = 12


class NoSuchRecord(DecodeError):
    """Nothing on the ledger fits what was named."""


class Ambiguous(DecodeError):
    """Several records fit what was named; `candidates` says which, as id and description."""

    def __init__(self, text: str, candidates: list[tuple[str, str]]) -> None:
        self.candidates = candidates
        super().__init__(f"{text!r} fits {len(candidates)} records")


class Lookup:
    """Names to records and records to names, over one engine's present state."""

    def __init__(self, engine: Engine, state: PresentState, keys: tuple[StoredKey, ...]) -> None:
        self._engine = engine
        self._state = state
        self._keys = keys
        self._members: dict[str, Member] | None = None

    def forget(self) -> None:
        """Read members anew, after something was submitted."""
        self._members = None

    def members(self) -> list[Member]:
        """All organisations that ever applied, in the order of their ids."""
        return list(self._all_members().values())

    def _all_members(self) -> dict[str, Member]:
        if self._members is None:
            found: dict[str, Member] = {}
            after = ""
            while True:
                page = [row for row in self._engine.scan("member", after, PAGE) if isinstance(row, Member)]
                found.update((row.id, row) for row in page)
                if len(page) < PAGE:
                    break
                after = page[-1].id
            self._members = found
        return self._members

    def member(self, text: str) -> Member:
        """The member that `text` names: its id, the beginning of its id, its legal name, or a local folder of its keys.

        Raises `NoSuchRecord` or `Ambiguous`.
        """
        members = self._all_members()
        if text in members:
            return members[text]
        wanted = _folded(text)
        fitting = [row for row in members.values() if _folded(row.legal_name) == wanted]
        fitting = fitting or self._by_folder(text)
        if not fitting and text.startswith("mbr_"):
            fitting = [row for row in members.values() if row.id.startswith(text)]
        fitting = fitting or [row for row in members.values() if wanted and _folded(row.legal_name).startswith(wanted)]
        return self._only(text, [row for row in fitting if row.is_member] or fitting)

    def _only(self, text: str, fitting: list[Member]) -> Member:
        if not fitting:
            raise NoSuchRecord(f"no organisation on this ledger is named {text[:80]!r}{self._meant(text)}")
        if len(fitting) > 1:
            raise Ambiguous(text, [(row.id, f"{row.legal_name} ({row.state.value})") for row in fitting])
        return fitting[0]

    def _meant(self, text: str) -> str:
        """A name or folder that is nearly what was typed, else where the names stand."""
        names = [row.legal_name for row in self._all_members().values() if row.is_member]
        known = {_folded(name): name for name in (*names, *(key.organisation for key in self._keys))}
        near = get_close_matches(_folded(text), known, 1, NEARLY)
        return f"; is it {known[near[0]]!r}?" if near else "; `tally members` lists them"

    def _by_folder(self, text: str) -> list[Member]:
        members = self._all_members()
        owners = {self.owner_of(key.public) for key in self._keys if key.organisation == text}
        return [members[name] for name in sorted(owners) if name in members]

    def owner_of(self, public_key: str) -> str:
        """Id of the member for which a key is registered, or empty."""
        row = self._state.find(f"key/{public_key}")
        return row.member if isinstance(row, SigningKey) else ""

    def name(self, member_id: str) -> str:
        """The legal name behind an id, or the id itself."""
        found = self._all_members().get(member_id)
        return member_id if found is None else found.legal_name

    def record(self, text: str) -> Record:
        """The record that `text` names: an id, an unambiguous beginning of one, a full key, or a member's name.

        Raises `NoSuchRecord` or `Ambiguous`.
        """
        table, _, rest = text.partition("/")
        if rest and table in TABLES:
            record = self._state.find(text)
            if record is None:
                raise NoSuchRecord(f"no record stands under {text[:80]!r}")
            return record
        prefix = text.partition("_")[0]
        if prefix in ID_TABLES and text != prefix:
            return self._by_id(text, prefix)
        return self.member(text)

    def _by_id(self, text: str, prefix: str) -> Record:
        table = ID_TABLES[prefix]
        if is_record_id(text, prefix):
            record = self._state.find(f"{table}/{text}")
            if record is None:
                raise NoSuchRecord(f"no {table} on this ledger has the id {text}")
            return record
        # Ids sort by their characters; "/" sorts before all of them, so this begins just before the first that fits.
        rows = self._engine.scan(table, text[:-1] + chr(ord(text[-1]) - 1) + "\x7f", MOST_CANDIDATES + 1)
        fitting = [row for row in rows if row.id.startswith(text)]
        if not fitting:
            raise NoSuchRecord(f"no {table} on this ledger has an id that begins with {text[:40]}")
        if len(fitting) > 1:
            raise Ambiguous(text, [(row.id, self.describe(row)) for row in fitting])
        return fitting[0]

    def describe(self, record: Record) -> str:
        """A few words that tell a record from its neighbours."""
        state = getattr(record, "state", None)
        words = [record.table]
        if isinstance(record, Member):
            words.append(record.legal_name)
        for field in ("debtor", "creditor", "sender", "receiver", "client", "owner"):
            named = getattr(record, field, None)
            if isinstance(named, str):
                words.append(f"{field} {self.name(named)}")
        if state is not None:
            words.append(str(state.value))
        return ", ".join(words)

    def minor_digits(self, currency: str) -> int:
        """Decimal places of a currency of this chain. Raises `NoSuchRecord`."""
        terms = self._state.find(f"currency/{currency}")
        if not isinstance(terms, CurrencyTerms):
            known = ", ".join(row.id for row in self._engine.scan("currency"))
            raise NoSuchRecord(f"the chain knows no currency {currency[:10]!r}; it knows {known}")
        return terms.minor_digits


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())
