"""Where a generated answer ends."""

from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, StoppingCriteria


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
