"""The finished run of the tiny corpus, in which every command can be tried."""

from tests.runs import finished  # noqa: F401 - a fixture
