"""The embedded tokenizer: lossless, one token a digit, ChatML, prompts that may end in a space."""

import pytest

from rigsa.models.tokenizer import build_tokenizer
from rigsa.tasks import generated

TASKS = ("tiny_gsm", "tiny_piqa", "tiny_hellaswag")


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [
        turn["content"]
        for task in TASKS
        for doc in generated.generate(task, 0, {"train": 3000})["train"]
        for turn in generated.generator(task).messages(doc)
    ]


@pytest.fixture(scope="module")
def tokenizer(texts):
    return build_tokenizer(texts, 1400)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n",
        "The digit is ",
        "Größe: 10 €\t(二つ)\n\n  1234567890",
        "0123\n4567",
        "\x00 🙂 ½",
    ],
)
def test_any_text_comes_back(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_training_text_comes_back_and_its_words_are_single_tokens(tokenizer, texts):
    for text in texts[::50]:
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    words = {word.strip(".,?") for text in texts for word in text.split() if word.isalpha()}
    single = [
        word for word in words if 1 in (len(tokenizer.tokenize(w)) for w in (word, f" {word}"))
    ]
    assert len(single) / len(words) > 0.97
    assert len(tokenizer) < 1200


def test_digits_newlines_and_chat_marks_are_single_tokens(tokenizer):
    assert tokenizer.tokenize("0123456789") == list("0123456789")
    rows = "0123\n4567\n"
    assert len(tokenizer.tokenize(rows)) == len(rows)
    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"]
    assert tokenizer.tokenize("".join(marks)) == marks
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.pad_token != tokenizer.eos_token


def test_answer_prefix_ends_in_a_space_token_that_stays_when_a_digit_follows(tokenizer):
    prefix = tokenizer("The digit is ")["input_ids"]
    assert tokenizer.decode(prefix[-1:]) == " "
    assert tokenizer("The digit is 7")["input_ids"] == [*prefix, *tokenizer("7")["input_ids"]]


def test_chat_template_is_chatml_without_a_default_system_turn(tokenizer):
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "The digit is "}]
    whole = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nThe digit is <|im_end|>\n"
    opened = whole.removesuffix("<|im_end|>\n")
    assert tokenizer.apply_chat_template(chat, tokenize=False) == whole
    continued = tokenizer.apply_chat_template(chat, tokenize=False, continue_final_message=True)
    assert continued == opened
    asked = tokenizer.apply_chat_template(chat[:1], tokenize=False, add_generation_prompt=True)
    assert asked == opened.removesuffix("The digit is ")


def test_saved_tokenizer_is_the_same(tokenizer, texts, tmp_path):
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.chat_template == tokenizer.chat_template
    for text in [*texts[:20], "The digit is ", "<|im_start|>user\n01\n<|im_end|>"]:
        assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"]
