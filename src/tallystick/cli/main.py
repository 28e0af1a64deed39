"""The command `tally`: its table of contents, and how whatever goes wrong becomes an exit code."""

import sys
from collections.abc import Callable, Sequence

from cyclopts import App, CycloptsError, Group, Parameter, UnusedCliTokensError

from tallystick.cli.context import Stop
from tallystick.cli.output import Exit, Output
from tallystick.wire.errors import DecodeError, InvariantViolation

HELP = """Tallystick (合符): receivables and release plans on a ledger that a consortium keeps together.

Begin with `tally chain init`. Every operation is `tally CONCEPT VERB`, as in `tally receivable request`; each has
`--help`.
"""

EXIT_CODES = (
    "Exit codes: 0 done; 1 refused by the ledger's rules; 2 bad input; 3 outcome unknown or ledger out of reach; "
    "4 damaged ledger."
)

LOOKING = Group("Look", sort_key=1)
WORKING = Group("Work", sort_key=2)
CONCEPTS = Group("Operations, by concept", sort_key=3)

COMMANDS = {
    "show": ("looking:show", LOOKING, "Show a record with what belongs to it: lineage, parcels, reviews, quotes."),
    "list": ("looking:list_records", LOOKING, "List records of a kind, by party and state."),
    "members": ("looking:members", LOOKING, "List the organisations with their roles."),
    "events": ("following:events", LOOKING, "What happened, in order; --follow waits for more."),
    "notices": ("following:notices", LOOKING, "What an organisation was told."),
    "waiting": ("waiting:waiting", LOOKING, "What waits for an organisation, until when, and the command (待办)."),
    "accounts": ("money:accounts", LOOKING, "An organisation's accounts and what stands in them (资源账户)."),
    "statement": ("money:statement", LOOKING, "What moved on an account, with running balances (对账单)."),
    "board": ("market:board", LOOKING, "Published financings, quotes ranked by all-in cost (公示)."),
    "result": ("transactions:result", LOOKING, "What became of a transaction."),
    "check": ("checking:check", LOOKING, "Check the whole ledger: what must never happen has not happened."),
    "fsck": ("fsck:fsck", LOOKING, "Replay the whole ledger from its genesis; names the first thing that fails."),
    "prove-document": ("evidence:prove_document", LOOKING, "Find what anchors a file and write its evidence bundle."),
    "verify": ("evidence:verify", LOOKING, "Check an evidence bundle offline, against a genesis."),
    "import": ("importing:app", WORKING, "Bring a file of invoices in as receivables."),
    "op": ("transactions:op", WORKING, "Run operations as they stand in a file."),
    "tx": ("transactions:app", WORKING, "Transaction files: look, add signatures, hand in."),
    "replay": ("transactions:replay", WORKING, "Hand in a file of signed transactions."),
    "node": ("nodes:app", WORKING, "This machine's node: init, id, run, status, backup, snapshot, restore."),
    "consortium": ("consortium:app", WORKING, "A whole consortium on this machine: init, up, status, down."),
}
"""The commands beside the operations: where each lives, its heading and its line in `tally --help`."""

MIXED = {
    "validator": {"list": ("validators:list_validators", "Who signs blocks, and who was caught breaking the rules.")},
    "chain": {"init": ("chains:init", "Create a chain from a genesis file.")},
    "key": {
        "new": ("keys:new", "Make a key on this machine."),
        "list": ("keys:list_keys", "List the keys on this machine."),
        "show": ("keys:show", "Show one key and what it is on the ledger."),
    },
    "invoice": {"fingerprint": ("importing:fingerprint", "The keyed fingerprint of an invoice.")},
    "financing": {
        "seal": ("market:seal", "Make a sealed quote: hand in its commitment, keep its terms here."),
        "reveal-sealed": ("market:reveal_sealed", "Reveal a quote that was sealed on this machine."),
        "contract": ("contracts:financing_contract", "Draw up the contract of an awarded financing as PDF."),
    },
    "product": {
        "show": ("product_card:show", "Show a product: terms, both copies of the contract, contracts, plans."),
        "contracts": ("contracts:product_contracts", "Draw up the three contracts as PDF; --hand-in registers them."),
        "check-contracts": ("contracts:check_contracts", "Before you sign: are the drafts as the ledger says?"),
    },
    "plan": {
        "show": ("plan_card:show", "Show a plan along time: locked, met, released, disputed."),
        "file": ("plan_files:write", "Write a plan's tranches as a file, to propose or amend from."),
    },
    "wage": {
        "lines": ("wages:lines", "Upload the lines of a wage tranche from a payroll file."),
        "line-result": ("wages:line_result", "Report the bank's results on lines, from its file."),
        "line-correct": ("wages:line_correct", "Correct returned lines and send them again, from a file."),
        "show": ("wages:show", "Show a wage sheet: counts by state, lines in trouble."),
        "share": ("wages:share", "Write lines with their salts, for the custodian."),
        "check": ("wages:check", "Are shared lines those on the ledger?"),
    },
    "certificate": {"show": ("certificate_card:show", "Show a release certificate, with every condition met.")},
    "document": {
        "find": ("documents:find", "What anchored a file, or that nothing did."),
        "store": ("documents:store", "Keep a copy of a file and make its anchor."),
        "get": ("documents:get", "Write a kept document to a file."),
        "list": ("documents:list_documents", "List the documents and salts kept here."),
        "share": ("documents:share", "Write a document with its salt, for somebody to check."),
        "take": ("documents:take", "Keep a document and salt that somebody shared."),
        "forget": ("documents:forget", "Delete the copy kept here; its salt stays."),
    },
}
"""Commands that work on this machine's side, listed with the operations of their concept."""

