"""Every mistake in a configuration gives one sentence that names file and key, before any job."""

import os
from pathlib import Path

import pytest
import yaml

from rigsa.config import check_attention, check_config
from rigsa.errors import ConfigError
from rigsa.study import load_study

STUDY, CONFIG = "studies/embedded.yaml", "config.yaml"
BASES, TASKS = "studies/catalog/base_models.yaml", "studies/catalog/tasks.yaml"


def _set(*keys_and_value):
    *keys, last, value = keys_and_value

    def change(content):
        for key in keys:
            content = content[key]
        content[last] = value

    return change


def _drop(*keys):
    *path, last = keys

    def change(content):
        for key in path:
            content = content[key]
        del content[last]

    return change


MASK = ("arms", "rigsa", "mask")
MISTAKES = [
    # file, change, sentence
    (CONFIG, _set("study", "embeded"), "study is 'embeded'; did you mean 'embedded'?"),
    (CONFIG, _set("study", "../x"), "config.yaml: study is '../x', which has characters"),
    (CONFIG, _set("devise", "cpu"), "unknown key devise; did you mean 'device'?"),
    (CONFIG, _set("device", "gpu"), "device is 'gpu'"),
    (CONFIG, _set("micro_batch_size", 0), "micro_batch_size is 0; it must be at least 1"),
    (CONFIG, _set("eval_batch_size", 0), "eval_batch_size is 0; it must be at least 1"),
    (CONFIG, _set("eval_batch_size", "all"), "eval_batch_size is 'all'; There are: auto."),
    (CONFIG, _set("attention", "sdpda"), "attention is 'sdpda'; did you mean 'sdpa'?"),
    (
        CONFIG,
        _set("attention", "flash_attention_2"),
        "attention is flash_attention_2, which needs device cuda, and device is cpu; set attention",
    ),
    (CONFIG, _set("threads", "train", "two"), "threads.train must be of type integer, not 'two'"),
    (CONFIG, _drop("precision"), "lacks the key 'precision'"),
    (STUDY, _set("seeds", []), "studies/embedded.yaml: seeds is empty"),
    (STUDY, _set("seeds", [1, 1]), "seeds names something twice"),
    (STUDY, _set("seeds", 3), "seeds must be of type array, not 3"),
    (STUDY, _set("training", "learning_rat", 1.0), "did you mean 'learning_rate'?"),
    (STUDY, _set("training", "learning_rate", "1e-4"), "not '1e-4' (YAML reads 1e-4 as text"),
    (STUDY, _set("training", "learning_rate", 0), "learning_rate is 0; it must be greater than 0"),
    (STUDY, _set("arms", "rigsa", "trainig", {}), "unknown key arms.rigsa.trainig"),
    (STUDY, _set("arms", "no spaces", {"title": "x"}), "'no spaces', which has characters"),
    (STUDY, _set("arms", "rigsa", "adapter", "type", "lorra"), "did you mean 'lora'?"),
    (STUDY, _set("arms", "rigsa", "adapter", "r", 4), "unknown key arms.rigsa.adapter.r"),
    (STUDY, _set("arms", "qlora_r1", "adapter", "r", 0), "adapter.r is 0; it must be at least 1"),
    (STUDY, _set(*MASK, "density", 0), "density is 0; it must be greater than 0 and at most 1"),
    (STUDY, _set(*MASK, "density", 1.5), "density is 1.5; it must be"),
    (STUDY, _set("arms", "rigsa", "mask", {"rule": "largest", "keep": 0.8}), "rule is 'largest'"),
    (STUDY, _set(*MASK, "keep", 0.8), "exactly one of keep, density, densities, density_of"),
    (STUDY, _drop(*MASK, "density"), "it says none"),
    (
        STUDY,
        _set("arms", "rigsa", "mask", {"rule": "movement", "densities": [1, 0.5, 0.6, 0.1, 0.1]}),
        "densities grows from 0.5 to 0.6 at step 2",
    ),
    (
        STUDY,
        _set("arms", "rigsa", "mask", {"rule": "movement", "densities": [1, 0.5]}),
        "needs one for each of the 5 iterations",
    ),
    (STUDY, _set("arms", "rigsa", "iterations", 1), "set iterations to 2 or more"),
    (STUDY, _drop("arms", "rigsa", "mask"), "arms.rigsa.iterations needs a mask rule"),
    (STUDY, _drop("arms", "rigsa", "adapter"), "arms.rigsa.mask needs an adapter"),
    (
        STUDY,
        _set("arms", "random_mask", "mask", "density_of", "rigsaw"),
        "arms.random_mask.mask.density_of is 'rigsaw', which is no arm with a mask; did you mean",
    ),
    (
        STUDY,
        _set("arms", "random_mask", "mask", "density_of", "qlora_r1"),
        "which is no arm with a mask",
    ),
    (
        STUDY,
        _set("arms", "qlora_r1", "mask", {"rule": "random", "density": 0.1}),
        "masks are for sparse_delta",
    ),
    (BASES, _drop("embedded", "four_bit"), "arms.base_4bit.base is four_bit, but"),
    (STUDY, _set("arms", "rigsa", "base", "four_bit"), "a sparse delta needs base: full"),
    (STUDY, _set("base_model", "embeded"), "base_model is 'embeded'; did you mean 'embedded'?"),
    (STUDY, _set("target_task", "digits"), "target_task is 'digits'"),
    (STUDY, _set("source_tasks", ["tiny_gms"]), "did you mean 'tiny_gsm'?"),
    (STUDY, _set("benchmarks", "tiny_gsm", "task", "gsm"), "benchmarks.tiny_gsm.task is 'gsm'"),
    (STUDY, _set("benchmarks", "tiny_gsm", "fewshot", -1), "fewshot is -1; it must be at least 0"),
    (STUDY, _set("benchmarks", "tiny_gsm", "sampler", "first"), "did you mean 'first_n'?"),
    (
        STUDY,
        _set("benchmarks", "textual_digits_5shot", "arms", ["x"]),
        "benchmarks.textual_digits_5shot.arms names 'x'",
    ),
    (STUDY, _drop("benchmarks", "tiny_piqa"), "no benchmark asks source task 'tiny_piqa'"),
    (TASKS, _set("tiny_gsm", "counts", "test", "many"), "tiny_gsm.counts.test must be of type"),
    (TASKS, _set("tiny_gsm", "generator", "gsm"), "generator is 'gsm'"),
    (TASKS, _set("textual_mnist_small", "subset_of", "mnist"), "subset_of is 'mnist', which is no"),
    (TASKS, _set("textual_mnist_small", "subset_of", "tiny_gsm"), "which is no task of images"),
    (TASKS, _set("piqa", "hub", "repository", 3), "piqa.hub.repository must be of type string"),
    (CONFIG, _set("data_dir", {"piqa": 3}), "data_dir.piqa must be of type string, not 3"),
    (BASES, _drop("smollm2_instruct", "repository"), "lacks the key 'repository'"),
    (BASES, _set("smollm2_instruct", "source", "hube"), "did you mean 'hub'?"),
    (BASES, _set("smollm2_instruct", "four_bit", {"folder": 3}), "smollm2_instruct.four_bit"),
    (BASES, _set("embedded", "training", "steps", 0.5), "training.steps must be of type integer"),
    (BASES, _set("embedded", "tasks", ["tiny_gsm", "x"]), "embedded.tasks names 'x'"),
]


