"""What finished jobs really took, beside their forecast."""

from dataclasses import dataclass

from rigsa.files import read_json
from rigsa.forecast.jobs import Job
from rigsa.forecast.plan import Plan


@dataclass(frozen=True)
class Comparison:
    """One finished job. `peak_bytes` are 0 where none were recorded."""

    job: Job
    seconds: float
    peak_bytes: int = 0


def measured(plan: Plan) -> list[Comparison]:
    """All jobs of the plan that have a result; seconds are the work's own, without the start."""
    found = []
    for job in plan.jobs:
        if job.rule not in ("train", "evaluate"):
            continue
        place = plan.setting.paths.checkpoint(job.arm, job.seed, job.step)
        file = place.training if job.rule == "train" else place.evaluation(job.benchmark)
        if file.is_file():
            content = read_json(file)
            peak = content.get("peak_memory_bytes", 0)
            # Training steps alone, where they are told from the looks at held-out items.
            seconds = content.get("step_seconds", content["seconds"])
            found.append(Comparison(job, seconds, peak))
    return found
