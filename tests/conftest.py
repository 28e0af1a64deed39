"""Settings that every test shares."""

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.support")

# A failing example is printed with the blob that reproduces it. No deadline: machines differ in speed.
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("fuzz", parent=settings.get_profile("default"), max_examples=2_000)
settings.load_profile("default")
