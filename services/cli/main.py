"""The `metrica` command: its verbs, and the report of errors that the caller can fix."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import NoReturn

import typer

from services.cli.commands import (
    camera,
    count,
    dlq,
    doctor,
    evaluate,
    export,
    model,
    promote,
    purge,
    record,
    recount,
    replay,
    runs,
    seed,
    tail,
    user,
)
from services.cli.console.errors import CommandError
from services.cli.console.output import written_out
from services.cli.console.signals import Terminated

app = typer.Typer(
    name="metrica",
    help="People counting for shops, from ordinary cameras.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# A verb's module imports heavy packages inside its functions, so that `metrica --help` stays quick. A group of verbs is
# added by `app.add_typer(module.app, name="…")`.
app.command("count")(count.count)
app.command("eval")(evaluate.evaluate)
app.command("doctor")(doctor.doctor)
app.command("promote")(promote.promote)
app.command("purge")(purge.purge)
app.command("record")(record.record)
app.command("recount")(recount.recount)
app.command("replay")(replay.replay)
app.command("seed")(seed.seed)
app.command("tail")(tail.tail)
app.add_typer(camera.app, name="camera")
app.add_typer(dlq.app, name="dlq")
app.add_typer(export.app, name="export")
app.add_typer(model.app, name="model")
app.add_typer(runs.app, name="runs")
app.add_typer(user.app, name="user")


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
