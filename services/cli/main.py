"""The `metrica` command: its verbs, and the report of errors that the caller can fix."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from services.cli.console.errors import CommandError
from services.cli.console.output import written_out
from services.cli.console.signals import Terminated

VERBS = {
    "count": "Count the people in SOURCE by crossings of one or more lines.",
    "eval": "Count the clips that FOLDER/truth.json describes, and compare the crossings with the truth.",
    "doctor": "Examine a minute of SOURCE: report the reasons why people are not counted, and propose a line that "
    "counts them.",
    "promote": "Show a run's counts in place of the live ones for a line and a period, at once and in all reports.",
    "purge": "Remove data that is older than its organization's retention, as Metrica does by itself every hour.",
    "record": "Write a camera's frames, detections and specs into a file, which any Metrica can replay.",
    "recount": "Count the people of the last weeks over another line, and compare with the live counts by hour.",
    "replay": "Play stored data of a period through the services once more. The live counts do not change.",
    "seed": "Write invented history into the database: an organization of its own, marked as a demonstration.",
    "tail": "Show messages until Ctrl-C: their subject and content; of a frame, its headers.",
    "camera": "Set, list and remove the cameras of a running Metrica.",
    "dlq": "List the dead letters of the services, and retry or delete them.",
    "export": "Write a store's history as CSV.",
    "model": "List, fetch, verify and convert detection models. They are in the folder METRICA_MODELS, else in the "
    "cache (METRICA_CACHE).",
    "runs": "List the runs other than the live one, compare and delete them.",
    "user": "Invite people to a running Metrica, and let them choose passwords.",
}
"""The verbs, and the first line of each one's help."""


def load(verb: str) -> Any:  # noqa: ANN401  # typer's own click has no types to name
    """Import a verb's module, and make the command of its `app`, or of its function."""
    name = {"eval": "evaluate"}.get(verb, verb)
    module, group = import_module(f"services.cli.commands.{name}"), typer.Typer()
    if hasattr(module, "app"):
        group.add_typer(module.app, name=verb)
    else:
        group.command(verb)(getattr(module, name))
    return typer.main.get_group(group).commands[verb]


class Verbs(TyperGroup):
    """Imports the module of the verb that is called, and none for the list of all verbs."""

    def resolve_command(
        self,
        ctx: Any,  # noqa: ANN401  # as above
        args: list[str],
    ) -> tuple[str | None, Any, list[str]]:
        """Find the verb that is called."""
        name, known, rest = super().resolve_command(ctx, args)
        return name, known and load(str(name)), rest


app = typer.Typer(
    name="metrica",
    cls=Verbs,
    help="People counting for shops, from ordinary cameras.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _verb, _help in VERBS.items():
    app.command(_verb, help=_help)(lambda: None)  # in the list alone: `Verbs` loads the verb itself


@app.callback()
def _metrica() -> None:
    """People counting for shops, from ordinary cameras."""


def main() -> None:
    """Run the command. A `CommandError` becomes one line on stderr and exit code 2."""
    try:
        with written_out():
            app()
    except CommandError as refused:
        _end(2, str(refused))
    except KeyboardInterrupt:
        _end(130, "interrupted")
    except Terminated:
        _end(143, "terminated")


def _end(code: int, words: str) -> NoReturn:
    with suppress(OSError):  # stderr may be closed
        print(f"metrica: {words}", file=sys.stderr, flush=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
