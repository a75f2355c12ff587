"""What is measured while training: accuracy and divergence from the base on held-out answers."""

import torch
import torch.nn.functional as F
from peft import PeftModel

from rigsa.training.loss import answer_logits

Tensor = torch.Tensor


class Probe:
    """A few validation items asked again and again.

    Args:
        batches: collated rows with one label each, on the model's device.
    """

    def __init__(self, model: PeftModel, batches: list[dict[str, Tensor]]) -> None:
        self.model = model
        self.batches = batches
        with model.disable_adapter():
            self.base = self._log_probabilities()[0]

    def __call__(self) -> dict[str, float]:
        """Accuracy, loss, and KL(adapted ‖ base) in nats, means over the items."""
        adapted, answers = self._log_probabilities()
        divergence = (adapted.exp() * (adapted - self.base)).sum(dim=-1)
        return {
            "validation_accuracy": (adapted.argmax(dim=-1) == answers).float().mean().item(),
            "validation_loss": F.nll_loss(adapted, answers).item(),
            "kl_to_base": divergence.mean().item(),
        }

    @torch.no_grad()
    def _log_probabilities(self) -> tuple[Tensor, Tensor]:
        training = self.model.training
        self.model.eval()
        found = [answer_logits(self.model, batch) for batch in self.batches]
        self.model.train(training)
        logits, answers = (torch.cat(parts) for parts in zip(*found, strict=True))
        return logits.log_softmax(dim=-1), answers
