"""What a cluster is asked for: the forecast of each job, with room for its being wrong."""

from collections.abc import Mapping
from functools import cache
from math import ceil
from typing import Any

from rigsa.errors import ConfigError
from rigsa.forecast import jobs as forecasts
from rigsa.forecast.cards import CARDS, CPU, Card
from rigsa.forecast.setting import Setting, setting_from
from rigsa.forecast.speed import CORE_BANDWIDTH, CORE_FLOPS
from rigsa.jobs import Job
from rigsa.paths import ResultPaths
from rigsa.study import Checkpoint, Study

# Forecasts were 0.8 to 1.02 of what was measured (docs/plan.md).
TIME_ROOM, MINUTES_MORE = 2.0, 10
MEMORY_ROOM, MEGABYTES_MORE = 1.25, 500


class Requests:
    """Memory and minutes of a study's jobs.

    Each grows with the attempt, as the one before may have been ended for lack of it. `most` is
    what the cluster has, None for no limit: room for error ends there, but what the forecast itself
    says is asked for even beyond, so that it can be refused.
    """

    def __init__(
        self,
        study: Study,
        paths: ResultPaths,
        config: Mapping[str, Any],
        device: str,
    ) -> None:
        self.study, self.paths, self.config, self.device = study, paths, config, device
        self.forecast = cache(self._forecast)
        self._setting = cache(self._setting)

    def minutes(self, job: Job, attempt: int = 1, most: int | None = None) -> int:
        need = self.needed_minutes(job)
        return _within(ceil(need), ceil((TIME_ROOM * need + MINUTES_MORE) * attempt), most)

    def needed_minutes(self, job: Job) -> float:
        """What the forecast says."""
        found = self.forecast(job)
        return (found.seconds + found.start_seconds) / 60

    def megabytes(self, job: Job, attempt: int = 1, most: int | None = None) -> int:
        need = ceil(self.forecast(job).host_bytes / 1e6)
        return _within(need, ceil((MEMORY_ROOM * need + MEGABYTES_MORE) * attempt), most)

    def _setting(self, threads: int) -> Setting:
        return setting_from(self.study, self.paths, self._card(threads), self.config)

    def _card(self, threads: int) -> Card:
        if self.device == "cpu":
            # Memory that never binds: what a job needs is asked of the scheduler.
            return Card(CPU, 2**50, threads * CORE_FLOPS, threads * CORE_BANDWIDTH)
        # Memory of the machine is the same with any card.
        return CARDS[self.config["gpu_card"] or next(iter(CARDS))]

    def _forecast(self, job: Job) -> forecasts.Job:
        setting = self._setting(self.config["threads"].get(job.rule, 1))
        if job.rule == "base_model":
            return forecasts.base_model_job(setting)
        if job.rule == "sample_chat":
            return forecasts.chat_job(setting)
        arm = self.study.arm(job.arm)
        point = Checkpoint(job.arm, job.seed, job.step)
        if job.rule == "evaluate":
            return forecasts.evaluation_job(setting, arm, point, self.study.benchmarks[job.name])
        if job.rule == "train":
            return forecasts.training_job(setting, arm, point)
        return forecasts.mask_job(setting, arm, point)


def check_card(config: Mapping[str, Any], device: str) -> None:
    """Raises ConfigError where nobody has said which card jobs of a cluster run on."""
    if device == "cuda" and config["gpu_card"] is None:
        raise ConfigError(
            "config.yaml: gpu_card is not set, and decides how much time the jobs ask the cluster "
            f"for; set it to the card that they will run on: {', '.join(CARDS)}."
        )


def _within(need: int, roomy: int, most: int | None) -> int:
    return roomy if most is None else max(need, min(roomy, most))
