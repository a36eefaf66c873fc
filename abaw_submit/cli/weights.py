"""`weights`: what a file is and how to extract with it; and the options that say what weights do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from abaw_submit.cli.common import Command, json_option

if TYPE_CHECKING:
    from abaw_submit.models.weights.options import WeightOptions

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS = (
    click.option("--pool", help="Tokens to one vector: avg, cls, map or grid:3; default: the family's own."),
    click.option("--mean", help="Mean of the pictures, red,green,blue in 0..1; default: the family's own."),
    click.option("--std", help="Deviation of the pictures, as --mean."),
    click.option(
        "--size", "size_px", type=int, help="Side of the picture, px; default: that of the weights."
    ),
    click.option("--prefix", help="What stands before the encoder's names in the file."),
    click.option("--heads", type=int, help="Attention heads, where the family does not settle them."),
    click.option("--activation", help="gelu, gelu_tanh or quickgelu, where the family does not settle it."),
    click.option("--layers", help="Of a speech model: last, all, mean:-4: (of the last four) or 6,9,12."),
    click.option(
        "--head-s", type=float, help="Seconds that a speech model's own head hears; gives its outputs."
    ),
)


def weight_options(function: F) -> F:
    """The options that say what weights do not; the function gets them as keyword arguments."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def weight_options_of(said: dict[str, Any]) -> WeightOptions:
    """Take the values of `weight_options` out of keyword arguments."""
    from abaw_submit.models.weights.options import WeightOptions, three_numbers

    names = ("pool", "mean", "std", "size_px", "prefix", "heads", "activation", "layers", "head_s")
    values = {name: said.pop(name) for name in names}
    for name in ("mean", "std"):
        if values[name] is not None:
            values[name] = three_numbers(values[name], name)
    return WeightOptions(**values)


@click.command(cls=Command)
@click.argument("source", required=False)
@weight_options
@json_option
@click.option(
    "--table", is_flag=True, help="Instead of a file: the table of all families, as in the reference."
)
def weights(source: str | None, as_json: bool, table: bool, **said: Any) -> None:
    """Say what weights are, whether they load exactly, and the command to extract with them.

    Format, family, sizes, heads (known or assumed), pooling, normalisation, keys used, dropped by rule and
    missing, NaN, sha256, memory. SOURCE is a file, a folder, a timm name, timm:NAME@FILE, hf-hub:OWNER/NAME,
    torchaudio:NAME or torchaudio:NAME@FILE. Exit code 1: it does not load.

    \b
    Example: abaw-submit weights mae_face_pretrain_vit_base.pth
    """
    import json

    from abaw_submit.errors import ProblemsFound, UserError
    from abaw_submit.models.weights.table import reference_page

    if table:
        click.echo(reference_page(), nl=False)
        return
    if source is None:
        raise UserError("Give a weights file, folder or name, or --table.")
    from abaw_submit.models.weights.inspect import describe

    about = describe(source, weight_options_of(said))
    if as_json:
        click.echo(json.dumps(about.as_dict(), indent=2))
    else:
        click.echo(about.text())
    if about.problem is not None:
        raise ProblemsFound(about.problem)
