"""What a schema cannot say of one arm: adapter, mask and training must fit base model and data."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rigsa import schedule
from rigsa.adapters.reselection import EVERY, GATHER
from rigsa.batches import cards, optimizer_steps, replayed, steps_with_warmup
from rigsa.catalog import BASE_MODELS
from rigsa.dense_checks import check_dense, check_shares
from rigsa.errors import ConfigError
from rigsa.mask_rules import (
    RULES_AFTER_TRAINING,
    RULES_WITH_GRADIENTS,
    RULES_WITH_INITIAL_VALUES,
)
from rigsa.methods import COMMON, METHODS, full_description, knowing, most_lora_rank
from rigsa.rank_checks import check_rank, narrowest
from rigsa.validation import one_of, shown

if TYPE_CHECKING:
    from rigsa.study import Arm, Study

# The linear layers of a base model that is trained here, which is a Llama.
LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
LOW_BIT = ("adamw_torch_8bit", "adamw_torch_4bit")
# Those that transformers hands on to each optimizer; it drops all others without a word.
OPTIONS = dict.fromkeys(LOW_BIT, ("bf16_stochastic_round",)) | {
    "sgd": ("momentum", "dampening", "nesterov")
}


def check_arm(study: "Study", arm: "Arm", path: Path) -> None:
    where = f"{path}: arms.{arm.name}"
    if arm.base == "four_bit" and "four_bit" not in study.base_model_entry:
        raise ConfigError(
            f"{where}.base is four_bit, but {BASE_MODELS} gives {study.base_model} no four_bit "
            "entry; add one, or use base: full."
        )
    if arm.adapter is None:
        for key, given in (("mask", arm.mask is not None), ("iterations", arm.iterations > 1)):
            if given:
                raise ConfigError(f"{where}.{key} needs an adapter; add {arm.name}.adapter.")
        return
    _check_adapter(study.base_model_entry, arm, where)
    _check_replay(study, arm, f"{path}: training of arm {arm.name}")
    if arm.mask is not None:
        _check_mask(study, arm, where)
    elif arm.iterations > 1:
        raise ConfigError(f"{where}.iterations needs a mask rule; add {arm.name}.mask.")
    elif METHODS[arm.adapter["type"]].moves:
        raise ConfigError(
            f"{where}.adapter of type {arm.adapter['type']} moves the places of a mask; add "
            f"{arm.name}.mask, such as {{rule: random, density: 0.01}}."
        )


def check_training(arm: "Arm", rows: int | None, path: Path) -> None:
    """`rows` are the target task's training items, None where their number is not known yet."""
    training, where = arm.training, f"{path}: training of arm {arm.name}"
    options, optimizer = training.get("optimizer_options", {}), training["optimizer"]
    for option in options:
        known = OPTIONS.get(optimizer, ())
        if option not in known:
            ending = (
                one_of(option, known) if known else "it takes none; take optimizer_options out."
            )
            raise ConfigError(
                f"{where}: optimizer_options has {option!r}, which {optimizer} does not know; "
                f"{ending}"
            )
    if options.get("nesterov") and (options.get("dampening") or not options.get("momentum")):
        raise ConfigError(
            f"{where}: optimizer_options.nesterov needs a momentum and no dampening; set momentum."
        )
    names = [f"{rate:g}" for rate in arm.rates]
    if len(set(names)) < len(names):
        raise ConfigError(
            f"{where}: learning_rate has values that differ by less than one in 100,000; take one "
            "of them out."
        )
    if "warmup_steps" in training and "warmup_ratio" in training:
        raise ConfigError(f"{where}: it has both warmup_steps and warmup_ratio; keep one of them.")
    try:
        cards(training)
        replayed(training)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    if rows is None:
        return
    if training["batch_size"] > rows:
        raise ConfigError(
            f"{where}: batch_size is {training['batch_size']}, but the target task has {rows} "
            "training items; set it to as many or fewer."
        )
    try:
        steps = optimizer_steps(training, rows)
        check_shares(arm.mask or {}, steps)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    if training.get("warmup_steps", 0) >= steps:
        raise ConfigError(
            f"{where}: warmup_steps is {training['warmup_steps']}, but there are {steps} steps; "
            "set fewer, or warmup_ratio."
        )
    gather = arm.adapter.get("gather", GATHER)
    if METHODS[arm.adapter["type"]].moves and gather >= steps:
        raise ConfigError(
            f"{where}: adapter.gather is {gather}, but there are {steps} steps, so that the mask "
            "would never move; set it lower, or train longer."
        )
    try:
        if arm.warmup is not None:
            steps_with_warmup(arm.warmup, arm.mask.get("batches", 1), rows)
    except ConfigError as error:
        raise ConfigError(f"{path}: arms.{arm.name}.mask.{error}") from None


