"""lm-eval's Hugging Face model around one that is in memory: the same answers with less waste."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rigsa.errors import ConfigError
from rigsa.evaluation.batching import BatchSize
from rigsa.evaluation.harness import progress_shown
from rigsa.evaluation.kept_answers import KeptAnswers
from rigsa.evaluation.shared_prefix import SHORTEST, SharedPrefix, common_length, read_prefix
from rigsa.evaluation.stop_texts import StopTexts

# Strings that are tokenised in one call.
TOKENISED = 256
# Of a generation configuration, what says nothing about which token is the likeliest.
NEUTRAL = frozenset({"bos_token_id", "eos_token_id", "pad_token_id", "transformers_version"}) | {
    "_from_model_config",
    "do_sample",
    "max_length",
    "max_new_tokens",
    "temperature",
    "top_k",
    "top_p",
    "use_cache",
}


class InMemoryLM(HFLM):
    """Differs from HFLM in speed, in memory, and in refusing a prompt that HFLM would silently cut.

    What all requests begin with is read once (`share_prefix`); logits are computed where an answer
    is looked up; an answer of one token is one forward pass; and nothing in `kept` is asked again.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        batches: BatchSize,
        share_prefix: bool = True,
        kept: KeptAnswers | None = None,
    ) -> None:
        super().__init__(pretrained=model, tokenizer=tokenizer, batch_size=batches.size)
        self.batches, self.share_prefix, self.kept = batches, share_prefix, kept
        self.prefix: SharedPrefix | None = None
        self.encoded: dict[str, torch.Tensor] = {}

    def loglikelihood(self, requests: list, disable_tqdm: bool = False) -> list:
        return super().loglikelihood(requests, disable_tqdm or not progress_shown())

    def generate_until(self, requests: list, disable_tqdm: bool = False) -> list[str]:
        self.encoded = self._encode([request.args[0] for request in requests])
        rows = list(self.encoded.values())
        if self.kept:
            self.kept.begin((request.args for request in requests), len(requests))
        try:
            with self._shared(rows, min(map(len, rows)) - 1):
                return super().generate_until(requests, disable_tqdm or not progress_shown())
        finally:
            self.encoded = {}

    def _loglikelihood_tokens(
        self, requests: list, disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[tuple[float, bool]]:
        """As HFLM, but the logits of a batch are those from its first answer token on."""
        asked: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for place, (_, context, answer) in enumerate(requests):
            # The last token is only predicted, never read.
            asked[(*context, *answer[:-1])].append(place)
        self._check_fits(max(map(len, asked)), self.max_length)
        done = 0
        if self.kept:
            done = self.kept.begin((request[1:] for request in requests), len(asked))
        hidden = disable_tqdm or not progress_shown()
        bar = tqdm(total=len(asked), initial=done, disable=hidden)

        def ask(batch: Sequence[tuple[int, ...]]) -> Sequence[list[tuple[float, bool]]]:
            first = min(len(requests[place][1]) for row in batch for place in asked[row]) - 1
            logits = self._logits([torch.tensor(row) for row in batch], first)
            sums, greedy = [], []
            for row, of_row in zip(batch, logits, strict=True):
                for place in asked[row]:
                    _, context, answer = requests[place]
                    begin = len(context) - 1 - first
                    likely = of_row[begin : begin + len(answer)].log_softmax(
                        -1, dtype=self.softmax_dtype
                    )
                    tokens = torch.tensor(answer, device=likely.device)[:, None]
                    sums.append(likely.gather(-1, tokens).sum())
                    greedy.append((likely.argmax(-1, keepdim=True) == tokens).all())
            found = zip(torch.stack(sums).tolist(), torch.stack(greedy).tolist(), strict=True)
            bar.update(len(batch))
            return [[next(found) for _ in asked[row]] for row in batch]

        # The longest first: what does not fit is known at once.
        rows = sorted(asked, key=lambda row: (-len(row), row))
        shortest = min(len(context) for _, context, _ in requests)
        with self._shared([torch.tensor(row) for row in rows], shortest - 1):
            found = self.batches.over(rows, ask, self.kept)
        bar.close()
        answers: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
        for row, of_row in zip(rows, found, strict=True):
            for place, answer in zip(asked[row], of_row, strict=True):
                answers[place] = tuple(answer)
        return answers

    def tok_encode(self, string: str, *args: Any, **kwargs: Any) -> Any:
        known = self.encoded.get(string)
        return super().tok_encode(string, *args, **kwargs) if known is None else known

    def tok_batch_encode(self, strings: list[str], **kwargs: Any) -> tuple:
        """Every string is tokenised once, in `generate_until`; HFLM does so twice."""
        rows = [self.encoded[string].long() for string in strings]
        self._check_fits(max(map(len, rows)), kwargs["left_truncate_len"])
        ones = [torch.ones_like(row) for row in rows]
        return _padded_left(rows, self.tokenizer.pad_token_id), _padded_left(ones, 0)

    def _encode(self, strings: list[str]) -> dict[str, torch.Tensor]:
        encoded = {}
        distinct = list(dict.fromkeys(strings))
        for start in range(0, len(distinct), TOKENISED):
            part = distinct[start : start + TOKENISED]
            # HFLM's own call, for its treatment of special tokens.
            tokens, attention = super().tok_batch_encode(part)
            for string, row, mask in zip(part, tokens, attention, strict=True):
                # Half the memory: there may be thousands of prompts of thousands of tokens.
                encoded[string] = row[mask.bool()].int()
        return encoded

    def _check_fits(self, length: int, room: int) -> None:
        if length > room:
            raise ConfigError(
                f"A prompt has {length} tokens, but the base model has room for {room}; give the "
                "benchmark a smaller `fewshot` in the study."
            )

    @contextmanager
    def _shared(self, rows: Sequence[torch.Tensor], most: int) -> Iterator[None]:
        """Within it, the first tokens of all rows, `most` at the most, are in `self.prefix`."""
        length = min(common_length(rows), most) if self.share_prefix and len(rows) > 1 else 0
        if length >= SHORTEST:
            tokens = rows[0][:length].long().to(self.device)
            (self.prefix,) = self.batches.over(
                [tokens], lambda one: [read_prefix(self.model, one[0])]
            )
        try:
            yield
        finally:
            self.prefix = None

    def _logits(self, rows: Sequence[torch.Tensor], first: int) -> torch.Tensor:
        """Logits [rows, positions from `first` on, vocabulary].

        Rows are filled up on the right, where a causal model does not look.
        """
        cut = len(self.prefix) if self.prefix else 0
        inputs = pad_sequence([row[cut:] for row in rows], batch_first=True).to(self.device)
        kept = cut + inputs.shape[1] - first
        with torch.no_grad():
            logits = self.model(
                input_ids=inputs,
                past_key_values=self.prefix.for_one_pass() if self.prefix else None,
                use_cache=self.prefix is not None,
                logits_to_keep=kept,
            ).logits
        return logits[:, -kept:]

    def _model_generate(
        self,
        context: torch.Tensor,
        max_length: int,
        stop: list[str],
        attention_mask: torch.Tensor,
        **settings: Any,
    ) -> torch.Tensor:
        """Greedy unless the task samples; each row ends by itself, at end of turn or stop text."""
        if not settings.get("do_sample"):
            settings["do_sample"] = False
            settings.pop("temperature", None)
        longest = max_length - context.shape[1]
        one_pass = longest == 1 and settings == {"do_sample": False} and self._takes_likeliest()

        def ask(rows: Sequence[torch.Tensor]) -> Sequence[list[int]]:
            new = self._next(rows) if one_pass else self._go_on(rows, longest, stop, settings)
            return new.tolist()

        rows = [row[mask.bool()] for row, mask in zip(context, attention_mask, strict=True)]
        found = [torch.tensor(row) for row in self.batches.over(rows, ask, self.kept)]
        new = pad_sequence(found, batch_first=True, padding_value=self.tokenizer.pad_token_id)
        return torch.cat([context, new.to(context)], dim=1)

    def _takes_likeliest(self) -> bool:
        """Whether the model's own generation settings leave the likeliest token as it is."""
        own = getattr(self.model, "generation_config", None)
        return own is None or set(own.to_diff_dict()) <= NEUTRAL

    def _next(self, rows: Sequence[torch.Tensor]) -> torch.Tensor:
        """One more token of each row [rows, 1]."""
        last = torch.tensor([len(row) - 1 for row in rows])
        first = int(last.min())
        logits = self._logits(rows, first)
        return logits[torch.arange(len(rows)), last - first].argmax(-1, keepdim=True)

    def _go_on(
        self, rows: Sequence[torch.Tensor], longest: int, stop: list[str], settings: dict[str, Any]
    ) -> torch.Tensor:
        """At most `longest` more tokens of each row [rows, tokens]."""
        past, cut, pad = {}, 0, self.tokenizer.pad_token_id
        if self.prefix is not None and settings.get("num_beams", 1) == 1:
            past = {"past_key_values": self.prefix.to_go_on(len(rows))}
            cut = len(self.prefix)
        # What is filled up stands between the beginning and the rest.
        beginning = torch.stack([row[:cut] for row in rows])
        rest = [row[cut:] for row in rows]
        inputs = torch.cat([beginning, _padded_left(rest, pad)], dim=1)
        ones = _padded_left([torch.ones_like(row) for row in rest], 0)
        end = self.tokenizer.eos_token
        texts = [text for text in stop if text and text != end]
        criteria = [StopTexts(texts, self.tokenizer, inputs.shape[1])] if texts else []
        output = self.model.generate(
            input_ids=inputs,
            attention_mask=torch.cat([torch.ones_like(beginning), ones], dim=1),
            max_length=inputs.shape[1] + longest,
            stopping_criteria=criteria,
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=pad,
            use_cache=True,
            **past,
            **settings,
        )
        return output[:, inputs.shape[1] :]


def _padded_left(rows: Sequence[torch.Tensor], value: int) -> torch.Tensor:
    return pad_sequence(list(rows), batch_first=True, padding_value=value, padding_side="left")
