"""Rows of source tasks in every batch: which, how many, what they teach; resumable to the byte."""

import json

import pytest
import torch
import torch.nn.functional as F

from rigsa.adapters.build import build_adapter
from rigsa.batches import optimizer_steps, replayed
from rigsa.cli import main
from rigsa.errors import ConfigError, RigsaError
from rigsa.evaluation.job import evaluate_checkpoint
from rigsa.files import read_json, read_jsonl, write_jsonl
from rigsa.machine import Machine
from rigsa.models.loading import load_base, load_tokenizer
from rigsa.paths import CheckpointPaths
from rigsa.training import trainer as trainer_module
from rigsa.training.data import IGNORED, ORIGINAL, Collator, marked
from rigsa.training.job import train
from rigsa.training.loss import answer_loss
from rigsa.training.order import Batches
from rigsa.training.replay import replay_rows
from tests.training.test_job import SPEC
from tests.training.test_resume import TIMED, Killed

GSM = [
    {"question": f"Anna has {n} cups and buys 2 more. How many?", "answer": f"{n}+2={n + 2}"}
    for n in range(3)
]
PIQA = [{"goal": f"Open box {n}.", "sol1": "Lift the lid.", "sol2": "Sing.", "label": n % 2}
        for n in range(2)]  # fmt: skip
TASKS = [{"task": "gsm", "lm_eval": "tiny_gsm"}, {"task": "piqa", "lm_eval": "tiny_piqa"}]
TRAINING = {**SPEC["training"], "replay": {"share": 0.25, "tasks": ["gsm", "piqa"]}}
STEPS = 16  # 2 epochs of 48 rows, 6 of them in a batch of 8.
NEUTRAL = {"type": "neutral_residues", "width": 8, "coefficient": 0.1}
REPLAYED = {**SPEC, "adapter": NEUTRAL, "training": TRAINING, "replayed": TASKS}


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    folders = []
    for name, docs in (("gsm", GSM), ("piqa", PIQA)):
        folders.append(tmp_path_factory.mktemp(name))
        write_jsonl(folders[-1] / "train.jsonl", docs)
    return folders


@pytest.fixture
def job(small_study, sources, tmp_path, monkeypatch):
    """Trains in a folder; `end` is the pass in which it is killed."""

    def run(name, end=0, machine=None, **changes):
        passes = []

        def counted(*args):
            passes.append(args[1])
            if len(passes) == end:
                raise Killed
            return answer_loss(*args)

        monkeypatch.setattr(trainer_module, "answer_loss", counted)
        checkpoint = CheckpointPaths(tmp_path / name / "arm" / "seed0" / "step0")
        machine = machine or Machine(checkpoint_steps=2)
        spec = {**REPLAYED, **changes}
        kept = tmp_path / name / "unfinished" / "train"
        train(spec, *small_study, None, checkpoint, machine, kept, replay_data=sources)
        return checkpoint, passes

    return run


def _text(row, tokenizer) -> tuple[str, str]:
    answer = row["labels"] != IGNORED
    assert (row["labels"][answer] == row["input_ids"][answer]).all()
    return tokenizer.decode(row["input_ids"][~answer]), tokenizer.decode(row["input_ids"][answer])


def test_rows_take_turns_and_teach_the_answer(small_study, sources) -> None:
    tokenizer = load_tokenizer(small_study[0])
    rows = replay_rows(TASKS, sources, tokenizer, seed=0, count=9)
    again = replay_rows(TASKS, sources, tokenizer, seed=0, count=5)
    texts = [_text(row, tokenizer) for row in rows]
    assert texts[:5] == [_text(row, tokenizer) for row in again]
    for row in rows:
        assert (row[ORIGINAL] == 1).all()
    gsm, piqa = texts[::2], texts[1::2]
    # Every item comes once before one comes twice.
    assert len(set(gsm[:3])) == 3
    assert len(set(piqa[:2])) == 2
    answers = {doc["question"]: doc["answer"] for doc in GSM}
    for question, answer in gsm:
        (asked,) = [text for text in answers if text in question]
        assert answer == answers[asked]
        assert question.startswith("<|im_start|>")
    for question, answer in piqa:
        (doc,) = [doc for doc in PIQA if doc["goal"] in question]
        assert answer == doc["sol2" if doc["label"] else "sol1"]
    assert texts != [_text(r, tokenizer) for r in replay_rows(TASKS, sources, tokenizer, 1, 9)]


def test_a_task_without_the_chat_is_plain_text(small_study, sources) -> None:
    tokenizer = load_tokenizer(small_study[0])
    (row,) = replay_rows([{**TASKS[1], "chat": False}], sources[1:], tokenizer, 0, 1)
    question, answer = _text(row, tokenizer)
    assert question in [f"Question: {doc['goal']}\nAnswer:" for doc in PIQA]
    assert answer in {" Lift the lid.", " Sing."}


def test_a_task_without_training_items_is_refused(small_study, tmp_path) -> None:
    (tmp_path / "train.jsonl").touch()
    with pytest.raises(RigsaError, match="tasks names 'gsm', which has no training items in"):
        replay_rows(TASKS[:1], [tmp_path], load_tokenizer(small_study[0]), 0, 1)


def test_as_many_folders_as_tasks_are_wanted(small_study, tmp_path, capsys) -> None:
    folders = ["--base-model", str(small_study[0]), "--task-data", str(small_study[1])]
    whole = {k: v for k, v in REPLAYED.items() if k != "replayed"}
    for spec, sentence in (
        (REPLAYED, "--replay-data has 0 folders, and the SPEC replays 2 tasks (gsm, piqa); give"),
        (whole, "SPEC lacks the key 'replayed'"),
    ):
        assert main(["train", json.dumps(spec), *folders, "--output", str(tmp_path)]) == 1
        assert sentence in capsys.readouterr().err


