"""Stock piqa, hellaswag and gsm8k on a merged folder: our answers are the stock command line's."""

from pathlib import Path

import lm_eval.tasks
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from rigsa.cli import main
from rigsa.evaluation.evaluate import evaluate
from rigsa.files import write_json
from rigsa.machine import Machine
from rigsa.models.loading import load_checkpoint
from tests.evaluation.adapted import adapted
from tests.evaluation.conftest import tiny_config
from tests.evaluation.stock import ask_stock, local

STOCK = Path(lm_eval.tasks.__file__).parent
# The paper's numbers of examples; of HellaSwag there are no training rows.
FEWSHOT = {"piqa": 3, "hellaswag": 0, "gsm8k": 5}
LIMIT = 10


@pytest.fixture(scope="module")
def checkpoint(smollm2_tokenizer, tmp_path_factory):
    """(base model folder, checkpoint folder): a random Llama that speaks SmolLM2's tokens."""
    folder = tmp_path_factory.mktemp("study")
    config = tiny_config(smollm2_tokenizer)
    config.max_position_embeddings = 4096
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder / "base")
    smollm2_tokenizer.save_pretrained(folder / "base")
    base = AutoModelForCausalLM.from_pretrained(folder / "base")
    adapted(base, "sparse_delta").save_pretrained(folder / "step4" / "adapter")
    spec = {"quantization": None, "precision": "float32"}
    write_json(folder / "step4" / "training.json", {"spec": spec})
    return folder / "base", folder / "step4"


@pytest.fixture(scope="module")
def stock(checkpoint, real_files, tmp_path_factory):
    """What the stock command line says of the merged folder."""
    folder = tmp_path_factory.mktemp("stock")
    base, adapter = checkpoint
    flags = ["--checkpoint", str(adapter), "--base-model", str(base)]
    assert main(["merge", *flags, "--output", str(folder / "merged")]) == 0
    (folder / "tasks").mkdir()
    tasks = {
        task: {
            "include": str(STOCK / task / f"{task}.yaml"),
            "num_fewshot": FEWSHOT[task],
            **local(real_files[task]),
        }
        for task in FEWSHOT
    }
    return ask_stock(folder / "merged", tasks, folder / "tasks", "--limit", str(LIMIT))


@pytest.mark.parametrize("task", list(FEWSHOT))
def test_every_answer_is_the_stock_answer_on_the_merged_folder(
    checkpoint, smollm2_tokenizer, real_files, stock, task
):
    base, adapter = checkpoint
    model = load_checkpoint(base, adapter / "adapter", Machine(), None)
    ours = evaluate(model, smollm2_tokenizer, task, real_files[task], FEWSHOT[task], LIMIT)
    # gsm8k has a row for each of its two filters; the first one's metrics have the plain names.
    first = stock[task][0]["filter"]
    expected = [row for row in stock[task] if row["filter"] == first]
    assert len(expected) == ours.n == LIMIT
    assert ours.score == sum(row[ours.metric] for row in expected) / LIMIT
    for theirs, sample in zip(expected, ours.samples, strict=True):
        assert sample["doc_id"] == theirs["doc_id"]
        for metric in theirs["metrics"]:
            assert sample[metric] == theirs[metric]
        if task == "gsm8k":
            assert sample["response"] == theirs["resps"][0][0]
            assert sample["answer"] == theirs["filtered_resps"][0]
        else:
            likelihoods = [float(likelihood) for likelihood, _ in theirs["filtered_resps"]]
            assert sample["response"] == _choices(theirs)[likelihoods.index(max(likelihoods))]
    assert len({sample["response"] for sample in ours.samples}) > 1


def _choices(sample: dict) -> list[str]:
    doc = sample["doc"]
    return [doc["sol1"], doc["sol2"]] if "sol1" in doc else doc["choices"]
