"""`rigsa <step>`: the command line. Thin: each step calls one function of the package."""

import argparse
import logging
import sys
from collections.abc import Sequence

from rigsa.collector import end_uncollected
from rigsa.errors import RigsaError
from rigsa.evaluation.harness import go_offline
from rigsa.heap import keep_freed_memory
from rigsa.quiet import quiet
from rigsa.resume.interrupt import Stopped, listen
from rigsa.steps import STEPS
from rigsa.trouble import sentence

DESCRIPTION = """\
Which adapter learns a task and forgets least? RIGSA and its neighbours as one study.

A study runs by Snakemake (`snakemake --cores all --resources gpu=1`), which calls one step below
for every file it needs:

  task-data ──┬─► train (step 0) ─► select-mask ─► train (step 1) ─► ...   a chain per arm and seed
  base-model ─┘      └──────────────► evaluate ◄──────┘                    per checkpoint and task
                                         └─► collect ─► table, figure, report

A step reads and writes only the files it is given. What it shall do is its SPEC: the slice of the
study that concerns it, as JSON text or a file that holds it; `rigsa spec` prints any of them:

  rigsa train "$(rigsa spec train --study embedded --arm rigsa)" --base-model ... --output ...
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one step. Returns the exit code: 1 after an error that a user can mend."""
    step = "rigsa"
    try:
        listen()
        options = _parser().parse_args(arguments)
        options.command = sys.argv[1:] if arguments is None else list(arguments)
        step = f"rigsa {options.step}"
        logging.basicConfig(
            level=logging.INFO,
            format="%(asctime)s %(message)s",
            datefmt="%H:%M:%S",
            stream=sys.stderr,
        )
        quiet()
        end_uncollected()
        keep_freed_memory()
        if not options.online:
            go_offline()
        options.run(options)
    except RigsaError as error:
        return _ended(f"{step}: {error}", 1)
    except Stopped as stop:
        where = f" {stop.where}, from where the same command goes on" if stop.where else ""
        return _ended(f"{step}: stopped by {stop.signal.name}{where}.", 128 + stop.signal)
    except Exception as error:
        said = sentence(error)
        if said is None:
            raise
        return _ended(f"{step}: {said}", 1)
    return 0


def _ended(said: str, code: int) -> int:
    print(said, file=sys.stderr)
    return code


def _formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=30, width=100)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rigsa", description=DESCRIPTION, formatter_class=_formatter
    )
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    for step in STEPS:
        sub = steps.add_parser(
            step.name,
            help=step.help,
            description=f"{step.help}\n\n{step.description}",
            formatter_class=_formatter,
        )
        for argument in step.arguments:
            sub.add_argument(*argument.names, **argument.options)
        sub.set_defaults(run=step.run, online=step.online)
    return parser


if __name__ == "__main__":
    sys.exit(main())
