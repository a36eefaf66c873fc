"""The finished run of the tiny corpus, and copies of it."""

from tests.runs import finished, fresh, place  # noqa: F401 - fixtures