BEFORE_COMMAND = ("--home", "--json", "--passphrase-file")

ROOM = "tallystick.cli."

EVIDENCE = "evidence"
"""Both a concept of the ledger, what is shown for a release, and what proves a record to a stranger."""


def make_app(first: str = "") -> App:
    """The command line. Where `first`, the first word typed, is one of `COMMANDS`, the operations are left out."""
    app = App(
        name="tally",
        help=HELP,
        help_epilogue=EXIT_CODES,
        version=_version,
        default_parameter=Parameter(negative=()),
        result_action="return_value",
    )
    for name, (target, group, line) in COMMANDS.items():
        app.command(ROOM + target, name=name, group=group, help=line)
    if first not in COMMANDS:
        _add_concepts(app)
    return app


def _add_concepts(app: App) -> None:
    from tallystick.cli.operations import add_commands
    from tallystick.cli.vocabulary import CONCEPTS as SAID
    from tallystick.kernel.operations import OPERATIONS

    groups: dict[str, App] = {}

    def group(name: str, help_line: str) -> App:
        if name not in groups:
            groups[name] = App(name=name, help=help_line, group=CONCEPTS)
            app.command(groups[name])
            if name == EVIDENCE:
                groups[name].default(_evidence())
            for verb, (target, line) in MIXED.get(name, {}).items():
                groups[name].command(ROOM + target, name=verb, help=line)
        return groups[name]

    for name in MIXED:
        group(name, SAID[name])
    add_commands(group, (one for one in OPERATIONS if not _has_own_command(str(one.__struct_config__.tag))))


def _has_own_command(operation: str) -> bool:
    """Whether a command of `MIXED` stands for an operation, as where its lines come from a file."""
    concept, _, verb = operation.partition(".")
    return verb.replace("_", "-") in MIXED.get(concept.replace("_", "-"), {})


def _evidence() -> Callable[..., None]:
    """`tally evidence ID`, beside the operations on a plan's evidence."""
    from tallystick.cli.evidence import evidence

    return evidence


def _version() -> str:
    from importlib.metadata import version

    return version("tallystick")


def run(words: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    words = _common_last(words)
    output = Output(as_json="--json" in words)
    try:
        make_app(next(iter(words), ""))(words, exit_on_error=False, print_error=False)
    except Stop as stop:
        return stop.code
    except CycloptsError as error:
        said = _mistyped(error)
        output.data({"outcome": "error", "error": said, "exit": Exit.BAD_INPUT.value, "details": []})
        output.problem(said)
        return Exit.BAD_INPUT
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # whoever read has gone away
        return Exit.OK
    except (DecodeError, InvariantViolation, OSError, LookupError) as error:
        return _failed(output, error)
    return Exit.OK


def _mistyped(error: CycloptsError) -> str:
    """What is wrong with the words typed; a word without its option gets the option that it may belong to."""
    if not isinstance(error, UnusedCliTokensError) or not error.unused_tokens:
        return str(error).strip().replace(" into int.", " into a whole number.")
    from tallystick.node.lookup import ID_TABLES

    word = error.unused_tokens[0]
    table = ID_TABLES.get(word.partition("_")[0], "" if word.strip("0123456789") else "tranche")
    option = f", as --{table} {word}" if table else ""
    return f"{word!r} belongs to no option; name the one that it is for{option} (--help lists them)"


def _common_last(words: Sequence[str]) -> list[str]:
    """The words with common options that stand before the command, as in `tally --home DIR members`, after it."""
    place = 0
    while place < len(words) and words[place].partition("=")[0] in BEFORE_COMMAND:
        place += 2 if words[place] in BEFORE_COMMAND and words[place] != "--json" else 1
    return [*words[place:], *words[:place]]


def _failed(output: Output, error: Exception) -> int:
    """Say what went wrong and choose the exit code."""
    code, details = _classified(error)
    output.data({"outcome": "error", "error": str(error), "exit": code.value, "details": details})
    output.problem(str(error), details=details)
    return code


def _classified(error: Exception) -> tuple[Exit, list[str]]:
    """The exit code of a failure, and what else there is to say."""
    from tallystick.node.failures import Failure, classify

    failure = classify(error)
    code = {
        Failure.BAD_INPUT: Exit.BAD_INPUT,
        Failure.OUT_OF_REACH: Exit.UNKNOWN,
        Failure.DAMAGED: Exit.DAMAGED,
    }[failure.kind]
    return code, failure.details


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))