def _load() -> None:
    config = yaml.safe_load(Path("config.yaml").read_text())
    check_config(config)
    check_attention(config, load_study(config["study"]))


@pytest.mark.parametrize(
    ("file", "change", "sentence"), MISTAKES, ids=[f"{m[0]} {m[2][:40]}" for m in MISTAKES]
)
def test_a_mistake_is_one_sentence(project, file: str, change, sentence: str) -> None:
    project.edit(file, change)
    with pytest.raises(ConfigError) as caught:
        _load()
    message = str(caught.value)
    assert sentence in message
    assert message.startswith(("config.yaml: ", "studies/"))
    assert "\n" not in message
    assert message.endswith(".")


def test_the_files_as_they_are_have_no_mistake(project) -> None:
    _load()


def test_yaml_that_is_no_yaml_is_named_with_its_line(project) -> None:
    Path(STUDY).write_text("title: x\narms: [a\nseeds: b: c\n")
    with pytest.raises(ConfigError, match=r"studies/embedded\.yaml:3:\d+: this is not valid YAML"):
        load_study("embedded")


def test_a_results_folder_that_cannot_be_written_is_named(project) -> None:
    config = yaml.safe_load(Path("config.yaml").read_text())
    Path("a_file").write_text("")
    with pytest.raises(ConfigError, match=r"results is 'a_file/here', but .*a_file is a file"):
        check_config({**config, "results": "a_file/here"})
    if os.geteuid() != 0:  # root may write everywhere
        Path("locked").mkdir(mode=0o500)
        with pytest.raises(ConfigError, match="is not writable"):
            check_config({**config, "results": "locked/here"})


def test_snakemake_says_it_without_a_traceback_and_starts_nothing(project) -> None:
    project.edit(STUDY, _set("training", "learning_rate", "1e-4"))
    done = project.snakemake("--cores", "1")
    assert done.returncode == 1
    assert "Error: studies/embedded.yaml: training.learning_rate must be" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not Path("results").exists()


def test_a_step_says_it_without_a_traceback(project, capsys) -> None:
    from rigsa.cli import main

    assert main(["task-data", "{nonsense", "--output", "x"]) == 1
    assert capsys.readouterr().err.startswith("rigsa task-data: SPEC is not valid JSON")
