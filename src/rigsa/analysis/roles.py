"""Which part an arm plays in tables and figures: told from its properties, not from its name."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from rigsa.errors import ConfigError
from rigsa.study import Arm, Benchmark, Study


@dataclass(frozen=True)
class RankSeries:
    """Low-rank arms that differ in rank: one line in a figure, one column in table 4."""

    title: str
    arms: tuple[Arm, ...]

    @property
    def base(self) -> str:
        return self.arms[0].base


def base_arms(study: Study) -> list[Arm]:
    """Base models as they stand, full precision first."""
    return sorted((a for a in study.arms.values() if not a.trained), key=lambda a: a.base != "full")


def base_of(study: Study, arm: Arm) -> Arm | None:
    """The untrained arm on the same base, which is what a trained arm can forget from."""
    return next((base for base in base_arms(study) if base.base == arm.base), None)


def imp_arms(study: Study) -> list[Arm]:
    return [arm for arm in study.arms.values() if arm.iterations > 1]


def matched_arms(study: Study) -> list[tuple[Arm, int]]:
    """One-shot masks as dense as an IMP arm's last step, with that step."""
    found = []
    for arm in study.arms.values():
        reference = study.arms.get((arm.mask or {}).get("density_of"))
        if arm.iterations == 1 and reference is not None and reference.iterations > 1:
            found.append((arm, reference.iterations - 1))
    return found


def low_rank_arms(study: Study) -> list[Arm]:
    return [arm for arm in study.arms.values() if arm.trained and arm.adapter["type"] == "lora"]


def rank_series(study: Study) -> list[RankSeries]:
    """Low-rank arms that differ in rank, and in alpha as far as it grows with the rank or stays.

    A rank that comes again opens a new series. Learning rates may differ.
    """
    groups: dict[str, list[list[Arm]]] = {}
    ranks: dict[tuple[str, float | None], set[int]] = {}
    for arm in low_rank_arms(study):
        ranks.setdefault((_but_rank(arm), _alpha_of_rank(arm)), set()).add(arm.adapter["r"])
    for arm in low_rank_arms(study):
        rest, per_rank = _but_rank(arm), _alpha_of_rank(arm)
        grows = per_rank is not None and len(ranks[rest, per_rank]) > 1
        alpha = f"{per_rank} r" if grows else str(arm.adapter.get("lora_alpha"))
        series = groups.setdefault(f"{rest} {alpha}", [[]])
        if any(other.adapter["r"] == arm.adapter["r"] for other in series[-1]):
            series.append([])
        series[-1].append(arm)
    return [
        RankSeries(_common_title(arms), tuple(sorted(arms, key=lambda arm: arm.adapter["r"])))
        for group in groups.values()
        for arms in group
    ]


def _but_rank(arm: Arm) -> str:
    """What arms of a series have in common."""
    adapter = {k: v for k, v in arm.adapter.items() if k not in ("r", "lora_alpha")}
    return repr((arm.base, sorted(adapter.items()), arm.training.get("replay")))


def _alpha_of_rank(arm: Arm) -> float | None:
    alpha = arm.adapter.get("lora_alpha")
    return None if alpha is None else alpha / arm.adapter["r"]


def family(arm: Arm) -> str:
    """What decides an arm's colour: base, imp, mask, dense, lora or other; _4bit by its base."""
    if not arm.trained:
        return "base_4bit" if arm.base == "four_bit" else "base"
    if arm.adapter["type"] == "lora":
        return "lora_4bit" if arm.base == "four_bit" else "lora"
    if arm.iterations > 1:
        return "imp"
    if arm.mask is not None:
        return "mask"
    return "dense" if arm.adapter["type"] in ("sparse_delta", "full") else "other"


def target_benchmark(study: Study) -> Benchmark:
    return _main_benchmark(study, study.target_task)


def source_benchmarks(study: Study) -> list[Benchmark]:
    return [_main_benchmark(study, task) for task in study.source_tasks]


def benchmark_role(study: Study, benchmark: Benchmark) -> str:
    if benchmark.task == study.target_task:
        return "target"
    return "source" if benchmark.task in study.source_tasks else "other"


def benchmark_title(study: Study, benchmark: Benchmark) -> str:
    title = study.task_entries[benchmark.task]["title"]
    return f"{title}, {benchmark.fewshot}-shot" if benchmark.fewshot else title


def paper_name(study: Study, benchmark: Benchmark) -> str:
    """Name of the paper's benchmark in whose place a task stands; its own title otherwise."""
    entry = study.task_entries[benchmark.task]
    return entry.get("stands_for", entry["title"])


def step_title(arm: Arm, step: int) -> str:
    """An arm's title, with the step where there are several."""
    if arm.iterations == 1:
        return arm.title
    return f"{arm.title}, step {step}" + (" (dense)" if step == 0 else "")


def _main_benchmark(study: Study, task: str) -> Benchmark:
    """Of several benchmarks of one task, the first that most checkpoints are asked."""
    asked = [benchmark for benchmark in study.benchmarks.values() if benchmark.task == task]
    if not asked:
        raise ConfigError(
            f"studies/{study.name}.yaml: benchmarks asks nothing of the task {task!r}; add one."
        )
    return min(asked, key=lambda benchmark: (benchmark.arms is not None, benchmark.steps != "all"))


def _common_title(arms: Iterable[Arm]) -> str:
    """'QLoRA r1', 'QLoRA r16' → 'QLoRA'; 'LoRA r1, a 32', 'LoRA r4, a 32' → 'LoRA, a 32'."""
    titles = [arm.title for arm in arms]
    shared = re.sub(r"[\s,(]*(\b(rank|r)[\s=]*\d*|\b\d+)?$", "", _beginning(titles))
    ending = _beginning([title[::-1] for title in titles])[::-1] if len(titles) > 1 else ""
    # Of what follows the rank, whole words behind a comma.
    shared += "".join(re.findall(r",\s.*", ending)[:1])
    return shared or "Low rank"


def _beginning(titles: Sequence[str]) -> str:
    letters = zip(*titles, strict=False)
    return "".join(column[0] for column in takewhile(lambda c: len(set(c)) == 1, letters))
