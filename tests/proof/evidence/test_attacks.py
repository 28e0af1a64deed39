"""What anyone can do to a file without a key: reorder, drop, duplicate, swap and replay; and validators that lie."""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tallystick.ledger.evidence import collect
from tallystick.proof import comet
from tallystick.proof.comet import BlockIdFlag, Commit, CommitSig, Header, Validator, ValidatorSet
from tallystick.proof.evidence.blocks import Era, Headers, prove_headers
from tallystick.proof.evidence.bundle import Block, Bundle
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.reading import write_json
from tallystick.proof.evidence.verifier import verify
from tallystick.wire.errors import DecodeError
from tests.support.bundles import Ledger
from tests.support.forging import at, put, reread, reseal
from tests.support.members import key_of

CHAIN = "four-validators"


def refusal_of(ledger: Ledger, raw: bytes, what: object = "") -> str:
    """How the file is refused, which it must be."""
    try:
        verify(raw, ledger.genesis)
    except (NotProven, DecodeError) as error:
        return str(error)
    raise AssertionError(f"accepted: {what}")


def listed_refusal_of(ledger: Ledger, value: Any, what: object) -> str:
    """How the file is refused whose table of contents was made to fit; that it is none, where it has no order."""
    try:
        raw = reread(value).listed().to_bytes()
    except DecodeError as error:
        return str(error)
    return refusal_of(ledger, raw, what)