def _check_adapter(base_model: Mapping[str, Any], arm: "Arm", where: str) -> None:
    adapter = arm.adapter
    _check_options(adapter, f"{where}.adapter")
    if METHODS[adapter["type"]].needs_mask and arm.mask is None:
        raise ConfigError(
            f"{where}.adapter of type {adapter['type']!r} trains the weights of a mask; add "
            f"{arm.name}.mask."
        )
    if arm.base == "four_bit" and not METHODS[adapter["type"]].four_bit:
        raise ConfigError(
            f"{where}.base is four_bit, and a {adapter['type'].replace('_', ' ')} needs base: full."
        )
    if adapter.get("dtype") == "bfloat16" and not _rounds_stochastically(arm.training):
        raise ConfigError(
            f"{where}.adapter.dtype is bfloat16, in which small steps are lost with optimizer "
            f"{arm.training['optimizer']}; use adamw_torch_8bit or adamw_torch_4bit with "
            "optimizer_options: {bf16_stochastic_round: true}, or dtype: float32."
        )
    closed = adapter.get("gate", "matrix") != "none" and adapter.get("gate_init") == 0
    if closed and adapter.get("init") == "zero":
        raise ConfigError(
            f"{where}.adapter has init zero and gate_init 0, so that nothing has a gradient; set "
            "one of the two."
        )
    targets = adapter.get("target_modules", "all-linear")
    if base_model["source"] == "trained" and targets != "all-linear":
        for target in targets:
            if target.split(".")[-1] not in LINEARS:
                raise ConfigError(
                    f"{where}.adapter.target_modules names {target!r}, which the base model has "
                    f"not; {one_of(target, LINEARS)}"
                )
    check_rank(base_model, adapter, f"{where}.adapter")
    if "lora_alpha" in adapter and "r" not in adapter:
        raise ConfigError(
            f"{where}.adapter.lora_alpha scales a low-rank part, and there is none; add adapter.r, "
            "or take it out."
        )
    if "width" in adapter and "share" in adapter:
        raise ConfigError(
            f"{where}.adapter has both width and share, of which one follows from the other; keep "
            "one of them."
        )
    if adapter.get("gather", GATHER) > adapter.get("every", EVERY):
        raise ConfigError(
            f"{where}.adapter.gather is {adapter.get('gather', GATHER)}, more steps than there are "
            f"from one move to the next, {adapter.get('every', EVERY)}; set it lower, or every "
            "higher."
        )
    penalised = adapter["type"] == "neutral_residues" and adapter.get("coefficient") != 0
    if penalised and not arm.replayed:
        raise ConfigError(
            f"{where}.adapter has a penalty on text of source tasks, and no batch has any; give "
            "the arm a training.replay, or set adapter.coefficient to 0."
        )


def _check_options(adapter: Mapping[str, Any], where: str) -> None:
    """The schema knows the options of all methods; here are those of this one."""
    kind = adapter["type"]
    if kind not in METHODS:
        raise ConfigError(f"{where}.type is {shown(kind)}; {one_of(kind, METHODS)}")
    options = METHODS[kind].options
    for key in adapter:
        if key not in (*COMMON, *options):
            raise ConfigError(
                f"{where}.{key} is an option of {' and '.join(knowing(key))}, and {kind} has only "
                f"{', '.join(options)}; take it out, or change the type."
            )
    for key in METHODS[kind].required:
        if key not in adapter:
            raise ConfigError(f"{where} lacks the key {key!r}.")


def _check_replay(study: "Study", arm: "Arm", where: str) -> None:
    for task in arm.replayed:
        if task == study.target_task:
            raise ConfigError(
                f"{where}: replay.tasks names the target task {task!r}, which every batch has "
                "anyway; take it out."
            )
        if task not in study.source_tasks:
            raise ConfigError(
                f"{where}: replay.tasks names {task!r}, which is no source task of the study; "
                f"{one_of(task, study.source_tasks)}"
            )


def _rounds_stochastically(training: Mapping[str, Any]) -> bool:
    options = training.get("optimizer_options", {})
    return training["optimizer"] in LOW_BIT and options.get("bf16_stochastic_round", False)


