"""Every job of a study with its time, memory and disk, in the order of the study."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from rigsa.batches import pass_size
from rigsa.forecast import disk
from rigsa.forecast.adapters import FLOAT32
from rigsa.forecast.described import adapter_of
from rigsa.forecast.evaluation import evaluation_memory, evaluation_seconds
from rigsa.forecast.flops import embedding_training_flops, forward_starts, training_flops
from rigsa.forecast.memory import base_bytes, training_peak, value_bytes
from rigsa.forecast.setting import AUTO, Setting
from rigsa.forecast.speed import CORE_FLOPS, READ_BYTES_PER_SECOND, START_SECONDS
from rigsa.forecast.training import step_seconds, training_seconds
from rigsa.forecast.workload import Workload
from rigsa.mask_rules import RULES_WITH_GRADIENTS
from rigsa.study import Arm, Benchmark, Checkpoint

# Choosing a mask ranks this many weights a second on two cores.
MASKED_WEIGHTS_PER_SECOND = 3e7
MOST_ROWS = 999
# Requests at a time that an evaluation with `eval_batch_size: auto` tries first.
FIRST_TRY_CPU, FIRST_TRY_GPU = 16, 256


@dataclass(frozen=True)
class Job:
    """One job.

    Args:
        seconds: of the work itself; `start_seconds` come before it.
        device_bytes: tensors on the device, as the allocator counts them.
        host_bytes: memory of the machine; on a CPU the tensors are in it.
        gpus: that the job has; seconds and device_bytes are those of each, host_bytes of all.
        state_bytes: on the disk while it trains, to go on from.
        rows: in one pass.
        most_rows: in one pass that still fits; None for jobs without a device.
        bytes_at_one: device_bytes at a batch of one row.
        taken: not made but taken: another arm, or a trial, has the same by then.
    """

    rule: str
    arm: str | None = None
    seed: int | None = None
    step: int | None = None
    benchmark: str | None = None
    seconds: float = 0.0
    start_seconds: float = START_SECONDS
    device_bytes: int = 0
    host_bytes: int = 0
    disk_bytes: int = 0
    state_bytes: int = 0
    trained: int = 0
    gpus: int = 1
    rows: int = 0
    most_rows: int | None = None
    bytes_at_one: int = 0
    taken: bool = False

    @property
    def place(self) -> tuple[str | None, int | None, int | None]:
        return self.arm, self.seed, self.step

    @property
    def all_seconds(self) -> float:
        """From the start of its process."""
        return self.start_seconds + (0 if self.taken else self.seconds)

    @property
    def name(self) -> str:
        parts = [self.rule, self.arm, None if self.step is None else f"step {self.step}"]
        return " ".join(str(part) for part in (*parts, self.benchmark) if part is not None)

    def resources(self) -> dict[str, Any]:
        """The keys of the job and what it takes, as a cluster's scheduler counts."""
        key = ("rule", "arm", "seed", "step", "benchmark")
        return {
            **{name: getattr(self, name) for name in key},
            "memory_mb": round(self.host_bytes / 1e6),
            "gpu_memory_mb": round(self.device_bytes / 1e6),
            "gpus": self.gpus,
            "minutes": round(self.all_seconds / 60, 2),
            "disk_mb": round(self.disk_bytes / 1e6, 2),
            "state_mb": round(self.state_bytes / 1e6, 2),
        }


def jobs(setting: Setting) -> list[Job]:
    """All that take noticeable time; tables, figures and the report take seconds each."""
    found = [data_job(setting), base_model_job(setting)]
    for point in [*setting.study.trial_checkpoints(), *setting.study.checkpoints()]:
        arm = setting.study.arm(point.arm)
        if arm.masked(point.step):
            found.append(mask_job(setting, arm, point))
        if arm.trained:
            found.append(training_job(setting, arm, point))
        found += [
            evaluation_job(setting, arm, point, benchmark)
            for benchmark in setting.study.benchmarks_of(arm.name, point.step)
        ]
    return found


