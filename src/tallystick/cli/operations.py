"""`tally CONCEPT VERB`: one command an operation, made from its class; from what was typed to a transaction."""

import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from tallystick.cli import values
from tallystick.cli.context import NO_OPTIONS, Common, Desk, desk
from tallystick.cli.filling import fill_in, may_be_filled, nested_defaults
from tallystick.cli.restating import Asked, restate, unstated
from tallystick.cli.submitting import Signing, submit_operations
from tallystick.cli.vocabulary import CONCEPTS, Field, concept_of, fields_of
from tallystick.cli.who import Who
from tallystick.kernel.core.operation import Operation
from tallystick.wire.errors import DecodeError

if TYPE_CHECKING:
    import datetime

    from tallystick.wire.instants import Instant

_PARAMETER = inspect.Parameter
RESERVED = frozenset(
    {"actor", "cosigners", "transaction_id", "not_after", "dry_run", "sign_only", "sign_with", "common", "home", "json"}
)


class Words:
    """What typed words are read against, over an open session (`values.Surroundings`)."""

    def __init__(self, at: Desk) -> None:
        self._session = at.session

    def member_id(self, text: str) -> str:
        from tallystick.wire.ids import is_record_id

        return text if is_record_id(text, "mbr") else self._session.lookup.member(text).id

    def record_id(self, text: str) -> str:
        from tallystick.node.lookup import ID_TABLES
        from tallystick.wire.ids import is_record_id

        if is_record_id(text) or text.partition("_")[0] not in ID_TABLES:
            return text
        return self._session.lookup.record(text).id

    def public_key(self, text: str) -> str:
        from tallystick.node.key_store import read_key

        for key in self._session.keys:
            if text in (key.public, f"{key.organisation}/{key.name}"):
                return key.public
        return read_key(Path(text)).public if Path(text).is_file() else text

    def anchor(self, path: Path, kind: str) -> dict[str, Any]:
        from tallystick.kernel.core import codec
        from tallystick.node.anchoring import anchor_file

        made: dict[str, Any] = codec.plain(anchor_file(self._session.home, path, kind))
        return made

    def minor_digits(self, currency: str) -> int:
        return self._session.lookup.minor_digits(currency)

    def now(self) -> "Instant":
        return self._session.now()

    def today(self) -> "datetime.date":
        return self._session.today()

    def start_of(self, day: "datetime.date") -> "Instant":
        from tallystick.kernel.calendar.days import start_of

        return start_of(self._session.state, day)


def add_commands(groups: Callable[[str, str], App], operations: Iterable[type[Operation]]) -> None:
    """Add one command for each operation to its concept's group."""
    for operation in operations:
        concept, verb = concept_of(operation)
        group = groups(concept.replace("_", "-"), CONCEPTS.get(concept, f"{concept}."))
        group.command(_command(operation), name=verb.replace("_", "-"))


def _command(operation: type[Operation]) -> Callable[..., None]:
    """A function whose signature spells the operation's options; cyclopts reads it."""
    options = list(fields_of(operation))
    parameters = [_parameter(operation, field) for field in options]
    by_place = [one.name for one in parameters if one.kind is _PARAMETER.POSITIONAL_OR_KEYWORD]

    def command(*about: str, **given: Any) -> None:
        common, who = given.pop("common", NO_OPTIONS), given.pop("who")
        run_operation(operation, options, {**dict(zip(by_place, about, strict=False)), **given}, who, common)

    parameters.append(_PARAMETER("who", _PARAMETER.KEYWORD_ONLY, annotation=Who))
    parameters.append(_PARAMETER("common", _PARAMETER.KEYWORD_ONLY, annotation=Common, default=NO_OPTIONS))
    signature = inspect.Signature(sorted(parameters, key=lambda one: one.kind is _PARAMETER.KEYWORD_ONLY))
    command.__signature__ = signature  # type: ignore[attr-defined] # how inspect lets a function say its parameters
    command.__name__ = str(operation.__struct_config__.tag)
    command.__doc__ = help_of(operation)
    return command


def help_of(operation: type[Operation]) -> str:
    """The operation's docstring, one paragraph a line, without its sources, which the reference page gives."""
    text = re.sub(r"\s*Source:[^\n]*(\n[^\n]+)*", "", inspect.getdoc(operation) or "")
    paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
    return "\n\n".join(part for part in paragraphs if part)


