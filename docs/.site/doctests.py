"""For the site: an example that stands in a docstring without a heading becomes its "Examples:" section.

Loaded by mkdocstrings (mkdocs.yml), which would otherwise read the square brackets of a result as links.
"""

from __future__ import annotations

import re

import griffe

_EXAMPLE = re.compile(r"^>>> ", re.MULTILINE)


class Doctests(griffe.Extension):
    """Gives unindented examples a heading of their own."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        docstring = obj.docstring
        if docstring is None or not (found := _EXAMPLE.search(docstring.value)):
            return
        text, example = docstring.value[: found.start()], docstring.value[found.start() :]
        indented = "\n".join(f"    {line}".rstrip() for line in example.splitlines())
        docstring.value = f"{text}Examples:\n{indented}"
