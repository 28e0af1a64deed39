"""Every operation is a command whose options are its own and can be told apart."""

from tallystick.cli.main import COMMANDS, MIXED, make_app
from tallystick.cli.operations import RESERVED, help_of
from tallystick.cli.vocabulary import CONCEPTS, concept_of, fields_of
from tallystick.kernel.operations import OPERATIONS
from tallystick.kernel.plans.disputes import OpenDispute
from tallystick.kernel.plans.proposing import ProposePlan

OWN = frozenset(
    {"--as", "--with", "--id", "--not-after", "--dry-run", "--sign-only", "--sign-with", "--home", "--json"}
)


def test_every_operation_has_its_command() -> None:
    app = make_app()
    for operation in OPERATIONS:
        concept, verb = (word.replace("_", "-") for word in concept_of(operation))
        assert app[concept][verb].default_command is not None


def test_options_do_not_collide() -> None:
    for operation in OPERATIONS:
        fields = list(fields_of(operation))
        options = [field.option for field in fields] + [f"--no-{field.option[2:]}" for field in fields if field.is_flag]
        assert len(set(options)) == len(options), operation
        assert not OWN & set(options), operation
        assert not RESERVED & {field.name for field in fields}, operation


def test_every_concept_is_said_in_words() -> None:
    assert {concept_of(operation)[0] for operation in OPERATIONS} <= CONCEPTS.keys()


FROM_FILES = {("wage", "lines"), ("wage", "line-result"), ("wage", "line-correct")}
"""Operations whose lines come from a file: a command of this machine stands in their place."""


def test_commands_of_this_machine_hide_no_operation() -> None:
    names = {tuple(word.replace("_", "-") for word in concept_of(operation)) for operation in OPERATIONS}
    hidden = {(concept, verb) for concept, verbs in MIXED.items() for verb in verbs} & names
    assert hidden == FROM_FILES
    assert not COMMANDS.keys() & {concept for concept, _ in names}


def test_nested_values_are_described() -> None:
    propose = {field.name: field for field in fields_of(ProposePlan)}
    assert propose["tranches"].metavar == "@FILE"
    assert "fund_amount=" in propose["tranches"].help
    assert propose["total"].metavar == "AMOUNT"
    opened = {field.name: field for field in fields_of(OpenDispute)}
    assert (opened["plan"].about, opened["units"].option) == (True, "--amount")


def test_help_says_something_and_leaves_sources_to_the_reference() -> None:
    for operation in OPERATIONS:
        text = help_of(operation)
        assert len(text) > 20
        assert "Source:" not in text