def test_how_many_rows_and_steps() -> None:
    assert replayed(SPEC["training"]) == 0
    assert replayed(TRAINING) == 2
    assert optimizer_steps(TRAINING, 48) == STEPS
    assert replayed({"batch_size": 16, "replay": {"share": 0.1}}) == 2
    with pytest.raises(ConfigError, match=r"replay.share is 0.1, which is 0 of the 4 rows"):
        replayed({"batch_size": 4, "replay": {"share": 0.1}})


def test_batches_from_any_step_are_those_of_the_whole() -> None:
    whole = Batches(range(10), 4, 6, seed=1, replay=range(100, 112))
    later = Batches(range(10), 4, 6, seed=1, start=4, replay=range(100, 112))
    assert [later[i] for i in range(2)] == [whole[i] for i in (4, 5)]
    assert [batch[-2:] for batch in whole] == [[100 + 2 * i, 101 + 2 * i] for i in range(6)]
    plain = Batches(range(10), 4, 6, seed=1)
    assert [batch[:-2] for batch in whole] == [list(batch) for batch in plain]


def test_each_row_counts_as_much_as_another(small_study, sources) -> None:
    """In a mixed batch: a worked answer of many tokens as much as a digit."""
    model, tokenizer = load_base(small_study[0], Machine()), load_tokenizer(small_study[0])
    rows = replay_rows(TASKS, sources, tokenizer, 0, 4)
    rows.append(marked({k: v for k, v in rows[0].items() if k != ORIGINAL}, original=False))
    batch = Collator(0)(rows)
    assert batch[ORIGINAL].sum(dim=1).tolist() == [*(len(r["labels"]) for r in rows[:4]), 0]
    means = []
    for row in rows:
        ids = torch.tensor(row["input_ids"]).long()[None]
        labels = torch.tensor(row["labels"]).long()
        means.append(F.cross_entropy(model(ids).logits[0, :-1], labels[1:]))
    torch.testing.assert_close(answer_loss(model, batch, 5), sum(means) / 5)


def test_every_batch_has_its_share(job) -> None:
    checkpoint, passes = job("whole", machine=Machine(micro_batch_size=3))
    assert len(passes) == 3 * STEPS
    for i in range(0, len(passes), 3):
        marks = torch.cat([part[ORIGINAL].sum(dim=1) for part in passes[i : i + 3]])
        assert (marks > 0).sum() == 2
        assert len(marks) == 8
        assert marks.sum().item() == pytest.approx(1)
    rows = read_jsonl(checkpoint.training_log)
    assert rows[-1]["epoch"] == 2
    assert read_json(checkpoint.training)["steps"] == STEPS


@pytest.mark.parametrize("adapter", [NEUTRAL, {"type": "lora", "r": 2, "lora_dropout": 0.3}])
def test_it_goes_on_to_the_byte(adapter, job) -> None:
    def content(checkpoint):
        rows = read_jsonl(checkpoint.training_log)
        rows = [{k: v for k, v in row.items() if k not in TIMED} for row in rows]
        return [file.read_bytes() for file in checkpoint.adapter_files], rows

    whole, passes = job("whole", adapter=adapter)
    assert len(passes) == STEPS
    for end in (6, 4):
        with pytest.raises(Killed):
            job("broken", end=end, adapter=adapter)
    broken, passes = job("broken", adapter=adapter)
    assert len(passes) == STEPS - 6
    assert content(broken) == content(whole)


def test_the_penalty_keeps_the_source_tasks_outputs_small(job, small_study, sources) -> None:
    def size(checkpoint) -> float:
        model = build_adapter(load_base(small_study[0], Machine()), NEUTRAL, 0, None)
        model.load_adapter(checkpoint.adapter, "default")
        rows = replay_rows(TASKS, sources, load_tokenizer(small_study[0]), 0, 5)
        batch = Collator(0)(rows)
        with torch.no_grad(), model.extra_loss({ORIGINAL: batch[ORIGINAL].float()}) as extra:
            model(input_ids=batch["input_ids"])
            return float(extra())

    without = size(job("without", adapter={**NEUTRAL, "coefficient": 0})[0])
    with_penalty = size(job("with", adapter={**NEUTRAL, "coefficient": 10.0})[0])
    assert 0 < with_penalty < 0.5 * without


def test_the_checkpoint_is_asked_with_its_adapter_on_it(job, small_study, tmp_path) -> None:
    base, task = small_study
    checkpoint, _ = job("whole", machine=Machine(activation_checkpointing="full"))
    spec = {
        **{key: SPEC[key] for key in ("quantization", "precision", "task")},
        **{"benchmark": "digits", "lm_eval": "textual_digits", "fewshot": 0, "limit": 20},
        "metric": "exact_match",
        "method": "neutral_residues",
    }
    write_jsonl(tmp_path / "data" / "test.jsonl", read_jsonl(task / "validation.jsonl"))
    found = {}
    for name, adapter in (("base", None), ("adapted", checkpoint.adapter)):
        output = tmp_path / name / "digits.json"
        evaluate_checkpoint(spec, base, tmp_path / "data", adapter, output, Machine())
        found[name] = read_json(output)["score"]
    validation = read_json(checkpoint.training)["validation_accuracy"]
    assert found["adapted"] == pytest.approx(validation)
    assert found["base"] != found["adapted"]