def _parameter(operation: type[Operation], field: Field) -> inspect.Parameter:
    help_text = field.help
    if field.required:
        help_text += " [else as the ledger states it]" if may_be_filled(operation, field.name) else " [required]"
    if field.is_flag:
        # Whether a flag was given at all is seen from None: the operation's own default then holds.
        shown = Parameter(
            name=field.option,
            negative=f"--no-{field.option[2:]}",
            help=help_text + (" [default: yes]" if field.default is True else ""),
            show_default=False,
        )
        return _keyword(field, bool | None, shown)
    names = [
        field.option,
        *([f"--{field.name.replace('_', '-')}"] if field.option[2:] != field.name.replace("_", "-") else []),
    ]
    shown = Parameter(
        name=names, metavar=field.metavar, help=help_text, show_default=False, negative="", consume_multiple=False,
        json_list=False, json_dict=False,
    )  # fmt: skip
    if field.is_list:
        return _keyword(field, list[str] | None, shown)
    kind = _PARAMETER.POSITIONAL_OR_KEYWORD if field.about else _PARAMETER.KEYWORD_ONLY
    return _PARAMETER(field.name, kind, annotation=Annotated[str | None, shown], default=None)


def _keyword(field: Field, kind: Any, shown: Parameter) -> inspect.Parameter:
    return _PARAMETER(field.name, _PARAMETER.KEYWORD_ONLY, annotation=Annotated[kind, shown], default=None)


def run_operation(
    operation: type[Operation], options: list[Field], given: dict[str, Any], who: Who, common: Common
) -> None:
    """Read what was typed, fill in what the ledger states, and hand the transaction in."""
    with desk(common, reading=who.only_looks) as at:
        signing = signing_of(at, who)
        submit_operations(at, (build(operation, options, given, signing.actor, at),), signing)


def signing_of(at: Desk, who: Who) -> Signing:
    """Who signs and how far it goes, with members by id. Raises `DecodeError`."""
    words = Words(at)
    not_after = None
    if who.not_after is not None:
        not_after = values.Reader(words).instant(who.not_after, "--not-after")
    return Signing(
        actor=words.member_id(who.actor),
        cosigners=tuple(words.member_id(name) for name in who.cosigners or ()),
        transaction_id=who.transaction_id or "",
        not_after=not_after,
        dry_run=who.dry_run,
        sign_only=who.sign_only,
        sign_with=tuple(who.sign_with or ()),
    )


def build(operation: type[Operation], options: list[Field], given: dict[str, Any], actor: str, at: Desk) -> Operation:
    """The operation that the typed words spell. Raises `DecodeError` naming the option."""
    words = Words(at)
    typed = {field.name: given[field.name] for field in options if given.get(field.name) not in (None, [])}
    filled = fill_in(at, operation, options, typed, actor, words.record_id)
    reader = values.Reader(words, filled.currency, nested_defaults(at, operation, filled.records, typed, actor, words))
    value: dict[str, Any] = {"op": operation.__struct_config__.tag, **filled.plain}
    for field in options:
        if field.name in typed:
            value[field.name] = reader.read(field.kind, typed[field.name], field.option)
    restate(Asked(at, actor, filled.records, value), operation, filled.currency)
    if _has_no_amount(options, value) and "currency" not in typed:
        value.pop("currency", None)
    missing = [field for field in options if field.required and field.name not in value]
    if missing:
        names = ", ".join(field.option for field in missing)
        states = unstated(operation, [field.name for field in missing], filled.records)
        raise DecodeError(f"{names} must be given{states}")
    places = {field.name: values.whence(typed.get(field.name)) or field.option for field in options}
    files = {
        name: values.whence(given[0]) for name, given in typed.items() if isinstance(given, list) and len(given) == 1
    }
    built: Operation = values.decoded(operation, value, places, files)
    return built


def _has_no_amount(options: list[Field], value: dict[str, Any]) -> bool:
    """Whether the currency may be left out and no amount is stated that it could be of."""
    may_be_left_out = any(field.name == "currency" and not field.required for field in options)
    return may_be_left_out and not any(field.metavar == "AMOUNT" and field.name in value for field in options)
