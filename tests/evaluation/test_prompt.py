"""The few-shot prompt of Textual Digits is ChatML written out by hand, token by token."""

from pathlib import Path

import pytest

from rigsa.evaluation.harness import harness
from rigsa.evaluation.task import load_task
from rigsa.files import read_jsonl

QUESTION = "Which handwritten digit is this?\n"
SYSTEM = (
    "<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
)


def prompts(tokenizer, data_files, task: str, fewshot: int, count: int = 3):
    """The prompts of the first items, with the few-shot examples that were drawn for them."""
    from lm_eval.models.huggingface import HFLM

    class Templates(HFLM):
        def __init__(self):
            self.tokenizer, self.chat_template_args = tokenizer, {}

    with harness():
        loaded = load_task(task, data_files, fewshot, 1234)
        drawn = []
        sample = loaded.sampler.sample
        loaded.sampler.sample = lambda *a, **k: drawn.append(sample(*a, **k)) or drawn[-1]
        loaded.build_all_requests(
            limit=count,
            apply_chat_template=True,
            fewshot_as_multiturn=True,
            chat_template=Templates().apply_chat_template,
        )
    return [instance.args[0] for instance in loaded.instances], drawn


@pytest.mark.parametrize("task", ["textual_digits", "textual_mnist"])
def test_prompt_is_chatml_to_the_token(smollm2_tokenizer, data_files, task):
    files = data_files["textual_digits"]
    made, drawn = prompts(smollm2_tokenizer, files, task, fewshot=5)
    docs = read_jsonl(Path(files["test"]))
    for prompt, doc, examples in zip(made, docs, drawn, strict=False):
        expected = SYSTEM
        for example in examples:
            expected += f"<|im_start|>user\n{QUESTION}{example['image']}<|im_end|>\n"
            expected += f"<|im_start|>assistant\nThe digit is {example['label']}<|im_end|>\n"
        expected += f"<|im_start|>user\n{QUESTION}{doc['image']}<|im_end|>\n"
        expected += "<|im_start|>assistant\nThe digit is "
        assert prompt == expected
        tokens = smollm2_tokenizer(prompt, add_special_tokens=False).input_ids
        # The kept trailing space is a token, and the answer is exactly one more.
        assert smollm2_tokenizer.decode(tokens[-1:]) == " "
        answer = smollm2_tokenizer(f"{prompt}{doc['label']}", add_special_tokens=False).input_ids
        assert answer[:-1] == tokens
        assert smollm2_tokenizer.decode(answer[-1:]) == str(doc["label"])
        turns = smollm2_tokenizer.convert_tokens_to_ids("<|im_start|>")
        assert tokens.count(turns) == 1 + 2 * len(examples) + 2


def test_examples_come_from_the_training_split(smollm2_tokenizer, data_files):
    files = data_files["textual_digits"]
    _, drawn = prompts(smollm2_tokenizer, files, "textual_digits", fewshot=5)
    train = {doc["index"] for doc in read_jsonl(Path(files["train"]))}
    assert all(example["index"] in train for examples in drawn for example in examples)
    assert len(drawn) == 3


def test_training_turns_are_what_the_evaluation_asks(smollm2_tokenizer, data_files):
    from rigsa.tasks.textual_digits import messages

    files = data_files["textual_digits"]
    (prompt, *_), _ = prompts(smollm2_tokenizer, files, "textual_digits", fewshot=0)
    doc = read_jsonl(Path(files["test"]))[0]
    trained = smollm2_tokenizer.apply_chat_template(messages(doc), tokenize=False)
    assert trained == f"{prompt}{doc['label']}<|im_end|>\n"
