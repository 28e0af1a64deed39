"""The light client says what CometBFT's own says, and refuses what CometBFT never looks at."""

from dataclasses import replace
from typing import Any

import pytest

from tallystick.proof import light_client
from tallystick.proof.comet import BlockIdFlag, LightBlock
from tallystick.proof.comet_json import light_block_from_json
from tallystick.proof.light_client import Trust, Verdict, judge
from tallystick.proof.timestamps import parse_time
from tests.proof.vectors import comet

PAIRS = {case["name"]: case for case in comet("light_client")}


def block_of(answers: dict[str, Any]) -> LightBlock:
    """A light block from the answers of /commit and /validators."""
    return light_block_from_json(
        {"signed_header": answers["commit"]["signed_header"], "validators": answers["validators"]["validators"]}
    )


def trust_of(case: dict[str, Any]) -> Trust:
    numerator, denominator = case["trust_level"]
    return Trust((numerator, denominator), case["period_ns"], now=parse_time(case["now"], "now"))


@pytest.mark.parametrize("name", PAIRS)
def test_the_verdict_is_cometbfts(name: str) -> None:
    case = PAIRS[name]

    judged = judge(block_of(case["trusted"]), block_of(case["untrusted"]), trust_of(case))

    assert judged.verdict.value == case["verdict"], judged.why
    assert judged.is_trusted is (judged.why == "")


def test_the_table_holds_every_verdict() -> None:
    assert {case["verdict"] for case in PAIRS.values()} == {verdict.value for verdict in Verdict}


def pair(name: str) -> tuple[LightBlock, LightBlock]:
    return block_of(PAIRS[name]["trusted"]), block_of(PAIRS[name]["untrusted"])


def test_a_signature_that_is_not_needed_for_the_count_must_hold_too() -> None:
    trusted, later = pair("skipping, same validators")
    votes = later.commit.signatures
    spoiled = replace(votes[3], signature=votes[2].signature)

    judged = judge(trusted, _with_votes(later, (*votes[:3], spoiled)), Trust())

    assert (judged.verdict, judged.why) == (Verdict.INVALID, "signature 3 of its commit does not verify")


def test_a_vote_for_no_block_must_be_signed_as_such() -> None:
    trusted, later = pair("adjacent, one of four for no block")
    votes = later.commit.signatures
    claimed = replace(votes[1], flag=BlockIdFlag.COMMIT)

    judged = judge(trusted, _with_votes(later, (votes[0], claimed, *votes[2:])), Trust())

    assert (judged.verdict, judged.why) == (Verdict.INVALID, "signature 1 of its commit does not verify")


def test_a_vote_stands_in_its_validators_place() -> None:
    trusted, later = pair("skipping, same validators")
    first, second, *rest = later.commit.signatures

    judged = judge(trusted, _with_votes(later, (second, first, *rest)), Trust())

    assert judged.why == "vote 0 of its commit is not by the validator in that place"


def test_a_validator_counts_once() -> None:
    trusted, later = pair("skipping, same validators")
    validators = replace(later.validators, validators=(later.validators.validators[0],) * 4)

    judged = judge(trusted, replace(later, validators=validators), Trust())

    assert judged.why == "a validator stands in its set twice"


def test_without_a_clock_old_blocks_are_trusted_for_what_they_show() -> None:
    trusted, later = pair("the trusted is at the end of its period")

    assert judge(trusted, later, Trust()).is_trusted


def test_a_first_block_is_judged_by_validators_known_otherwise() -> None:
    _, block = pair("skipping, same validators")

    assert light_client.judge_alone(block, "vectors-1", block.validators).is_trusted
    assert light_client.judge_alone(block, "vectors-2", block.validators).why == "it is of another chain"
    others = pair("skipping, none of the trusted")[1].validators
    assert (
        light_client.judge_alone(block, "vectors-1", others).why
        == "it has other validators than are trusted for its height"
    )


@pytest.mark.parametrize("level", [(1, 4), (4, 3), (0, 0), (-1, -2)])
def test_a_trust_level_lies_between_a_third_and_one(level: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="between a third and one"):
        Trust(level)


def test_a_trusting_period_needs_the_time() -> None:
    with pytest.raises(ValueError, match="needs to know the time"):
        Trust(period_ns=1)


def _with_votes(block: LightBlock, votes: tuple[Any, ...]) -> LightBlock:
    return replace(block, commit=replace(block.commit, signatures=votes))
