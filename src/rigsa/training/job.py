"""The training job: one checkpoint from a base model, the task's data and perhaps a mask."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import PrinterCallback

from rigsa.adapters.build import build_adapter, linear_shapes
from rigsa.batches import cards, pass_size, share_in_steps
from rigsa.errors import RigsaError
from rigsa.files import whole_folder, write_json, write_jsonl
from rigsa.hashing import file_hash
from rigsa.machine import Machine
from rigsa.masks.storage import load_mask
from rigsa.masks.values import TrainedValues, saved_values
from rigsa.models.identity import identity
from rigsa.models.loading import load_base, load_tokenizer
from rigsa.paths import ADAPTER_FILES, CheckpointPaths
from rigsa.resume.interrupt import Stopped, finishing_first
from rigsa.resume.keeper import Keeper, Often, kept_state
from rigsa.resume.state import changing, optimizer_bytes
from rigsa.resume.unfinished import made_from, unfinished
from rigsa.tensors import add_checksum, write_tensors
from rigsa.training.callbacks import Kept
from rigsa.training.data import Collator, Row
from rigsa.training.log import Progress, TrainingLog, layer_statistics, peak_memory, troubles
from rigsa.training.out_of_memory import out_of_memory
from rigsa.training.probe import Probe
from rigsa.training.ranks import follows, started
from rigsa.training.rows import SPLITS, TrainingRows
from rigsa.training.sharding import shard_base
from rigsa.training.together import check_alike, decided_by_rank_0, joined
from rigsa.training.trainer import AnswerTrainer, NotFinite, training_arguments
from rigsa.training.watchers import watchers
from rigsa.versions import versions

logger = logging.getLogger(__name__)

# Enough held-out items to steer by, few enough to cost nothing beside the training.
PROBE_ITEMS = 100


def train(
    spec: Mapping[str, Any],
    base_model: Path,
    task_data: Path,
    mask_file: Path | None,
    checkpoint: CheckpointPaths,
    machine: Machine,
    unfinished_folder: Path | None = None,
    command: Sequence[str] = (),
    held: Sequence[int] = (),
    replay_data: Sequence[Path] = (),
    rewind: Path | None = None,
) -> None:
    """Trains one checkpoint and writes its adapter, training.jsonl and training.json.

    The state is kept in `unfinished_folder` while it trains; a training that ended early goes on
    from there and ends in the same adapter, byte for byte, as one that did not.

    Of a training on several cards each does the same, and rank 0 alone writes. `command` has the
    arguments of `rigsa` that start the others, `held` the open files that hold the cards.
    `replay_data` has the folders of the tasks in `spec["replayed"]`, in their order. Where the spec
    says "rewind", a training that is given no values to `rewind` to leaves its own of that step
    behind; one that is given them goes on from there, with a fresh optimizer.
    """
    gpus = cards(spec["training"])
    torch.set_num_threads(max(1, machine.threads // gpus))
    with ExitStack() as stack:
        folder, name = unfinished_folder, "/".join(checkpoint.folder.parts[-3:])
        if folder is not None and not follows():
            definition = _definition(spec, base_model, task_data, replay_data, mask_file, rewind)
            outputs = [checkpoint.adapter, checkpoint.training_log, checkpoint.training]
            folder, done = stack.enter_context(unfinished(folder, definition, outputs))
            if done:
                return
        stored = stack.enter_context(kept_state(folder))
        # Not before: now nobody else works on it, and what there is to go on from is known.
        ranks = stack.enter_context(started(name, gpus, machine.threads, command, held))
        stack.enter_context(joined(ranks, machine.device, machine.precision))
        progress = Progress(**stored.said["progress"]) if stored else Progress()
        beside = stored.beside if stored else {}
        tokenizer = load_tokenizer(base_model)
        sharded = machine.shard_base_model and ranks.size > 1 and spec["quantization"] is None
        place = replace(machine, device="cpu") if sharded else machine
        model = load_base(base_model, place, spec["quantization"])
        rewound = stack.enter_context(saved_values(rewind)) if rewind else None
        shapes = linear_shapes(model)
        sizes, adapted = _adapted(spec, model, shapes, mask_file, rewound)
        if sharded:
            shard_base(adapted, ranks, machine.device)
        rows = TrainingRows(spec, task_data, replay_data, tokenizer)
        turn = share_in_steps("rewind", spec["rewind"], rows.steps) if "rewind" in spec else 0
        first = turn if rewound else 0
        collate = Collator(tokenizer.pad_token_id)
        probe = Probe(adapted, _passes(rows.held_out[:PROBE_ITEMS], collate, machine))
        log = TrainingLog(
            name,
            progress,
            probe,
            tokens_per_step=rows.tokens_per_step,
            epochs_per_step=rows.epochs_per_step,
            every=-(-rows.steps // spec["training"]["logs"]),
            first=first,
        )
        watched = (spec, adapted, shapes, rows.steps, progress, beside, machine.threads)
        watching = [] if rewound else watchers(*watched)
        often = Often(machine.checkpoint_steps, machine.checkpoint_minutes)
        asked = decided_by_rank_0(ranks, stack.enter_context(finishing_first()), machine.device)
        kept_in = None if follows() else folder
        said = partial(asdict, progress)
        keeper = Keeper(kept_in, stored, often, asked, said, lambda: beside, first)
        if stored:
            logger.info("%s: going on after step %d of %d", name, keeper.step, rows.steps)
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        trainer = AnswerTrainer(
            model=adapted,
            args=training_arguments(spec["training"], machine, spec["seed"], rows.steps, scratch),
            train_dataset=rows.batches(keeper.step),
            collate=collate,
            micro_batch_size=pass_size(spec["training"], machine.micro_batch_size),
            callbacks=[*watching, log, Kept(keeper)],
            decay_gate=spec["training"].get("decay_gate", True),
            losses=progress.losses,
            ranks=ranks,
            sharded=sharded,
        )
        trainer.remove_callback(PrinterCallback)  # The log says the same, and when it will end.
        _run(trainer, keeper, name, machine)
        check_alike(ranks, changing(adapted))
        # All ranks: a sharded model takes them all.
        reached = layer_statistics(adapted) | probe()
        if follows():
            return
        for trouble in troubles(adapted):
            logger.warning("%s: %s.", name, trouble)
        _save_adapter(adapted, checkpoint)
        if turn and not rewound:
            write_tensors(checkpoint.rewind, beside)
        write_jsonl(checkpoint.training_log, progress.rows)
        steps = keeper.step - first
        totals = {
            "steps": steps,
            **({"rewind_step": turn} if turn else {}),
            **({"early_bird": progress.checks} if "early_bird" in spec else {}),
            "items_seen": steps * rows.own,
            "learning_rate": spec["training"]["learning_rate"],
            "seconds": round(keeper.seconds, 2),
            "step_seconds": round(progress.step_seconds, 2),
            **sizes,
            **{key: value for key, value in reached.items() if key != "layers"},
            "loss": progress.rows[-1]["loss"],
            "tokens_per_second": progress.rows[-1]["tokens_per_second"],
            "peak_memory_bytes": peak_memory(),
            "optimizer_state_bytes": optimizer_bytes(trainer.optimizer),
            "spec": spec,
            "versions": versions(),
        }
        write_json(checkpoint.training, totals)


def _definition(
    spec: Mapping[str, Any],
    base_model: Path,
    task_data: Path,
    replay_data: Sequence[Path],
    mask_file: Path | None,
    rewind: Path | None,
) -> Mapping[str, Any]:
    """What a training is made from, by what its files hold."""
    data = [task_data / f"{split}.jsonl" for split in SPLITS]
    data += [source / "train.jsonl" for source in replay_data]
    return made_from(
        spec,
        base_model=identity(base_model),
        data=[file_hash(file) for file in data],
        mask=mask_file and file_hash(mask_file),
        rewind=rewind and file_hash(rewind),
    )


def _adapted(
    spec: Mapping[str, Any],
    model: torch.nn.Module,
    shapes: Mapping[str, torch.Size],
    mask_file: Path | None,
    rewound: TrainedValues | None,
) -> tuple[dict[str, int], PeftModel]:
    """How many parameters there are, and the model with a fresh adapter."""
    sizes = {
        "total_parameters": model.num_parameters(),
        "adapted_parameters": sum(shape.numel() for shape in shapes.values()),
    }
    mask = None
    if mask_file is not None:
        mask = load_mask(mask_file)
        mask.check_fits(shapes, mask_file)
    adapted = build_adapter(model, spec["adapter"], spec["seed"], mask, rewound)
    trainable = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    return {"trainable_parameters": trainable, **sizes}, adapted


def _run(trainer: AnswerTrainer, keeper: Keeper, name: str, machine: Machine) -> None:
    """Trains; where a step fails, what was reached before it is kept."""
    try:
        trainer.train()
        return
    except Stopped:
        if follows():
            raise SystemExit from None
        raise
    except torch.OutOfMemoryError:
        # Kept outside this block: the error holds the tensors of the failed step.
        trouble = out_of_memory(machine)
    except NotFinite as error:
        trouble = f"{error}; lower the arm's learning_rate in the study, or raise its warm-up"
    except RuntimeError:
        lost = trainer.ranks.lost()
        if lost is None:
            raise
        trouble = f"{lost}; run the same command again"
    if follows() and trainer.agreed:
        raise SystemExit  # Rank 0 has met the same and says it.
    keeper.save()
    kept = keeper.kept()
    raise RigsaError(f"{name}: {trouble}. " + (kept or "What is finished stays."))


def _save_adapter(adapted: PeftModel, checkpoint: CheckpointPaths) -> None:
    for config in adapted.peft_config.values():
        for item in fields(config):
            # A set is written in an order that is another one in every process.
            if isinstance(getattr(config, item.name), set):
                setattr(config, item.name, sorted(getattr(config, item.name)))
    with whole_folder(checkpoint.adapter) as partial:
        # No method changes the vocabulary; one on embeddings saves what it has learnt itself.
        adapted.save_pretrained(partial, save_embedding_layers=False)
        for extra in [file for file in partial.iterdir() if file.name not in ADAPTER_FILES]:
            extra.unlink()  # PEFT's model card, which says nothing about this adapter.
        add_checksum(partial / "adapter_model.safetensors")


def _passes(rows: list[Row], collate: Collator, machine: Machine) -> list[dict[str, torch.Tensor]]:
    size = machine.eval_batch_size
    return [
        {key: value.to(machine.device) for key, value in collate(rows[i : i + size]).items()}
        for i in range(0, len(rows), size)
    ]
