"""A chat with an adapted model: in the terminal, and as the turns of figure 6."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rigsa.printable import printable
from rigsa.tasks.textual_digits import ANSWER_OPENING, messages

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TextStreamer

Turn = dict[str, str]

LONGEST_REPLY = 200
LONGEST_SHOWN = 60  # in figure 6; a model that forgot how to end a turn would fill the page
HELP = """\
Write to the model, or:
  /digit N   show it test image N and let it say which digit that is
  /reset     forget what was said
  /quit      leave (so does Ctrl-D)"""


def reply(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    turns: Sequence[Turn],
    opening: str = "",
    longest: int = LONGEST_REPLY,
    streamer: "TextStreamer | None" = None,
) -> str:
    """The assistant's next turn, greedily, beginning with `opening`; at most `longest` new tokens.

    Where the chat has grown too long for the model, its oldest turns are left out.
    """
    import torch

    room = model.config.max_position_embeddings - longest
    kept = list(turns)
    tokens = _prompt(tokenizer, kept, opening)
    while tokens.shape[1] > room and len(kept) > 1:
        kept = kept[2:] or kept[-1:]
        tokens = _prompt(tokenizer, kept, opening)
    tokens = tokens.to(model.device)
    with torch.no_grad():
        output = model.generate(
            input_ids=tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=longest,
            do_sample=False,
            use_cache=True,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            streamer=streamer,
        )
    return opening + tokenizer.decode(output[0, tokens.shape[1] :], skip_special_tokens=True)


def read_digit(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    turns: Sequence[Turn],
    doc: Mapping[str, Any],
    streamer: "TextStreamer | None" = None,
) -> list[Turn]:
    """Two turns: the model is shown an image, and says one token after "The digit is "."""
    question = messages(doc)[0]
    said = reply(model, tokenizer, [*turns, question], ANSWER_OPENING, 1, streamer)
    return [question, {"role": "assistant", "content": said}]


def sample_chat(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    questions: Sequence[str],
    digit_doc: Mapping[str, Any],
) -> list[Turn]:
    """The turns of figure 6: questions with the model's replies, and at last an image it reads.

    Each is asked in a chat of its own, as in the benchmarks: what came before would be an example.
    """
    turns: list[Turn] = []
    for question in questions:
        asked = {"role": "user", "content": question}
        said = reply(model, tokenizer, [asked], longest=LONGEST_SHOWN).strip()
        turns += [asked, {"role": "assistant", "content": said}]
    return turns + read_digit(model, tokenizer, [], digit_doc)


def chat(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    digits: Sequence[Mapping[str, Any]],
    ask: Callable[[str], str] = input,
) -> None:
    """Talks in the terminal until /quit or the end of the input; `digits` are the test images."""
    from transformers import TextStreamer

    streamer = TextStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    say = streamer.on_finalized_text
    streamer.on_finalized_text = lambda text, stream_end=False: say(printable(text), stream_end)
    turns: list[Turn] = []
    print(HELP)
    while (line := _line(ask)) is not None:
        command, _, rest = line.partition(" ")
        if command == "/quit":
            return
        if command == "/reset":
            turns = []
        elif command == "/digit":
            doc = _digit(digits, rest)
            if doc is not None:
                print(messages(doc)[0]["content"])
                print(ANSWER_OPENING, end="", flush=True)
                turns += read_digit(model, tokenizer, turns, doc, streamer)
                print(f"(it is {doc['label']})")
        elif command.startswith("/"):
            print(HELP)
        elif line:
            turns.append({"role": "user", "content": line})
            said = reply(model, tokenizer, turns, streamer=streamer)
            turns.append({"role": "assistant", "content": said})


def _prompt(tokenizer: "PreTrainedTokenizerBase", turns: Sequence[Turn], opening: str) -> Any:
    opened = [{"role": "assistant", "content": opening}] if opening else []
    text = tokenizer.apply_chat_template(
        [*turns, *opened],
        tokenize=False,
        add_generation_prompt=not opening,
        continue_final_message=bool(opening),
    )
    return tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids


def _line(ask: Callable[[str], str]) -> str | None:
    try:
        return ask("> ").strip()
    except (EOFError, KeyboardInterrupt):
        print()
        return None


def _digit(digits: Sequence[Mapping[str, Any]], number: str) -> Mapping[str, Any] | None:
    if not (number.strip().isdecimal() and int(number) < len(digits)):
        print(f"/digit takes a number from 0 to {len(digits) - 1}.")
        return None
    return digits[int(number)]
