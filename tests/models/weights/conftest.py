"""Small random encoders in the key layout of every family, each with a second implementation."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.models.weights import other_cases, vit_cases
from tests.models.weights.case import Case

CASES: dict[str, Callable[[], Case]] = {
    name: make
    for module in (vit_cases, other_cases)
    for name, make in vars(module).items()
    if not name.startswith("_") and getattr(make, "__annotations__", {}).get("return") == "Case"
}


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    """Each family in turn."""
    return CASES[request.param]()


@pytest.fixture
def make_case() -> Callable[[str], Case]:
    """A family by name."""
    return lambda name: CASES[name]()
