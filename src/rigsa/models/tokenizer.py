"""The embedded tokenizer, in SmolLM2's manner: byte-level BPE, one token a digit, ChatML."""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from rigsa.tasks.textual_digits import ANSWER_OPENING, QUESTION

END_OF_TEXT, TURN_START, TURN_END, PADDING = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|pad|>",
)

# ChatML without a default system turn: five examples before a question are five turns and no more.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def build_tokenizer(
    texts: Iterable[str], vocabulary: int = 1024, longest: int = 1024
) -> PreTrainedTokenizerFast:
    """Learns at most `vocabulary` tokens from the texts; any text comes back from them unchanged.

    `longest` is the number of tokens that the model has places for.
    """
    tokenizer = Tokenizer(models.BPE())
    # Digits first: a space before a number is then a token of its own, and so is each digit.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT, TURN_START, TURN_END, PADDING],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # A tokenizer knows words that its model has yet to learn: those of the chat template, and of
    # the question that comes with an image, which would else be spelt in two rows' tokens.
    words = ["user", "assistant", "system", QUESTION, ANSWER_OPENING] * 100
    tokenizer.train_from_iterator([*texts, *words], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=TURN_START,
        eos_token=TURN_END,
        pad_token=PADDING,
        unk_token=END_OF_TEXT,
        additional_special_tokens=[END_OF_TEXT],
        chat_template=CHAT_TEMPLATE,
        model_max_length=longest,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )
