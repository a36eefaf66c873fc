"""recipe.json: a recipe written, and read again or refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from abaw_submit.errors import UserError
from abaw_submit.postprocess.recipe import Column, Processing, Recipe, validate
from abaw_submit.postprocess.smoothing import FilterPair, parse_filter
from abaw_submit.postprocess.stack import Stack
from abaw_submit.store import write_json
from abaw_submit.tasks import get_task
from abaw_submit.textfile import read_json

SCHEMA = "abaw_submit.recipe/2"
RECIPE_NAME = "recipe.json"
# the values of a recipe's file that are no lists or tables, and what they must be
_PLAIN: dict[str, Any] = {"task": str, "restore": int | float, "min_run_rows": int, "rate_hz": int | float}


def write_recipe(path: Path | str, recipe: Recipe) -> None:
    """Write `recipe.json`, whole or not at all."""
    write_json(path, {"schema": SCHEMA, **to_json(recipe)})


def to_json(recipe: Recipe) -> dict[str, Any]:
    """Plain values; filters as text, and only what is not at its default."""
    outputs = get_task(recipe.task).columns
    plain = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe)}
    plain["averaged"] = [
        {
            "columns": {n: _column_json(c) for n, c in zip(outputs, p.columns, strict=True)},
            "stack": dataclasses.asdict(p.stack) if p.stack else None,
        }
        for p in recipe.averaged
    ]
    return plain


def _column_json(column: Column) -> dict[str, Any]:
    plain: dict[str, Any] = {"weights": column.weights}
    for f in dataclasses.fields(Column)[1:]:
        value = getattr(column, f.name)
        if f.name == "filters":
            plain |= {"before": str(value.before), "after": str(value.after)}
        elif value != f.default:
            plain[f.name] = value
    return plain


def read_recipe(path: Path | str) -> Recipe:
    """Read a recipe from its file or the folder it lies in.

    Raises:
        UserError: not there, not JSON, another schema, or a value that makes no sense (named).
    """
    path = Path(path)
    path = path / RECIPE_NAME if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"No recipe at {path}. `abaw-submit select` writes one.")
    data = read_json(path)
    schema = data.pop("schema", None) if isinstance(data, dict) else None
    if schema == "abaw_submit.recipe/1":
        raise UserError(
            f"{path} is a recipe of an older version, which this one cannot apply. Run `select` again."
        )
    if schema != SCHEMA:
        raise UserError(f'{path} is not a recipe of schema "{SCHEMA}".')
    try:
        outputs = get_task(str(data["task"])).columns
        averaged = tuple(_processing(value, outputs, str(path)) for value in data.pop("averaged"))
        steps, members = tuple(data.pop("steps")), tuple(str(m) for m in data.pop("members"))
        recipe = Recipe(averaged=averaged, steps=steps, members=members, **data)
        for name, kind in _PLAIN.items():
            value = getattr(recipe, name)
            if not isinstance(value, kind) or isinstance(value, bool):
                raise TypeError(f"{name} is {value!r:.60}")
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise UserError(f"{path}: malformed recipe: {error}.") from None
    try:
        validate(recipe, str(path))
    except (TypeError, ValueError, AttributeError, KeyError) as error:  # values of the wrong types
        raise UserError(f"{path}: malformed recipe: {error}.") from None
    return recipe


def _processing(value: Mapping[str, Any], outputs: Sequence[str], where: str) -> Processing:
    if tuple(value["columns"]) != tuple(outputs):
        raise UserError(f"{where}: columns {list(value['columns'])}; expected {list(outputs)}.")
    stack = value.get("stack")
    if stack is not None:
        plain: dict[str, Any] = {k: tuple(v) for k, v in stack.items()}
        stack = Stack(**{**plain, "value": tuple(map(tuple, plain["value"]))})
    return Processing(tuple(_column(dict(c)) for c in value["columns"].values()), stack)


def _column(value: dict[str, Any]) -> Column:
    filters = FilterPair(parse_filter(value.pop("before", "none")), parse_filter(value.pop("after", "none")))
    knots = tuple(tuple(float(x) for x in k) for k in value.pop("knots", ()))
    curve = tuple(tuple(float(x) for x in side) for side in value.pop("curve", ()))
    weights = tuple(float(w) for w in value.pop("weights"))
    pool = str(value.pop("pool", ""))
    return Column(weights, filters, knots, pool=pool, curve=curve, **{k: float(v) for k, v in value.items()})