def data_job(setting: Setting) -> Job:
    """All tasks' data, which take seconds each."""
    tasks = sum(disk.task_bytes(size) for size in setting.sizes.values())
    return Job("task_data", host_bytes=setting.process_bytes, disk_bytes=tasks)


def base_model_job(setting: Setting) -> Job:
    entry, shape = setting.study.base_model_entry, setting.shape
    here = entry["source"] == "trained"
    seconds = 0.0
    if here:
        learnt = entry["training"]
        tokens = learnt["rows"] * learnt["row_tokens"]
        flops = embedding_training_flops(shape, tokens)
        # The base model is trained where the workflow runs, not on the card; see its rule.
        speed = setting.speed
        starts = 3 * forward_starts(shape, None, four_bit=False)
        seconds = learnt["steps"] * speed.seconds(flops, 0, starts, speed.training)
    # Weights, gradients and two moments.
    held = 4 * FLOAT32 * shape.weights if here else 0
    # A ready 4-bit model is one more folder.
    separate = {"repository", "folder"} & set(entry.get("four_bit", ()))
    ready = base_bytes(shape, 2, four_bit=True, double_quant=True) if separate else 0
    return Job(
        "base_model",
        seconds=seconds,
        host_bytes=setting.process_bytes + held,
        disk_bytes=disk.model_bytes(shape, here) + ready,
    )


def chat_job(setting: Setting) -> Job:
    """Figure 6's few questions; not in the plan, as they take no noticeable time."""
    weights = setting.shape.weights * setting.weight_bytes
    tensors = round(1.5 * weights)  # With an adapter, and room for one conversation.
    return Job(
        "sample_chat",
        start_seconds=_start(setting),
        device_bytes=_device(setting, tensors),
        host_bytes=_host(setting, tensors),
    )


def mask_job(setting: Setting, arm: Arm, point: Checkpoint) -> Job:
    adapter = setting.adapter(arm, point.step)
    largest = max(rows * columns for rows, columns in adapter.matrices)
    # Layer by layer: values, scores and their order.
    held = largest * (2 * FLOAT32 + 8) + disk.mask_bytes(adapter)
    seconds = adapter.adapted / MASKED_WEIGHTS_PER_SECOND
    batches = arm.mask.get("batches", 1)
    if arm.mask["rule"] in RULES_WITH_GRADIENTS and arm.warmup is None:
        # Batches through the dense adapter, where the workflow runs and not on the card.
        work = setting.workload(arm, 0)
        work = replace(work, adapter=replace(work.adapter, density=1.0))
        held += training_peak(work) + sum_bytes(work, batches)
        seconds += batches * arm.training["batch_size"] * training_flops(work) / CORE_FLOPS
    job = Job(
        "select_mask", point.arm, point.seed, point.step,
        seconds=seconds,
        host_bytes=setting.process_bytes + held,
        disk_bytes=disk.mask_bytes(adapter),
    )  # fmt: skip
    return job if arm.warmup is None else _warmed_up(setting, arm, job, batches)


def sum_bytes(work: Workload, batches: int) -> int:
    """Of gradients: a float32 for each weight, and another where a batch is added to others."""
    return FLOAT32 * work.adapter.adapted * min(2, batches)


def _warmed_up(setting: Setting, arm: Arm, job: Job, batches: int) -> Job:
    """A mask job with the low-rank training before it, which has a card."""
    adapter = adapter_of(setting.shape, arm.warmup["adapter"], None)
    training = arm.warmup["training"]
    rows = pass_size(training, setting.micro_batch_size)

    def work(rows: int) -> Workload:
        return replace(setting.workload(arm, 0, rows), adapter=adapter, parts=1)

    def peak(rows: int) -> int:
        return training_peak(work(rows)) + sum_bytes(work(rows), batches)

    each = step_seconds(work(rows), training, setting.speed)
    # The sums are in the machine's memory when they are ranked.
    held = job.host_bytes - setting.process_bytes + sum_bytes(work(rows), batches=1)
    return replace(
        job,
        seconds=job.seconds + (arm.warmup["steps"] + batches) * each,
        start_seconds=_start(setting),
        device_bytes=_device(setting, peak(rows)),
        host_bytes=held + _host(setting, peak(rows)),
        rows=rows,
        most_rows=largest_batch(peak, setting.room),
        bytes_at_one=_device(setting, peak(1)),
    )


