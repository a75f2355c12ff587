"""Scores of models whose answers are known, and agreement of samples with the aggregate."""

from pathlib import Path

import pytest

from rigsa.errors import RigsaError
from rigsa.evaluation.evaluate import evaluate
from rigsa.files import read_jsonl, write_jsonl

TASKS = ["textual_digits", "tiny_gsm", "tiny_piqa", "tiny_hellaswag"]


@pytest.fixture(scope="module")
def rigged(tiny):
    """Makes a model that says `answer(image)` after any prompt that ends with this image."""
    import torch
    from transformers import LlamaForCausalLM
    from transformers.modeling_outputs import CausalLMOutputWithPast

    model, tokenizer = tiny

    class Rigged(LlamaForCausalLM):
        def forward(self, input_ids, past_key_values=None, **_):
            logits = torch.zeros(len(input_ids), 1, len(tokenizer))
            for row, tokens in enumerate(input_ids):
                text = tokenizer.decode(tokens)
                image, ended, _ = text.rpartition("this?\n")[2].partition("<|im_end|>")
                if not ended:
                    continue  # what all prompts begin with; this model keeps nothing of it
                (token,) = tokenizer.encode(self.answer(image), add_special_tokens=False)
                logits[row, 0, token] = 1
            return CausalLMOutputWithPast(logits=logits, past_key_values=past_key_values)

    def make(answer):
        made = Rigged(model.config)
        made.answer = answer
        return made, tokenizer

    return make


def labels(path: str) -> dict[str, int]:
    return {doc["image"]: doc["label"] for doc in read_jsonl(Path(path))}


@pytest.mark.parametrize("fewshot", [0, 2])
def test_a_model_that_knows_the_label_scores_one(rigged, data_files, fewshot):
    files = data_files["textual_digits"]
    known = labels(files["test"])
    model, tokenizer = rigged(lambda image: str(known[image]))
    result = evaluate(model, tokenizer, "textual_digits", files, fewshot, limit=100)
    assert (result.score, result.stderr, result.n) == (1.0, 0.0, 100)
    assert all(sample["response"] == sample["target"] for sample in result.samples)


@pytest.mark.parametrize("shift", ["other digit", "word", "end of turn"])
def test_anything_but_the_right_digit_is_wrong(rigged, data_files, shift):
    files = data_files["textual_digits"]
    known = labels(files["test"])
    model, tokenizer = rigged(
        {
            "other digit": lambda image: str((known[image] + 1) % 10),
            "word": lambda image: "a",
            "end of turn": lambda image: "<|im_end|>",
        }[shift]
    )
    result = evaluate(model, tokenizer, "textual_digits", files, limit=30)
    assert (result.score, result.stderr, result.n) == (0.0, 0.0, 30)


def test_half_right_has_the_textbook_standard_error(rigged, data_files):
    files = data_files["textual_digits"]
    known = labels(files["test"])
    right = set(list(known)[:100:2])
    model, tokenizer = rigged(lambda image: str((known[image] + (image not in right)) % 10))
    result = evaluate(model, tokenizer, "textual_digits", files, limit=100)
    assert result.score == 0.5
    assert result.stderr == pytest.approx((0.25 / 99) ** 0.5)


@pytest.mark.parametrize("task", TASKS)
def test_samples_agree_with_the_aggregate_and_repeat(tiny, data_files, task):
    results = [evaluate(*tiny, task, data_files[task], fewshot=1, limit=20) for _ in range(2)]
    first, again = results
    assert first.samples == again.samples
    assert [sample["doc_id"] for sample in first.samples] == list(range(20))
    assert first.score == pytest.approx(sum(s["score"] for s in first.samples) / 20)
    for metric, mean in first.metrics.items():
        assert mean == pytest.approx(sum(s[metric] for s in first.samples) / 20)
    assert first.metrics[first.metric] == first.score
    if task in ("tiny_piqa", "tiny_hellaswag"):
        assert {"acc", "acc_norm"} == set(first.metrics)
        for sample in first.samples:
            assert (sample["response"] == sample["target"]) == bool(sample["acc"])


