"""`metrica model list | pull | verify | export`: detection models and their weights."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console.errors import CommandError, plainly
from services.cli.console.options import ModelPlaces

if TYPE_CHECKING:
    from services.cli.model_inventory import ModelEntry

app = typer.Typer(
    help="List, fetch, verify and convert detection models. They are in the folder METRICA_MODELS, else in the cache "
    "(METRICA_CACHE).",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="For programs: one JSON array.")]


class Format(StrEnum):
    """Format of exported weights."""

    ONNX = "onnx"
    OPENVINO = "openvino"


@app.command("list")
def list_models(*, as_json: AsJson = False) -> None:
    """Show all models that are available by name, with licence, input size and location."""
    from services.cli.model_inventory import inventory  # brings OpenVINO; see main.py

    models = inventory(ModelPlaces.of_environment())
    if as_json:
        print(json.dumps([asdict(model) for model in models], indent=2, default=str))
    else:
        _show(models)


@app.command("pull")
def pull(names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Models of the catalogue.")]) -> None:
    """Download models into the cache. Resumes interrupted downloads; keeps only files with the published checksum."""
    with plainly():
        from services.cli.console.progress import ProgressBars
        from services.detector.models.catalogue import MOTION, catalogue, download
        from services.detector.models.loading import own_weights

        places = ModelPlaces.of_environment()
        if unknown := [name for name in names if name not in (*catalogue(), MOTION)]:
            raise CommandError(
                f"there is no model {unknown[0]!r} to download. The catalogue has {', '.join(catalogue())}"
            )
        with ProgressBars() as progress:
            for name in names:
                if name == MOTION:
                    print(f"{name}: needs no weights")
                    continue
                print(f"{name}: {download(name, catalogue()[name], cache=places.cache, progress=progress.download)}")
                if own := own_weights(name, places.folders):
                    print(f"metrica: {own}, in METRICA_MODELS, is used rather than this one", file=sys.stderr)


@app.command("verify")
def verify(
    name: Annotated[str | None, typer.Argument(help="Limit to this model.", show_default=False)] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Compare the present weights with published or pinned checksums; exit code 1 if any differ."""
    from services.cli.model_inventory import ChecksumState  # brings OpenVINO; see main.py
    from services.cli.model_inventory import verify as verdicts

    places = ModelPlaces.of_environment()
    checked = list(verdicts(places, name))
    if name is not None and not checked:
        searched = ", ".join(str(place) for place in (*places.folders, places.cache))
        raise CommandError(
            f"no weights of {name} are here (looked in {searched}); `metrica model pull {name}` fetches them"
        )
    if as_json:
        print(json.dumps([asdict(verdict) for verdict in checked], indent=2, default=str))
    else:
        for verdict in checked:
            print(f"{verdict.state:7}  {verdict.name}: {verdict.said}")
        if not checked:
            print("No weights are here yet; `metrica model list` shows the available models.")
    if any(verdict.state is ChecksumState.DIFFERS for verdict in checked):
        raise typer.Exit(1)


@app.command("export")
def export(
    weights: Annotated[Path, typer.Argument(help="A .pt file of Ultralytics.", show_default=False)],
    *,
    to: Annotated[Format, typer.Option(help="Format to export to.")] = Format.OPENVINO,
    size: Annotated[
        int | None,
        typer.Option(min=32, help="Side of the input, pixels. \\[default: as it was trained]", show_default=False),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store 16 bits a weight: half the size.")] = False,
) -> None:
    """Convert weights of Ultralytics to a network that runs without it. Needs the extra `ultralytics` (AGPL-3.0)."""
    with plainly():
        from services.detector.backends import ultralytics

        exported = ultralytics.export(weights, to.value, size=size, half=half)
    print(exported)
    print(
        f"metrica: use it as the model's name, as in --detector {exported.resolve()}. "
        "Weights of Ultralytics are AGPL-3.0 in any format.",
        file=sys.stderr,
    )


def _show(models: list[ModelEntry]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for heading in ("model", "licence", "input", "where"):
        table.add_column(heading, overflow="fold")
    for model in models:
        size = f"{model.input[0]}×{model.input[1]}" if model.input else "—"
        table.add_row(model.name, model.licence or "its owner's", size, _where(model))
    Console(highlight=False, markup=False).print(table)


def _where(model: ModelEntry) -> str:
    from services.cli.model_inventory import ModelLocation

    if model.problem:
        return model.problem
    match model.place:
        case ModelLocation.MODELS:
            return "in METRICA_MODELS"
        case ModelLocation.CACHE:
            return "in the cache"
        case ModelLocation.DOWNLOAD:
            return f"to be downloaded, {model.missing_bytes / 1e6:.1f} MB"
        case ModelLocation.BUILT_IN:
            return "built in"
