"""`metrica model list | pull | verify | export`: the networks that find people, and their weights."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console.errors import Refused, plainly
from services.cli.console.options import ModelPlaces

if TYPE_CHECKING:
    from services.cli.model_inventory import Shelved

app = typer.Typer(
    help="List, fetch, verify and convert the models that find people. They lie in the folder that METRICA_MODELS "
    "names, else in the cache (METRICA_CACHE).",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="For programs: one JSON array.")]


class Format(StrEnum):
    """What weights are exported to."""

    ONNX = "onnx"
    OPENVINO = "openvino"


@app.command("list")
def list_models(*, as_json: AsJson = False) -> None:
    """Show all models that can be asked for by name: licence, input, and where each is."""
    from services.cli.model_inventory import shelf  # brings OpenVINO; see main.py

    models = shelf(ModelPlaces.of_environment())
    if as_json:
        print(json.dumps([asdict(model) for model in models], indent=2, default=str))
    else:
        _show(models)


@app.command("pull")
def pull(names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Models of the catalogue.")]) -> None:
    """Download models into the cache: goes on where it broke off, and keeps only what has the published sum."""
    with plainly():
        from services.cli.console.progress import Progress
        from services.detector.models.catalogue import MOTION, catalogue, download
        from services.detector.models.loading import own_weights

        places = ModelPlaces.of_environment()
        if unknown := [name for name in names if name not in (*catalogue(), MOTION)]:
            raise Refused(f"there is no model {unknown[0]!r} to download. The catalogue has {', '.join(catalogue())}")
        with Progress() as progress:
            for name in names:
                if name == MOTION:
                    print(f"{name}: needs no weights")
                    continue
                print(f"{name}: {download(name, catalogue()[name], cache=places.cache, progress=progress.download)}")
                if own := own_weights(name, places.folders):
                    print(f"metrica: {own}, in METRICA_MODELS, is used rather than this one", file=sys.stderr)


@app.command("verify")
def verify(
    name: Annotated[str | None, typer.Argument(help="Only this model.", show_default=False)] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Compare the weights that are here with published or pinned sums; exit code 1 if any differ."""
    from services.cli.model_inventory import State  # brings OpenVINO; see main.py
    from services.cli.model_inventory import verify as verdicts

    places = ModelPlaces.of_environment()
    found = list(verdicts(places, name))
    if name is not None and not found:
        looked = ", ".join(str(place) for place in (*places.folders, places.cache))
        raise Refused(f"no weights of {name} are here (looked in {looked}); `metrica model pull {name}` fetches them")
    if as_json:
        print(json.dumps([asdict(verdict) for verdict in found], indent=2, default=str))
    else:
        for verdict in found:
            print(f"{verdict.state:7}  {verdict.name}: {verdict.said}")
        if not found:
            print("No weights are here yet; `metrica model list` shows what can be had.")
    if any(verdict.state is State.DIFFERS for verdict in found):
        raise typer.Exit(1)


@app.command("export")
def export(
    weights: Annotated[Path, typer.Argument(help="A .pt of Ultralytics.", show_default=False)],
    *,
    to: Annotated[Format, typer.Option(help="What to make of it.")] = Format.OPENVINO,
    size: Annotated[
        int | None,
        typer.Option(min=32, help="Side of the input, pixels. \\[default: as it was trained]", show_default=False),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store 16 bits a weight: half the size.")] = False,
) -> None:
    """Turn weights of Ultralytics into a network that runs without it. Takes the extra `ultralytics`, AGPL-3.0."""
    with plainly():
        from services.detector.backends import ultralytics

        exported = ultralytics.export(weights, to.value, size=size, half=half)
    print(exported)
    print(
        f"metrica: give it as the model's name, as in --detector {exported.resolve()}. "
        "Weights of Ultralytics are AGPL-3.0 in any format.",
        file=sys.stderr,
    )


def _show(models: list[Shelved]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for heading in ("model", "licence", "input", "where"):
        table.add_column(heading, overflow="fold")
    for model in models:
        size = f"{model.input[0]}×{model.input[1]}" if model.input else "—"
        table.add_row(model.name, model.licence or "its owner's", size, _where(model))
    Console(highlight=False, markup=False).print(table)


def _where(model: Shelved) -> str:
    from services.cli.model_inventory import Place

    if model.problem:
        return model.problem
    match model.place:
        case Place.MODELS:
            return "in METRICA_MODELS"
        case Place.CACHE:
            return "in the cache"
        case Place.DOWNLOAD:
            return f"to be downloaded, {model.missing_bytes / 1e6:.1f} MB"
        case Place.BUILT_IN:
            return "built in"
