"""The facts of a refusal, as they are printed."""

import pytest

from tallystick.cli.sentences import facts_line
from tallystick.kernel.core.refusal import Fact
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import ReviewResult
from tests.support.desks import desk_over
from tests.support.products import cast


@pytest.mark.parametrize(
    ("reason", "facts", "said"),
    [
        (None, {"field": "reason"}, "field: reason, which was not given"),
        ("late", {"field": "reason"}, "field: reason"),
        (None, {"tranche": 0, "field": "units"}, "tranche: the whole plan, field: amount"),
        (None, {"tranche": 2, "field": "fund_units"}, "tranche: 2, field: fund_amount"),
    ],
)
def test_fields_are_named_as_they_are_typed(reason: str | None, facts: dict[str, Fact], said: str) -> None:
    c = cast()
    decision = DecideReview(review="rev_" + "0" * 16, result=ReviewResult.REFUSE, reason=reason)
    assert facts_line(desk_over(c.world), facts, (decision,)) == said
