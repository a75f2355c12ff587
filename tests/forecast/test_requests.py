"""What jobs ask a cluster for."""

from dataclasses import replace

import pytest

from rigsa.config import read_config, resolve_device
from rigsa.definitions import Definitions
from rigsa.errors import ConfigError
from rigsa.forecast import jobs as forecasts
from rigsa.forecast.requests import Requests, check_card
from rigsa.jobs import Job
from rigsa.paths import ResultPaths
from rigsa.study import load_study

TRAIN = Job("train", "rigsa", 0, 1)


def _requests(study: str, tmp_path, **settings) -> Requests:
    config = {**read_config(), **settings}
    loaded = load_study(study)
    return Requests(loaded, ResultPaths(tmp_path, study), config, resolve_device(config, loaded))


@pytest.mark.parametrize("study", ["embedded", "paper", "mnist"])
def test_every_job_that_goes_to_a_cluster_has_a_request(study, tmp_path, project_root) -> None:
    requests = _requests(study, tmp_path, gpu_card="rtx4090")
    kinds = {"base_model", "select_mask", "train", "evaluate", "sample_chat"}
    jobs = [job for job in Definitions(requests.study, requests.config).graph if job.rule in kinds]
    assert {"train", "evaluate"} <= {job.rule for job in jobs}
    for job in jobs:
        assert requests.minutes(job) > requests.needed_minutes(job) > 0
        assert requests.megabytes(job) > 500


def test_requests_grow_with_the_attempt_within_the_cluster(tmp_path, project_root) -> None:
    requests = _requests("paper", tmp_path, gpu_card="rtx4090")
    for ask in (requests.minutes, requests.megabytes):
        first = ask(TRAIN)
        assert ask(TRAIN, 2) == pytest.approx(2 * first, rel=0.01)
        assert ask(TRAIN, 2, first + 1) == first + 1
    # What it needs at least is asked for although it cannot be had, and is refused later.
    assert requests.minutes(TRAIN, 1, 5) >= requests.needed_minutes(TRAIN) > 5


def test_the_card_decides_the_time(tmp_path, project_root) -> None:
    slow, fast = (_requests("paper", tmp_path, gpu_card=card) for card in ("rtx3090", "h100"))
    assert slow.needed_minutes(TRAIN) > 3 * fast.needed_minutes(TRAIN)
    assert slow.megabytes(TRAIN) == fast.megabytes(TRAIN)
    with pytest.raises(ConfigError, match="gpu_card is not set"):
        check_card({"gpu_card": None}, "cuda")
    check_card({"gpu_card": None}, "cpu")


def test_masks_from_gradients_need_a_model(tmp_path, project_root) -> None:
    requests = _requests("paper", tmp_path, gpu_card="rtx4090")
    mask = Job("select_mask", "rigsa", 0, 1)
    plain = requests.megabytes(mask)
    arm = requests.study.arms["rigsa"]
    arms = {**requests.study.arms, "rigsa": replace(arm, mask={**arm.mask, "rule": "snip"})}
    study = replace(requests.study, arms=arms)
    again = Requests(study, requests.paths, requests.config, "cuda")
    assert again.megabytes(mask) > 3 * plain


def test_a_warmup_before_a_mask_is_trained_on_the_card(tmp_path, project_root) -> None:
    def forecast(steps: int, **more: int) -> forecasts.Job:
        requests = _requests("paper", tmp_path, gpu_card="rtx4090")
        mask = {"rule": "grad_squared", "density": 0.006, **more}
        mask["warmup"] = {"steps": steps, "r": 16}
        arm = replace(requests.study.arms["rigsa"], mask=mask, iterations=1)
        study = replace(requests.study, arms={"rigsa": arm})
        again = Requests(study, requests.paths, requests.config, "cuda")
        return again.forecast(Job("select_mask", "rigsa", 0, 0))

    one, more, several = forecast(63), forecast(127), forecast(63, batches=2)
    # Of 1.6 billion weights: a float32 each, and the model's own bfloat16.
    assert one.device_bytes > 9.6e9
    assert several.device_bytes - one.device_bytes == pytest.approx(4 * 1610612736)
    assert (more.seconds - one.seconds) / (several.seconds - one.seconds) == pytest.approx(64)
    assert one.host_bytes > 4 * 1610612736