def lists(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all lists with something in them."""
    if isinstance(value, dict):
        for name in value:
            yield from lists(value[name], (*path, name))
    elif isinstance(value, list) and value:
        yield path
        for index, item in enumerate(value):
            yield from lists(item, (*path, index))


def test_lists_are_not_reordered_dropped_from_or_repeated(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    """Whatever list it is, also with every digest made to fit; the table of contents stays as it was made."""
    for thing, deep in (("document", 99), ("plan", 2)):
        value = json.loads(bundles[thing].to_bytes())
        for path in (path for path in lists(value) if len(path) <= deep):
            found = at(value, path)
            for index in range(len(found)):
                changes = [[*found[: index + 1], *found[index:]], [*found[:index], *found[index + 1 :]]]
                if index:
                    changes.append([*found[: index - 1], found[index], found[index - 1], *found[index + 1 :]])
                for changed in changes:
                    if changed == found:
                        continue
                    forged = put(value, path, changed)
                    assert refusal_of(ledger, write_json(forged), (thing, path, index, changed))
                    try:
                        bundle = reread(forged)
                        sealed = replace(reseal(bundle), contents=bundle.contents).to_bytes()
                    except (DecodeError, NotProven):
                        continue
                    if sealed != write_json(value):
                        assert refusal_of(ledger, sealed, (thing, path, index, changed))


Change = Callable[[Bundle], Bundle]


def parts_left_out(bundle: Bundle) -> Iterator[tuple[str, Change]]:
    """Every part of a bundle: how it is named, and the bundle without it."""

    def without(field: str, number: int) -> Change:
        held = getattr(bundle, field)
        return lambda one: replace(one, **{field: (*held[:number], *held[number + 1 :])})

    held = bundle.held
    names = (
        ("blocks", [f"block {height}" for height in held.blocks]),
        ("records", [f"record {key}" for key in held.records]),
        ("transactions", [f"transaction {height}/{index}" for height, index in held.transactions]),
        ("due_work", [f"due work {height}" for height in held.due_work]),
        ("documents", [f"document {digest.hex()[:16]}" for digest in held.documents]),
    )
    for field, listed in names:
        for number, name in enumerate(listed):
            yield name, without(field, number)


def test_what_is_left_out_alone_is_named(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    for bundle in bundles.values():
        for name, leave_out in parts_left_out(bundle):
            smaller = leave_out(bundle)
            listed = "contents: {}: the table of contents lists it, and it is not there"
            assert refusal_of(ledger, smaller.to_bytes()) == listed.format(name)
            unlisted = "contents: {}: it is there, and the table of contents does not list it"
            assert refusal_of(ledger, replace(bundle, contents=smaller.held).to_bytes()) == unlisted.format(name)


def places_in(value: Any) -> Iterator[tuple[int, int]]:
    """All places of the ledger that a record names."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from places_in(inner)
    elif isinstance(value, list):
        if len(value) == 2 and all(type(number) is int for number in value):
            yield value[0], value[1]
        for inner in value:
            yield from places_in(inner)


def test_what_is_left_out_with_its_entry_is_told_by_what_refers_to_it(
    ledger: Ledger, bundles: dict[str, Bundle]
) -> None:
    """A smaller bundle: refused where something rests on the part, else it says how much it holds and what it lacks."""
    refused: Counter[str] = Counter()
    for thing, bundle in bundles.items():
        named = {place for one in bundle.records for place in places_in(one.value)}
        for name, leave_out in parts_left_out(bundle):
            smaller = leave_out(bundle).listed()
            kind, _, which = name.rpartition(" ")
            try:
                verdict = verify(smaller.to_bytes(), ledger.genesis).verdict
            except NotProven:
                refused[kind] += 1
                continue
            assert f"{len(smaller.records)} records" in verdict.extent
            assert f" {len(smaller.transactions)} step" in verdict.extent
            assert verdict.extent in verdict.lines
            if kind == "transaction" and tuple(int(part) for part in which.split("/")) in named:
                assert any(f"{which} is not in" in one.what for one in verdict.unproven), (thing, name)
    assert refused.keys() == {"block", "record"}
    assert refused["block"] == sum(len(bundle.blocks) for bundle in bundles.values())
    assert refused["record"] > 50


def test_a_chain_that_does_not_show_its_beginning_is_not_its_genesis_s(
    ledger: Ledger, bundles: dict[str, Bundle]
) -> None:
    for bundle in bundles.values():
        assert bundle.blocks[0].header.height == 1
        later = replace(bundle, blocks=bundle.blocks[1:]).listed()
        assert refusal_of(ledger, later.to_bytes()).startswith("genesis: block 1: the chain's first header is missing")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """Another history of the same founders, signed by the same node key."""
    other = Ledger(tmp_path_factory.mktemp("elsewhere"), face=2_000)
    yield other
    other.close()


def test_parts_of_two_histories_do_not_fit(ledger: Ledger, elsewhere: Ledger, bundles: dict[str, Bundle]) -> None:
    for thing, mine in bundles.items():
        other = elsewhere.bundle(thing)
        verify(other.to_bytes(), ledger.genesis)  # nobody can tell which of an operator's two histories is the real one
        a, b = json.loads(mine.to_bytes()), json.loads(other.to_bytes())
        for part in ("blocks", "transactions", "records", "state", "due_work"):
            if a[part] != b[part]:
                mixed = {**a, part: b[part]}
                assert refusal_of(ledger, write_json(mixed), (thing, part))
                assert listed_refusal_of(ledger, mixed, (thing, part))
        for part in ("blocks", "transactions", "records"):
            # The operator's two first blocks both state what the genesis makes, and nothing else rests on them.
            for index in range(part == "blocks", min(len(a[part]), len(b[part]))):
                if a[part][index] != b[part][index]:
                    swapped = put(a, (part, index), b[part][index])
                    assert refusal_of(ledger, write_json(swapped), (thing, part, index))
                    assert listed_refusal_of(ledger, swapped, (thing, part, index))


def test_a_bundle_of_another_genesis(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    for bundle in bundles.values():
        assert refusal_of(ledger, replace(bundle, genesis=bytes(32)).to_bytes()).startswith("genesis")


def test_a_proof_of_another_height_is_not_replayed(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["receivable"]
    for block in bundle.blocks[1:-1]:
        earlier = replace(bundle, height=block.header.height - 1)
        assert refusal_of(ledger, earlier.to_bytes()).startswith(("state", "headers"))
    for one, other in itertools.pairwise(bundle.transactions):
        moved = replace(one, height=other.height, index=other.index)
        steps = tuple(moved if each is other else each for each in bundle.transactions)
        assert "transaction" in refusal_of(ledger, replace(bundle, transactions=steps).listed().to_bytes())


def test_a_record_to_spare_or_too_few(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["member"]
    spare = next(one for one in bundles["receivable"].records if one.key not in {each.key for each in bundle.records})
    records = tuple(sorted((*bundle.records, spare), key=lambda one: one.key))
    assert refusal_of(ledger, replace(bundle, records=records).listed().to_bytes()).startswith("state")
    places = [(each.height, each.index) for each in bundle.transactions]
    signers = {
        f"member/{one}" for step in verify(bundle.to_bytes(), ledger.genesis).signed for one in step.organisations
    }
    for gone in signers - {bundle.about}:
        keys = [each.key for each in bundle.records if each.key != gone]
        fewer = collect(ledger.engine, bundle.about, bundle.genesis, keys, places)
        assert refusal_of(ledger, fewer.to_bytes()).startswith("membership")
    keys = [each.key for each in bundle.records if not each.key.startswith("key/")]
    fewer = collect(ledger.engine, bundle.about, bundle.genesis, keys, places)
    assert refusal_of(ledger, fewer.to_bytes()).startswith("keys")


# Four validators, of whom less than a third lies


class Four:
    """Headers of a chain of four validators, and what they signed."""

    def __init__(self) -> None:
        self.keys = {key_of(name).verify_key.encode(): key_of(name) for name in ("a", "b", "c", "d")}
        self.validators = ValidatorSet.of(Validator(key, 1) for key in self.keys)

    def header(
        self, height: int, validators: ValidatorSet | None = None, following: ValidatorSet | None = None
    ) -> Header:
        own = (validators or self.validators).hash()
        return Header(
            chain_id=CHAIN,
            height=height,
            time=1_000_000_000 * height,
            last_block_id=comet.BlockId(bytes(32), 1, bytes(32)),
            last_commit_hash=bytes(32),
            data_hash=bytes(32),
            validators_hash=own,
            next_validators_hash=own if following is None else following.hash(),
            consensus_hash=bytes(32),
            app_hash=bytes(32),
            last_results_hash=bytes(32),
            evidence_hash=bytes(32),
            proposer_address=bytes(20),
        )

    def committed(self, header: Header, signers: int, validators: ValidatorSet | None = None) -> Block:
        """The block with the signatures of the first so many of its validators."""
        named, votes = comet.embedded_block_id(header), []
        for number, one in enumerate((validators or self.validators).validators):
            message = comet.vote_sign_bytes(CHAIN, header.height, 0, named, header.time)
            key = self.keys.get(one.public_key) or key_of("liar")
            signed = CommitSig(BlockIdFlag.COMMIT, one.address, header.time, key.sign(message).signature)
            votes.append(signed if number < signers else comet.ABSENT)
        return Block(header, Commit(header.height, 0, named, tuple(votes)))


def headers_of(ledger: Ledger, bundles: dict[str, Bundle], blocks: list[Block], *sets: ValidatorSet) -> Headers:
    bundle = replace(bundles["document"], blocks=tuple(blocks), validators=sets)
    return prove_headers(bundle, (Era(CHAIN, frozenset({Four().validators.hash()})),))


@pytest.mark.parametrize("signers", [0, 1, 2])
def test_two_thirds_are_too_few(ledger: Ledger, bundles: dict[str, Bundle], signers: int) -> None:
    four = Four()
    with pytest.raises(NotProven, match="two thirds"):
        headers_of(ledger, bundles, [four.committed(four.header(5), signers)], four.validators)


def test_who_attests_is_the_least_that_signed(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    four = Four()
    blocks = [four.committed(four.header(5), 4), four.committed(four.header(7), 3)]
    (attested,) = headers_of(ledger, bundles, blocks, four.validators).attested
    assert (attested.first, attested.last, attested.signed, attested.validators) == (5, 7, 3, 4)


def test_validators_whom_nobody_named(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    """A third or less names its own successors: no header that the others committed names them."""
    four = Four()
    liars = ValidatorSet.of([Validator(key_of("liar").verify_key.encode(), 1)])
    honest, lying = four.committed(four.header(5), 4), four.committed(four.header(7, liars), 1, liars)
    with pytest.raises(NotProven, match="nothing proven before it names its validators"):
        headers_of(ledger, bundles, [honest, lying], four.validators, liars)
    named = four.committed(four.header(5, following=liars), 2)
    with pytest.raises(NotProven, match="two thirds"):
        headers_of(ledger, bundles, [named, lying], four.validators, liars)
    agreed = four.committed(four.header(5, following=liars), 3)
    assert len(headers_of(ledger, bundles, [agreed, lying], four.validators, liars).attested) == 2


def test_a_validator_does_not_vote_twice(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    four = Four()
    block = four.committed(four.header(5), 2)
    assert block.commit is not None
    first, second, *_ = block.commit.signatures
    doubled = replace(block, commit=replace(block.commit, signatures=(first, second, first, second)))
    with pytest.raises(NotProven, match="not by the validator in that place"):
        headers_of(ledger, bundles, [doubled], four.validators)