def training_job(setting: Setting, arm: Arm, point: Checkpoint) -> Job:
    work = setting.workload(arm, point.step)
    size = setting.sizes[setting.study.target_task]

    def peak(rows: int) -> int:
        return training_peak(setting.workload(arm, point.step, rows))

    peak_bytes = training_peak(work)
    rewind = (arm.mask or {}).get("rewind", 0)
    done = rewind if point.step else 0
    disk_bytes = disk.checkpoint_bytes(work.adapter, arm.training["logs"])
    if rewind and point.step == 0:
        disk_bytes += value_bytes(work.adapter)
    # Processes on a CPU share its memory.
    room = setting.room // arm.gpus if setting.card.is_cpu else setting.room
    return Job(
        "train", point.arm, point.seed, point.step,
        seconds=training_seconds(work, arm.training, size.train, setting.speed, done),
        start_seconds=_start(setting),
        device_bytes=_device(setting, peak_bytes),
        host_bytes=arm.gpus * _host(setting, peak_bytes),
        disk_bytes=disk_bytes,
        state_bytes=disk.state_bytes(work),
        trained=work.adapter.trainable,
        gpus=arm.gpus,
        rows=work.micro_batch,
        most_rows=largest_batch(peak, room),
        bytes_at_one=_device(setting, peak(1)),
    )  # fmt: skip


def evaluation_job(setting: Setting, arm: Arm, point: Checkpoint, benchmark: Benchmark) -> Job:
    asking = setting.asking(arm, point.step, benchmark)

    def peak(rows: int) -> int:
        return sum(evaluation_memory(setting.asking(arm, point.step, benchmark, rows)).values())

    most_rows = largest_batch(peak, setting.room)
    if setting.eval_batch_size == AUTO:
        asking = setting.asking(arm, point.step, benchmark, found_batch(setting, most_rows))
    peak_bytes = peak(asking.batch)
    items, _ = asking.size.asked(benchmark)
    return Job(
        "evaluate", point.arm, point.seed, point.step, benchmark.name,
        seconds=evaluation_seconds(asking, setting.speed),
        start_seconds=_start(setting),
        device_bytes=_device(setting, peak_bytes),
        host_bytes=_host(setting, peak_bytes),
        disk_bytes=disk.samples_bytes(items),
        rows=asking.batch,
        most_rows=most_rows,
        bytes_at_one=_device(setting, peak(1)),
    )  # fmt: skip


def found_batch(setting: Setting, most_rows: int) -> int:
    """What `eval_batch_size: auto` comes to: halved from the first try until it fits."""
    rows = FIRST_TRY_CPU if setting.card.is_cpu else FIRST_TRY_GPU
    while rows > max(1, most_rows):
        rows //= 2
    return rows


def largest_batch(peak: Callable[[int], int], room: int) -> int:
    """Rows of the largest batch whose `peak` fits into `room` bytes, at most MOST_ROWS; 0 if none.

    Peaks grow with the rows, so the answer is found by halving.
    """
    fits, too_many = 0, MOST_ROWS + 1
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        fits, too_many = (middle, too_many) if peak(middle) <= room else (fits, middle)
    return fits


def _start(setting: Setting) -> float:
    weights = disk.model_bytes(setting.shape, trained_here=False)
    return START_SECONDS + weights / READ_BYTES_PER_SECOND


def _device(setting: Setting, tensors: int) -> int:
    return 0 if setting.card.is_cpu else tensors


def _host(setting: Setting, tensors: int) -> int:
    """On a GPU the weights pass through the machine's memory on their way."""
    weights = setting.shape.weights * setting.weight_bytes
    return setting.process_bytes + (tensors if setting.card.is_cpu else weights)
