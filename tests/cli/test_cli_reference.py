"""The reference page says what --help says."""

from pathlib import Path

from abaw_submit.cli.reference import reference


def test_the_reference_page_is_current():
    page = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"
    fix = "run: python -m abaw_submit.cli.reference > docs/reference/commands.md"
    assert page.read_text(encoding="utf-8") == reference(), fix
