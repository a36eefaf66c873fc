"""`run --dry-run --cost`: hours and disk of a whole run, by measured rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from abaw_submit.errors import ProblemsFound

if TYPE_CHECKING:
    from abaw_submit.workflow.graph import Graph


# never chosen unasked: another precision is another result, and a trial may end otherwise the next time
BF16 = 'extraction in bfloat16: {:.1f} times as fast here; [extract] precision = "bf16" takes it'


def show_cost(graph: Graph) -> None:
    """Print the cost by the rates of an H100, and by those of a short trial here.

    Raises:
        ProblemsFound: nobody can say how many rows the run has.
    """
    from abaw_submit.config import read_toml
    from abaw_submit.workflow.rates import H100, measure_rates
    from abaw_submit.workflow.sizes import encoder_size, needs

    if needs(graph.config, graph.run) is None:
        raise ProblemsFound("The cost is not known before the annotations and templates are there.")
    size = encoder_size(read_toml(graph.config))
    for rates, how in ((H100.for_size(size), "as measured before"), (measure_rates(size), "a short trial")):
        found = needs(graph.config, graph.run, rates)
        assert found is not None
        click.echo(
            f"# {rates.machine}, {how}: {rates.finetune:,.0f} pictures/s learnt,"
            f" {rates.extract:,.0f} extracted, {rates.train:,.0f} rows/s in the TMF"
        )
        if rates.bf16:
            click.echo(f"# {BF16.format(rates.bf16)}")
        for line in found.table():
            click.echo(f"#   {line}")
