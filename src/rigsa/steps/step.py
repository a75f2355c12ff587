"""What a step of the command line is, and the arguments that steps share."""

import json
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rigsa.errors import ConfigError, FileError
from rigsa.machine import Machine


@dataclass(frozen=True)
class Argument:
    """What argparse's add_argument takes."""

    names: tuple[str, ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class Step:
    """A subcommand. Its `run` imports what it needs, so that it waits for nothing else."""

    name: str
    help: str
    description: str
    arguments: tuple[Argument, ...]
    run: Callable[[Namespace], None] = field(compare=False)
    # All other steps run with the hub switched off.
    online: bool = False


def argument(*names: str, **options: Any) -> Argument:
    return Argument(names, options)


def output(help: str) -> Argument:
    return argument("--output", type=Path, required=True, metavar="PATH", help=help)


def read_spec(text: str) -> dict[str, Any]:
    """A spec from JSON text or from the file that holds it."""
    try:
        return json.loads(text if text.lstrip().startswith("{") else Path(text).read_text())
    except OSError:
        raise FileError(f"SPEC names the file {text!r}, which cannot be read.") from None
    except ValueError as error:
        raise ConfigError(f"SPEC is not valid JSON: {error}.") from None


def machine_of(options: Namespace) -> Machine:
    """The machine settings that the step's flags and its spec give."""
    flags = ("device", "threads", "micro_batch_size", "eval_batch_size")
    given = {name: getattr(options, name) for name in flags if hasattr(options, name)}
    spec = read_spec(options.spec)
    return Machine(**given, precision=spec.get("precision", Machine.precision))


SPEC = argument("spec", metavar="SPEC", help="JSON text or a file with it; see `rigsa spec`")
BASE_MODEL = argument(
    "--base-model", type=Path, required=True, metavar="DIR", help="Hugging Face model folder"
)
TASK_DATA = argument(
    "--task-data",
    type=Path,
    required=True,
    metavar="DIR",
    help="folder with train.jsonl, validation.jsonl and test.jsonl",
)
DEVICE = argument("--device", default="cpu", choices=["cpu", "cuda"], help="default: cpu")
THREADS = argument("--threads", type=int, default=1, metavar="N", help="CPU threads; default: 1")
EVAL_BATCH_SIZE = argument(
    "--eval-batch-size",
    type=int,
    default=16,
    metavar="N",
    help="items in one forward pass without gradients; default: 16",
)
PRECISION = argument(
    "--precision", default="float32", choices=["float32", "bfloat16"], help="default: float32"
)
MACHINE = (DEVICE, THREADS, EVAL_BATCH_SIZE)