def test_another_metric_can_be_the_one_that_counts(tiny, data_files):
    files = data_files["tiny_piqa"]
    result = evaluate(*tiny, "tiny_piqa", files, limit=20, metric="acc_norm")
    assert result.score == result.metrics["acc_norm"]
    with pytest.raises(RigsaError, match=r"metric is 'accuracy'; this task has acc, acc_norm"):
        evaluate(*tiny, "tiny_piqa", files, limit=5, metric="accuracy")


def test_the_batch_size_does_not_change_answers(tiny, data_files):
    files = data_files["tiny_gsm"]
    one, many = (
        evaluate(*tiny, "tiny_gsm", files, fewshot=2, limit=20, batch_size=size) for size in (1, 16)
    )
    assert [s["response"] for s in one.samples] == [s["response"] for s in many.samples]


def test_unknown_task_missing_split_and_corrupt_file_are_one_sentence(tiny, data_files, tmp_path):
    files = data_files["tiny_piqa"]
    with pytest.raises(RigsaError, match="Task 'tiny_pika' is neither"):
        evaluate(*tiny, "tiny_pika", files)
    with pytest.raises(RigsaError, match="needs a data file for its split 'train'"):
        evaluate(*tiny, "tiny_piqa", {"test": files["test"]}, fewshot=2)
    with pytest.raises(RigsaError, match="fewshot is 40, but task tiny_piqa has only 40"):
        evaluate(*tiny, "tiny_piqa", files, fewshot=40)
    (tmp_path / "broken.jsonl").write_text('{"goal": "x"')
    with pytest.raises(RigsaError, match=r"broken\.jsonl:1 is not valid JSON"):
        evaluate(*tiny, "tiny_piqa", {"test": str(tmp_path / "broken.jsonl")})


def test_a_prompt_longer_than_the_model_is_refused_not_cut(tiny, tmp_path):
    path = tmp_path / "test.jsonl"
    write_jsonl(path, [{"image": "0" * 2000, "label": 1, "index": 0}])
    with pytest.raises(RigsaError, match="but the base model has room for 1023"):
        evaluate(*tiny, "textual_digits", {"test": str(path)})
    write_jsonl(path, [{"goal": "0" * 2000, "sol1": "a", "sol2": "b", "label": 1}])
    with pytest.raises(RigsaError, match="but the base model has room for 1024"):
        evaluate(*tiny, "tiny_piqa", {"test": str(path)})


def test_a_perplexity_is_of_all_items_together(tiny, data_files):
    """exp of the mean negative log-likelihood of an answer, each computed by itself here.

    The answer's first character is given, and not the line's end before it, which the template has.
    """
    import math

    import torch

    model, tokenizer = tiny
    result = evaluate(
        model, tokenizer, "tiny_gsm_text", data_files["tiny_gsm"], limit=3, metric="acc"
    )
    found = []
    for doc in read_jsonl(Path(data_files["tiny_gsm"]["test"]))[:3]:
        turn = [{"role": "user", "content": f"Question: {doc['question']}\nAnswer:"}]
        asked = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        texts = asked + doc["answer"][:1], doc["answer"][1:]
        ids = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
        with torch.no_grad():
            logits = model(torch.tensor([ids[0] + ids[1]])).logits[0].log_softmax(dim=-1)
        places = range(len(ids[0]) - 1, len(ids[0]) + len(ids[1]) - 1)
        found.append(sum(logits[p, i].item() for p, i in zip(places, ids[1], strict=True)))
    assert [sample["perplexity"] for sample in result.samples] == pytest.approx(found, rel=1e-4)
    assert result.metrics["perplexity"] == pytest.approx(math.exp(-sum(found) / 3), rel=1e-4)
    assert result.metric == "acc"
