"""What a forecast is made for: a study on a device with this machine's settings."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from rigsa.batches import pass_size
from rigsa.config import resolve_precision
from rigsa.errors import ConfigError
from rigsa.forecast.adapters import BYTES, Adapter
from rigsa.forecast.cards import GIB, Card
from rigsa.forecast.described import adapter_of
from rigsa.forecast.evaluation import Asking
from rigsa.forecast.shape import ModelShape, study_shape
from rigsa.forecast.sizes import TaskSize, task_size
from rigsa.forecast.speed import Speed, card_speed, cpu_speed
from rigsa.forecast.workload import Workload
from rigsa.machine import Machine
from rigsa.paths import ResultPaths
from rigsa.schedule import progress
from rigsa.study import Arm, Benchmark, Study

# What the driver takes of a card, and what the allocator cannot use for its pieces' sizes.
DRIVER_BYTES, FRAGMENTS = 0.7 * GIB, 0.05
# Libraries of a process, without and with those for a GPU.
CPU_PROCESS, GPU_PROCESS = 0.6 * GIB, 3 * GIB
# As many requests at a time as fit.
AUTO = "auto"


@dataclass(frozen=True)
class Setting:
    """Settings of config.yaml, after the command line."""

    study: Study
    paths: ResultPaths
    card: Card
    precision: str
    micro_batch_size: int
    eval_batch_size: int | str
    recompute: bool
    shard_base_model: bool

    @cached_property
    def shape(self) -> ModelShape:
        return study_shape(self.study, self.paths)

    @cached_property
    def speed(self) -> Speed:
        return cpu_speed(self.card) if self.card.is_cpu else card_speed(self.card)

    @cached_property
    def sizes(self) -> dict[str, TaskSize]:
        asked = (benchmark.task for benchmark in self.study.benchmarks.values())
        tasks = dict.fromkeys((self.study.target_task, *self.study.source_tasks, *asked))
        return {task: task_size(self.study, self.paths, task) for task in tasks}

    @property
    def weight_bytes(self) -> int:
        return BYTES[self.precision]

    @property
    def process_bytes(self) -> int:
        """Memory of the machine that a job's process takes before it has a model."""
        return round(CPU_PROCESS if self.card.is_cpu else GPU_PROCESS)

    @property
    def room(self) -> int:
        """Bytes that a job's tensors may take on the device."""
        fixed = CPU_PROCESS if self.card.is_cpu else DRIVER_BYTES
        return round((self.card.memory - fixed) / (1 + FRAGMENTS))

    def adapter(self, arm: Arm, step: int) -> Adapter | None:
        if arm.adapter is None:
            return None
        return adapter_of(self.shape, arm.adapter, self.density(arm, step))

    def density(self, arm: Arm, step: int) -> float:
        """The scheduled one; where it follows from training, the most that it can be."""
        density = self.study.density(arm.name, step)
        if density is not None:
            return density
        if "density_of" in arm.mask:
            source = self.study.arms[arm.mask["density_of"]]
            return self.density(source, source.iterations - 1)
        if "keep" in arm.mask:
            return arm.mask["keep"] ** step
        lora = adapter_of(self.shape, {"type": "lora", "r": arm.mask["lora_rank"]}, None)
        return (lora.values / lora.adapted) ** progress(step, arm.iterations)

    def workload(self, arm: Arm, step: int, micro_batch: int | None = None) -> Workload:
        """The arm's training; `micro_batch` replaces the configured one."""
        adapter = self.adapter(arm, step)
        if not adapter.matrices:
            raise ConfigError(
                f"studies/{self.study.name}.yaml: arms.{arm.name}.adapter.target_modules names "
                f"none of {', '.join(self.shape.layer_linears)}, so there is nothing to count; "
                "name some, or all-linear."
            )
        if micro_batch is None:
            micro_batch = pass_size(arm.training, self.micro_batch_size)
        return Workload(
            shape=self.shape,
            adapter=adapter,
            weight_bytes=self.weight_bytes,
            optimizer=arm.training["optimizer"],
            tokens=self.sizes[self.study.target_task].row,
            micro_batch=micro_batch,
            recompute=self.recompute,
            four_bit=arm.base == "four_bit",
            double_quant=self.double_quant,
            parts=arm.gpus if self.shard_base_model and arm.base == "full" else 1,
        )

    def asking(self, arm: Arm, step: int, benchmark: Benchmark, batch: int | None = None) -> Asking:
        return Asking(
            shape=self.shape,
            adapter=self.adapter(arm, step),
            size=self.sizes[benchmark.task],
            benchmark=benchmark,
            batch=batch or (1 if self.eval_batch_size == AUTO else self.eval_batch_size),
            weight_bytes=self.weight_bytes,
            four_bit=arm.base == "four_bit",
            double_quant=self.double_quant,
        )

    @property
    def double_quant(self) -> bool:
        # Ready 4-bit repositories do not say it in the catalogue; theirs usually are.
        return self.study.base_model_entry.get("four_bit", {}).get("double_quant", True)


def setting_from(
    study: Study, paths: ResultPaths, card: Card, config: Mapping[str, Any]
) -> Setting:
    """From config.yaml's content."""
    device = "cpu" if card.is_cpu else "cuda"
    machine = Machine(device, activation_checkpointing=config["activation_checkpointing"])
    return Setting(
        study=study,
        paths=paths,
        card=card,
        precision=resolve_precision({**config, "device": device}, study),
        micro_batch_size=config["micro_batch_size"],
        eval_batch_size=config["eval_batch_size"],
        recompute=machine.recompute_activations,
        shard_base_model=config["shard_base_model"],
    )


def with_batches(setting: Setting, micro_batch_size: int | None) -> Setting:
    if micro_batch_size is None:
        return setting
    return replace(setting, micro_batch_size=micro_batch_size)
