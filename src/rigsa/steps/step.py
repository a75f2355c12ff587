"""What a step of the command line is, and the arguments that steps share."""

from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from rigsa.machine import Machine
from rigsa.steps.spec import read_spec
from rigsa.training.ranks import follows

AUTO = "auto"


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


def known(what: str) -> Argument:
    """Results that may be the step's own, made already under other names."""
    return argument(
        "--known",
        type=Path,
        nargs="+",
        default=(),
        metavar="PATH",
        help=f"{what};\nif one of them is what this would come to, it is taken",
    )


def machine_of(options: Namespace, cards: int = 1) -> Machine:
    """The machine settings that the step's flags and its spec give; takes its cards, if it has any.

    Call it before anything starts CUDA, which looks for its cards once.
    """
    take_cards_of(options, cards)
    flags = {setting.name for setting in fields(Machine)} - {"precision"}
    given = {name: getattr(options, name) for name in flags if hasattr(options, name)}
    if given.get("eval_batch_size") == AUTO:
        # A training has room for at least as many items without gradients as with them.
        given["eval_batch_size"] = given.get("micro_batch_size", Machine.eval_batch_size)
        given["find_eval_batch_size"] = True
    spec = read_spec(options.spec)
    return Machine(**given, precision=spec.get("precision", Machine.precision))


def take_cards_of(options: Namespace, count: int = 1) -> None:
    """Leases as many cards as a job on a GPU needs; its ranks have those of the job."""
    if getattr(options, "device", "cpu") == "cuda" and not follows():
        from rigsa.leases import take_cards

        work = f"rigsa {options.step} {getattr(options, 'output', '')}".rstrip()
        take_cards(count, work)


def _number_or_auto(text: str) -> int | str:
    if text == AUTO:
        return text
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is neither a number from 1 on nor {AUTO}")
    return int(text)


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
UNFINISHED = argument(
    "--unfinished",
    type=Path,
    metavar="DIR",
    help="where what is done so far is kept, to go on from after a stop; not kept if absent",
)
DEVICE = argument("--device", default="cpu", choices=["cpu", "cuda"], help="default: cpu")
THREADS = argument("--threads", type=int, default=1, metavar="N", help="CPU threads; default: 1")
EVAL_BATCH_SIZE = argument(
    "--eval-batch-size",
    type=_number_or_auto,
    default=16,
    metavar="N",
    help="items in one forward pass without gradients, or auto: as many as fit; default: 16",
)
ATTENTION = argument(
    "--attention",
    default="auto",
    choices=["auto", "sdpa", "eager", "flash_attention_2"],
    help="how attention is computed; default: auto, which is sdpa",
)
PRECISION = argument(
    "--precision", default="float32", choices=["float32", "bfloat16"], help="default: float32"
)
TRAINING_MACHINE = (
    argument(
        "--micro-batch-size",
        type=int,
        default=16,
        metavar="N",
        help="images in one pass; a batch is split into passes; default: 16",
    ),
    argument(
        "--activation-checkpointing",
        default="auto",
        choices=["auto", "none", "full"],
        help="compute activations again in backward; default: auto, which is full on cuda",
    ),
    argument(
        "--shard-base-model",
        action="store_true",
        help="of several cards, let each hold a part of the frozen base model",
    ),
    argument("--compile", action="store_true", help="compile the model with torch.compile"),
    argument(
        "--dataloader-workers",
        type=int,
        default=0,
        metavar="N",
        help="processes that put batches together; default: 0, the training itself",
    ),
)
CHECKPOINTS = (
    argument(
        "--checkpoint-steps",
        type=int,
        default=200,
        metavar="N",
        help="steps after which the state of a training is kept; default: 200",
    ),
    argument(
        "--checkpoint-minutes",
        type=float,
        default=10,
        metavar="M",
        help="minutes after which it is kept, if those are over first; default: 10",
    ),
    UNFINISHED,
)
MACHINE = (DEVICE, THREADS, ATTENTION, EVAL_BATCH_SIZE)
