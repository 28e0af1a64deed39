"""A name that is nearly right is answered with the right one; nothing is guessed."""

import pytest

from tallystick.node.lookup import NoSuchRecord
from tests.support.desks import desk_over
from tests.support.products import cast


@pytest.mark.parametrize(
    ("typed", "said"),
    [("Paltform", "is it 'Platform'?"), ("custodien", "is it 'Custodian'?"), ("Zzz", "`tally members` lists them")],
)
def test_what_was_meant_is_asked(typed: str, said: str) -> None:
    c = cast()
    with pytest.raises(NoSuchRecord) as refused:
        desk_over(c.world).session.lookup.member(typed)
    assert said in str(refused.value)
