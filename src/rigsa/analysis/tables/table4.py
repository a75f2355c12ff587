"""Table 4: hyperparameters of the low-rank adapters, from the study, beside the paper's."""

from collections.abc import Mapping, Sequence
from typing import Any

from rigsa.analysis import reference, roles
from rigsa.analysis.tables.cells import TEXT, Column, Row, Table
from rigsa.paths import ResultPaths
from rigsa.study import Arm, Study

# Key in the study file → what a paper calls it; rows of the table in this order.
NAMES = {
    "base": "Base model",
    "r": "Rank",
    "lora_alpha": "Alpha",
    "lora_dropout": "Dropout",
    "use_rslora": "Rank-stabilised scaling",
    "target_modules": "Adapted layers",
    "optimizer": "Optimizer",
    "learning_rate": "Learning rate",
    "schedule": "Schedule",
    "warmup_steps": "Warm-up steps",
    "warmup_ratio": "Warm-up, share of steps",
    "weight_decay": "Weight decay",
    "batch_size": "Batch size",
    "replay": "Replay, share of a batch",
    "epochs": "Epochs",
    "max_grad_norm": "Gradient norm at most",
}
BASES = {"full": "full precision", "four_bit": "4-bit"}


def make(study: Study, paths: ResultPaths) -> Table:
    paper = reference.read()
    series = roles.rank_series(study)
    rows = []
    for key, name in NAMES.items():
        ours = {f"series{i}": _setting(key, item.arms) for i, item in enumerate(series)}
        if any(value is not None for value in ours.values()):
            rows.append(Row({"setting": name, **ours, "paper": _paper(paper, key)}))
    columns = [Column("setting", "Hyperparameter", TEXT)]
    columns += [Column(f"series{i}", s.title, TEXT) for i, s in enumerate(series)]
    empty = f"The study {study.name} has no low-rank adapters (adapter.type: lora)."
    return Table(
        name="table4",
        title="Hyperparameters of the low-rank adapters",
        columns=(*columns, Column("paper", "Paper †", TEXT)),
        rows=tuple(rows),
        notes=(paper.note,) if series else (empty,),
    )


def _setting(key: str, arms: Sequence[Arm]) -> str | None:
    """One value, a list of ranks, or which rank has which value."""
    values = [_value(key, arm) for arm in arms]
    if key == "r":
        return ", ".join(str(value) for value in values)
    if len(set(values)) == 1:
        return values[0]
    ranks: dict[str | None, list[str]] = {}
    for arm, value in zip(arms, values, strict=True):
        ranks.setdefault(value, []).append(f"r{arm.adapter['r']}")
    return "; ".join(f"{value or 'default'} ({', '.join(where)})" for value, where in ranks.items())


def _value(key: str, arm: Arm) -> str | None:
    if key == "base":
        return BASES[arm.base]
    settings: Mapping[str, Any] = {**arm.training, **arm.adapter}
    # Warm-up in steps overrides a share that the study gives for all arms.
    if key == "warmup_ratio" and "warmup_steps" in settings:
        return None
    return _text(settings.get(key))


def _paper(paper: reference.Paper, key: str) -> str | None:
    return "4-bit" if key == "base" else _text(paper.low_rank.get(key))


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, Mapping):  # replay: {share, tasks}
        return f"{value['share']:g} ({', '.join(value['tasks'])})"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:g}"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
