"""The command line: one verb per stage, imported only when it is called."""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from steerability import __version__
from steerability.support.console import append_log, guarded_output, note, use_log
from steerability.support.errors import UserError, in_words
from steerability.support.image import made_in
from steerability.support.lifeline import end_with_the_run
from steerability.support.text import for_line

# typer carries its own click; this is the base of all its usage errors
UsageError: Any = typer.BadParameter.__mro__[1]

# what typer makes of a KeyboardInterrupt
_INTERRUPTED = 130

# verb -> one line for --help, in the order of the flow; verbs/VERB.py holds the function VERB
VERBS: dict[str, str] = {
    "fetch": "Fetch and check outside files.",
    "lock": "Pin weights as the hub has them.",
    "suite": "Check a suite of scenarios.",
    "croissant": "Describe a suite for other tools.",
    "interventions": "Read the intervention texts of a run.",
    "plan": "Plan one request per cell, or count them.",
    "needs": "Compute what a config needs of a machine.",
    "transcribe": "Read published logs.",
    "suffix": "Recover a published suffix.",
    "direction": "Learn a direction from contrast pairs.",
    "erase": "Write a LoRA that erases a direction.",
    "controls": "Write random directions as long as a learnt one.",
    "generate": "Generate completions.",
    "query": "Ask an endpoint for completions.",
    "assemble": "Join outputs to their cells.",
    "judge": "Label completions.",
    "label": "Draw answers for a person to label, on a page of their own.",
    "label-agreement": "Say how far two raters agree.",
    "distil": "Train the distilled judge on another judge's labels.",
    "cues": "List words that tell labels apart, on the development half.",
    "agreement": "Measure judges against reference labels.",
    "flips": "Count outputs and labels that change between two engines.",
    "score": "Write the tidy table cells.csv.",
    "estimate": "Compute rates, contrasts and shifts.",
    "table": "Write Table 1.",
    "statistics": "Test what the config declares.",
    "compare-published": "Compare Table 1 with the published one.",
    "compare": "Compare two runs.",
    "gate": "Hold a run against limits.",
    "figures": "Draw the figures.",
    "page": "Write the page of a run.",
    "publish": "Write the manifest of a run.",
    "verify": "Check a run against its manifest.",
    "export": "Write a run for other tools.",
    "config": "Check a config, or print its schema.",
}


class LazyGroup(TyperGroup):
    """A group whose commands are imported when they are looked up."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the verbs in the order of the flow."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a verb's room and return its command."""
        if cmd_name not in VERBS:
            return None
        name = cmd_name.replace("-", "_")
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(name=cmd_name)(
            getattr(importlib.import_module(f"steerability.verbs.{name}"), name)
        )
        return typer.main.get_command(single)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the verbs with their lines without importing their rooms."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


app = typer.Typer(cls=LazyGroup, add_completion=False, rich_markup_mode=None)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"steerability {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
    log: Annotated[
        Path | None, typer.Option(help="Write what the verb says to this file too.")
    ] = None,
) -> None:
    """Measure how far a short prompt intervention steers a language model.

    Exit status: 0 done; 2 the input is wrong (one line says what, where and how to mend it);
    1 anything else.
    """
    use_log(log)
    append_log(made_in())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Args:
        arguments: the words after the program's name; None takes them from ``sys.argv``.
    """
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    command: Any = typer.main.get_command(app)
    try:
        status = command.main(words, prog_name="steerability", standalone_mode=False)
        if status == _INTERRUPTED:
            raise KeyboardInterrupt
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except UserError as error:
        note(f"steerability: {error}")
        return 2
    except UsageError as error:
        path = error.ctx.command_path if error.ctx else "steerability"
        message = " ".join(error.format_message().split())
        note(for_line(f"{path}: {message} See '{path} --help'."))
        return 2
    except (typer.Abort, KeyboardInterrupt):
        note("steerability: interrupted; finished cells are in the store")
        return 1
    except BrokenPipeError:
        _drop_output()
        return 1
    except OSError as error:
        note(f"steerability: {in_words(error)}")
        _drop_output()
        return 1
    except UnicodeEncodeError as error:
        note(f"steerability: a text holds what is no character: {error.object[error.start]!a}")
        return 2
    except MemoryError:
        note("steerability: not enough memory")
        return 1
    except Exception:
        note(traceback.format_exc().rstrip())
        note("steerability: this is a fault of the program, not of the input")
        return 1


def _drop_output() -> None:
    """See that the interpreter's own last flush of an output that takes no more says nothing."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Run the command line and exit; end with the workflow that started it, if one did."""
    guarded_output()
    end_with_the_run()
    sys.exit(run())
