"""The chat: commands in the terminal, and the turns of figure 6."""

import pytest

from rigsa.evaluation import chat as chat_module
from rigsa.evaluation.chat import chat, reply, sample_chat

DIGITS = [{"image": "09\n90\n", "label": 3}, {"image": "00\n99\n", "label": 4}]


def test_sample_chat_ends_in_reading_a_digit(tiny):
    turns = sample_chat(*tiny, ["How many?", "And now?"], DIGITS[0])
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 3
    assert turns[4]["content"].endswith("09\n90\n")
    assert turns[5]["content"].startswith("The digit is ")


def test_commands(tiny, capsys, monkeypatch):
    heard = []

    def said(model, tokenizer, turns, opening="", longest=0, streamer=None):
        heard.append([turn["content"] for turn in turns])
        return opening + "4"

    monkeypatch.setattr(chat_module, "reply", said)
    lines = iter(["hello", "/digit 1", "/digit 2", "/help", "", "/reset", "again"])
    chat(*tiny, DIGITS, lambda _: next(lines, None) or _end(lines))
    shown = capsys.readouterr().out
    assert "(it is 4)" in shown
    assert "/digit takes a number from 0 to 1." in shown
    assert shown.count("/reset") == 2
    assert heard[0] == ["hello"]
    assert heard[1][:2] == ["hello", "4"]
    assert heard[2] == ["again"]


def _end(lines):
    # An empty line is a line; only the end of the list is the end of the input.
    if getattr(lines, "__length_hint__", lambda: 0)() == 0:
        raise EOFError
    return ""


def test_streams_what_it_returns(tiny, capsys):
    from transformers import TextStreamer

    streamer = TextStreamer(tiny[1], skip_prompt=True, skip_special_tokens=True)
    turns = [{"role": "user", "content": "hello"}]
    returned = reply(*tiny, turns, longest=10, streamer=streamer)
    assert capsys.readouterr().out.strip() == returned.strip()


def test_a_long_chat_forgets_its_oldest_turns(tiny):
    turns = [{"role": "user", "content": "0 " * 300}, {"role": "assistant", "content": "1 " * 300}]
    said = reply(*tiny, [*turns, {"role": "user", "content": "hello"}], longest=5)
    assert said == reply(*tiny, [{"role": "user", "content": "hello"}], longest=5)


@pytest.mark.parametrize("opening", ["", "The digit is "])
def test_reply_begins_with_its_opening(tiny, opening):
    assert reply(*tiny, [{"role": "user", "content": "x"}], opening, 2).startswith(opening)
