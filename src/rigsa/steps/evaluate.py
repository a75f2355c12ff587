"""Steps that ask a checkpoint, or hand it on."""

from argparse import Namespace
from pathlib import Path

from rigsa.collector import importing
from rigsa.machine import Machine
from rigsa.steps.step import (
    BASE_MODEL,
    DEVICE,
    MACHINE,
    PRECISION,
    SPEC,
    TASK_DATA,
    UNFINISHED,
    Step,
    argument,
    known,
    machine_of,
    output,
    read_spec,
    take_cards_of,
)


def _evaluate(options: Namespace) -> None:
    with importing():
        from rigsa import inputs
        from rigsa.known import take_evaluation
        from rigsa.provenance import recorded

    spec, machine = read_spec(options.spec), machine_of(options)
    given = {
        "base_model": inputs.model(options.base_model),
        "task_data": inputs.data(options.task_data),
    }
    if options.adapter is not None:
        given["adapter"] = inputs.adapter(options.adapter)
    made = [options.output, options.output.with_suffix(".samples.parquet")]
    with recorded("evaluate", spec, made, given, device=machine.device, threads=machine.threads):
        if not take_evaluation(options.known, spec, given, options.output):
            # What is taken need not wait for this.
            with importing():
                from rigsa.evaluation.job import evaluate_checkpoint

            evaluate_checkpoint(
                spec,
                options.base_model,
                options.task_data,
                options.adapter,
                options.output,
                machine,
                options.cache,
                options.unfinished,
            )


def _chat(options: Namespace) -> None:
    with importing():
        from rigsa.evaluation.sample import chat_with, trained_on

    base_model = options.base_model or trained_on(options.checkpoint)
    take_cards_of(options)
    machine = Machine(device=options.device, precision=options.precision)
    chat_with(options.checkpoint, base_model, options.task_data, machine)


def _sample_chat(options: Namespace) -> None:
    with importing():
        from rigsa import inputs
        from rigsa.evaluation.sample import write_sample_chat
        from rigsa.paths import CheckpointPaths
        from rigsa.provenance import recorded

    spec, machine = read_spec(options.spec), machine_of(options)
    given = {
        "base_model": inputs.model(options.base_model),
        "adapter": inputs.adapter(CheckpointPaths(options.checkpoint).adapter),
        "task_data": inputs.data(options.task_data),
    } | {folder.name: inputs.data(folder) for folder in options.source_data}
    with recorded("sample_chat", spec, [options.output], given, device=machine.device):
        write_sample_chat(
            options.checkpoint,
            options.base_model,
            options.task_data,
            options.source_data,
            options.output,
            machine,
        )


def _merge(options: Namespace) -> None:
    from rigsa.models.merging import merge

    merge(options.checkpoint, options.base_model, options.output)


def _shrink(options: Namespace) -> None:
    from rigsa.models.shrinking import shrink

    found = shrink(options.checkpoint, options.base_model, options.output)
    share = 1 - found.after / found.before
    print(f"{found.after:,} of {found.before:,} parameters are left ({100 * share:.1f} % fewer).")


CHECKPOINT = argument(
    "--checkpoint",
    type=Path,
    required=True,
    metavar="DIR",
    help="folder with adapter/ and training.json, such as results/embedded/arms/rigsa/seed0/step4",
)
STEPS = (
    Step(
        "evaluate",
        "Ask a checkpoint one benchmark.",
        "Runs lm-eval in process on the base model with the adapter, and writes the score with\n"
        "its standard error as JSON and every sample's answer as parquet beside it.",
        (
            SPEC,
            BASE_MODEL,
            TASK_DATA,
            argument("--adapter", type=Path, metavar="DIR", help="the base itself if absent"),
            output("eval/<benchmark>.json to write"),
            argument(
                "--cache",
                type=Path,
                metavar="DIR",
                help="where --eval-batch-size auto notes what it found; not noted if absent",
            ),
            known("eval/<benchmark>.json of other checkpoints"),
            UNFINISHED,
            *MACHINE,
        ),
        _evaluate,
    ),
    Step(
        "chat",
        "Chat with an adapted model in the terminal.",
        "Multi-turn; /digit N shows it a test image and lets it say which digit that is.",
        (
            CHECKPOINT,
            argument(
                "--base-model",
                type=Path,
                metavar="DIR",
                help="default: the folder that the adapter was trained on",
            ),
            argument(
                "--task-data",
                type=Path,
                default=Path("results/tasks/textual_digits"),
                metavar="DIR",
                help="the target task's data; default: results/tasks/textual_digits",
            ),
            DEVICE,
            PRECISION,
        ),
        _chat,
    ),
    Step(
        "sample-chat",
        "Record the chat that figure 6 shows.",
        "Asks the first test question of each source task, then shows the first test image.",
        (
            SPEC,
            CHECKPOINT,
            BASE_MODEL,
            TASK_DATA,
            argument(
                "--source-data",
                type=Path,
                nargs="+",
                required=True,
                metavar="DIR",
                help="folders of the source tasks",
            ),
            output("chat.json to write"),
            DEVICE,
        ),
        _sample_chat,
    ),
    Step(
        "merge",
        "Write a checkpoint as a plain Hugging Face model folder.",
        "Adds the adapter to the base model's weights and writes them with the tokenizer, for\n"
        "tools that know nothing of adapters (lm_eval, vLLM, llama.cpp). The precision is that of\n"
        "the training. A checkpoint on a 4-bit base is refused: rounding would lose its adapter.",
        (CHECKPOINT, BASE_MODEL, output("model folder to write")),
        _merge,
    ),
    Step(
        "shrink",
        "Write a checkpoint as a Llama without the channels that its gates have closed.",
        "Folds the adapter into the base model's weights and takes out what can give nothing:\n"
        "feed-forward channels, value channels, rotary pairs of queries and keys, closed rows and\n"
        "columns at the residual stream. Prints the parameters before and after. The folder is\n"
        "read by rigsa.models.shrunk.load; its logits are those of the merged model.",
        (CHECKPOINT, BASE_MODEL, output("model folder to write")),
        _shrink,
    ),
)
