"""lm-eval's Hugging Face model around one that is in memory: the same answers with less waste."""

from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from transformers import PreTrainedModel, PreTrainedTokenizerBase, StoppingCriteria

from rigsa.errors import ConfigError
from rigsa.evaluation.harness import progress_shown


class InMemoryLM(HFLM):
    """Differs from HFLM in speed, and in refusing a prompt that HFLM would silently cut."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch_size: int
    ) -> None:
        super().__init__(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)

    def loglikelihood(self, requests: list, disable_tqdm: bool = False) -> list:
        return super().loglikelihood(requests, disable_tqdm or not progress_shown())

    def generate_until(self, requests: list, disable_tqdm: bool = False) -> list[str]:
        return super().generate_until(requests, disable_tqdm or not progress_shown())

    def _loglikelihood_tokens(self, requests: list, *args: Any, **kwargs: Any) -> list:
        longest = max(len(context) + len(answer) for _, context, answer in requests)
        # The last token is only predicted, never read.
        self._check_fits(longest - 1, self.max_length)
        return super()._loglikelihood_tokens(requests, *args, **kwargs)

    def tok_batch_encode(self, strings: list[str], **kwargs: Any) -> tuple:
        room = kwargs.pop("left_truncate_len", None)
        tokens, attention = super().tok_batch_encode(strings, **kwargs)
        self._check_fits(tokens.shape[1], room or self.max_length)
        return tokens, attention

    def _check_fits(self, length: int, room: int) -> None:
        if length > room:
            raise ConfigError(
                f"A prompt has {length} tokens, but the base model has room for {room}; give the "
                "benchmark a smaller `fewshot` in the study."
            )

    def _model_generate(
        self, context: torch.Tensor, max_length: int, stop: list[str], **settings: Any
    ) -> torch.Tensor:
        """Greedy unless the task samples; each row ends by itself, at end of turn or stop text."""
        if not settings.get("do_sample"):
            settings["do_sample"] = False
            settings.pop("temperature", None)
        end = self.tokenizer.eos_token
        texts = [text for text in stop if text and text != end]
        criteria = [StopTexts(texts, self.tokenizer, context.shape[1])] if texts else []
        return self.model.generate(
            input_ids=context,
            max_length=max_length,
            stopping_criteria=criteria,
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
            use_cache=True,
            **settings,
        )


class StopTexts(StoppingCriteria):
    """Ends the rows whose new text holds a stop text; lm-eval cuts the text there afterwards.

    lm-eval's own criterion decodes all rows for every stop text at every token; this decodes only
    the rows that may go on, and each once.
    """

    def __init__(
        self, texts: list[str], tokenizer: PreTrainedTokenizerBase, prompt_length: int
    ) -> None:
        self.texts, self.tokenizer, self.prompt_length = texts, tokenizer, prompt_length
        lengths = [len(tokenizer.encode(text, add_special_tokens=False)) for text in texts]
        # Two more tokens than the text itself has: a model may spell it in other tokens.
        self.lookback = max(lengths) + 2
        self.ended: torch.Tensor | None = None

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        if self.ended is None:
            self.ended = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        self.ended |= input_ids[:, -1] == self.tokenizer.eos_token_id
        going = (~self.ended).nonzero().flatten()
        if len(going) == 0:
            return self.ended
        new = input_ids[going, self.prompt_length :][:, -self.lookback :]
        for row, text in zip(going.tolist(), self.tokenizer.batch_decode(new), strict=True):
            self.ended[row] = any(stop in text for stop in self.texts)
        return self.ended