def _check_mask(study: "Study", arm: "Arm", where: str) -> None:
    mask, rule, adapter = arm.mask, arm.mask["rule"], full_description(arm.adapter)
    if not METHODS[arm.adapter["type"]].masks:
        masked = [name for name, method in METHODS.items() if method.masks]
        raise ConfigError(
            f"{where}.mask does not go with an adapter of type {arm.adapter['type']!r}; "
            f"masks are for {', '.join(masked)}."
        )
    if arm.adapter.get("target_modules", "all-linear") != "all-linear":
        raise ConfigError(
            f"{where}.adapter.target_modules does not go with a mask, which is chosen over all "
            "linear layers; leave it out."
        )
    moves = METHODS[arm.adapter["type"]].moves
    if moves and arm.iterations > 1:
        raise ConfigError(
            f"{where}.iterations is {arm.iterations}, but the mask of an adapter of type "
            f"{arm.adapter['type']} moves while it trains and is not pruned; set it to 1."
        )
    if not arm.starts_dense and rule in RULES_AFTER_TRAINING:
        raise ConfigError(
            f"{where}.mask.rule {rule!r} looks at trained weights; set iterations to 2 or more, so "
            "that there is a dense step before it."
        )
    _check_gradients(study, arm, where)
    closed = adapter.get("gate", "matrix") != "none" and adapter.get("gate_init") == 0
    if closed and rule in RULES_WITH_GRADIENTS:
        raise ConfigError(
            f"{where}.mask.rule {rule!r} ranks by gradients, all of which are 0 behind "
            "adapter.gate_init 0; set it to another number, or gate: none."
        )
    check_dense(study, arm, where)
    zeros = adapter.get("init") == "zero" and "rewind" not in mask
    if (zeros or moves) and rule in RULES_WITH_INITIAL_VALUES:
        given = "init" in arm.adapter
        zero = "adapter.init zero" if given else f"type {arm.adapter['type']}"
        way = "init uniform, or the rule large_final" if given else "the rule random or grad"
        raise ConfigError(
            f"{where}.mask.rule {rule!r} looks at initial values, which {zero} makes all alike; "
            f"take {way}."
        )
    schedule.check(mask, arm.iterations, f"{where}.mask")
    reference = mask.get("density_of")
    # An arm that takes its density from elsewhere gives none, so that there is no circle.
    masked = [a.name for a in study.arms.values() if a.mask and "density_of" not in a.mask]
    if reference is not None and reference not in masked:
        raise ConfigError(
            f"{where}.mask.density_of is {reference!r}, which is no arm with a mask; "
            f"{one_of(reference, masked)}"
        )
    narrow, density = (
        narrowest(study.base_model_entry),
        study.density(arm.name, arm.iterations - 1),
    )
    most = None if narrow is None else most_lora_rank(*narrow)
    if most is not None and mask.get("lora_rank", 0) > most:
        raise ConfigError(
            f"{where}.mask.lora_rank is {mask['lora_rank']}, and LoRA of that rank has more "
            f"parameters than a matrix of {narrow[1]} x {narrow[0]} weights; set {most} or lower."
        )
    in_each = reference is None and mask.get("scope", "matrix") == "matrix"
    if in_each and narrow and density is not None and round(density * math.prod(narrow)) == 0:
        width, keys = narrow
        raise ConfigError(
            f"{where}.mask keeps {density:.2g} of a matrix of {keys} x {width} weights, which is "
            "none; set its density higher."
        )


def _check_gradients(study: "Study", arm: "Arm", where: str) -> None:
    """What a mask says of the gradients that its rule ranks by."""
    for key in ("batches", "warmup"):
        if key in arm.mask and arm.mask["rule"] not in RULES_WITH_GRADIENTS:
            raise ConfigError(
                f"{where}.mask.{key} is for rules that rank by gradients, which are "
                f"{', '.join(sorted(RULES_WITH_GRADIENTS))}; take it out, or take one of these."
            )
    if arm.warmup is None:
        return
    if "r" not in arm.warmup["adapter"]:
        raise ConfigError(
            f"{where}.mask.warmup lacks the key 'r', the rank of what it trains, which "
            f"{arm.name}.adapter does not say either; add it."
        )
    check_rank(study.base_model_entry, arm.warmup["adapter"], f"{where}.mask.warmup")
