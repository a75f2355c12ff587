"""The step that says what a study will take before it is run, and how right that was after."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from rigsa.errors import ConfigError
from rigsa.steps.step import Step, argument
from rigsa.steps.study import STUDY

if TYPE_CHECKING:
    from rigsa.forecast.cards import Card
    from rigsa.paths import ResultPaths
    from rigsa.study import Study


def _plan(options: Namespace) -> None:
    from rigsa.config import check_config, read_config, resolve_device
    from rigsa.definitions import Definitions
    from rigsa.files import write_json
    from rigsa.forecast.cards import CARDS, CPU, card
    from rigsa.forecast.measured import measured
    from rigsa.forecast.plan import make_plan
    from rigsa.forecast.setting import setting_from, with_batches
    from rigsa.forecast.show import show_measured, show_plan
    from rigsa.paths import ResultPaths
    from rigsa.study import load_study

    config = read_config()
    check_config(config)
    study = load_study(options.study)
    paths = ResultPaths(options.results or Path(config["results"]), study.name)
    if options.gpu is not None:
        device = card(options.gpu, "--gpu")
    elif (options.device or resolve_device(config, study)) == CPU:
        device = _this_cpu(options, config["threads"]["train"], study, paths)
    elif config["gpu_card"] is not None:
        device = card(config["gpu_card"], "config.yaml: gpu_card")
    else:
        raise ConfigError(
            f"study {study.name} runs on a GPU; say on which one: --gpu {', '.join(CARDS)}."
        )
    if options.activation_checkpointing is not None:
        config["activation_checkpointing"] = options.activation_checkpointing
    setting = with_batches(setting_from(study, paths, device, config), options.micro_batch_size)
    plan = make_plan(setting, Definitions(study, config).taken())
    print(show_plan(plan))
    finished = measured(plan)
    if finished:
        print(f"\n{show_measured(finished, plan)}")
    if options.json is not None:
        write_json(options.json, plan.as_json())


def _this_cpu(options: Namespace, threads: int, study: "Study", paths: "ResultPaths") -> "Card":
    from rigsa.forecast.shape import study_shape
    from rigsa.forecast.sizes import task_size
    from rigsa.forecast.speed import cpu_card

    rows = round(16 * task_size(study, paths, study.target_task).row)
    gigaflops, gigabytes = options.gflops, options.bandwidth
    return cpu_card(
        study_shape(study, paths),
        rows,
        threads,
        None if gigaflops is None else gigaflops * 1e9,
        None if gigabytes is None else gigabytes * 1e9,
    )


STEPS = (
    Step(
        "plan",
        "Forecast the hours, memory and disk of a study.",
        "Counts operations and bytes of every job from the base model's shape and a table of\n"
        "cards; nothing is loaded or run. Where results are there, compares the forecast to them.",
        (
            STUDY,
            argument("--gpu", metavar="CARD", help="such as rtx4090; a wrong one lists them all"),
            argument("--device", choices=["cpu"], help="forecast for this machine's CPU"),
            argument("--results", type=Path, metavar="DIR", help="default: that of config.yaml"),
            argument(
                "--micro-batch-size",
                type=int,
                metavar="N",
                help="images in one pass; default: that of config.yaml",
            ),
            argument(
                "--activation-checkpointing",
                choices=["auto", "none", "full"],
                help="compute activations again in backward; default: that of config.yaml",
            ),
            argument(
                "--gflops",
                type=float,
                metavar="N",
                help="matrix rate of the CPU; default: measured",
            ),
            argument(
                "--bandwidth",
                type=float,
                metavar="N",
                help="GB/s of the CPU's memory; default: measured",
            ),
            argument("--json", type=Path, metavar="FILE", help="write the forecast of every job"),
        ),
        _plan,
    ),
)
