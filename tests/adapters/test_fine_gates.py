"""Gates against the authors' own program: values, penalty, folding; what they learn and save."""

import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import nn

from rigsa.adapters.build import build_adapter
from rigsa.adapters.fine_gates import FineGatesConfig, FineGatesLayer
from rigsa.models.loading import load_adapter
from tests.conftest import make_llama

TOKENS = torch.randint(0, 64, (2, 10), generator=torch.Generator().manual_seed(1))

# jsvir/FineGates 5ab6421, model.py: SparseLayer(5, 4, target_sparsity=0.4) with these logits, asked
# in evaluation.
WEIGHT = ((torch.arange(20.0) * 7) % 11 - 5).view(4, 5) / 4
BIAS = torch.tensor([0.5, -0.25, 1.0, -1.5])
ROWS, COLUMNS = [1.0, -0.8, 0.3, -0.2], [1.2, -0.1, -0.54, -0.55, 0.05]
X = torch.tensor([[1.0, -2.0, 0.5, 3.0, -1.0], [0.25, 1.5, -1.0, 2.0, 4.0]])
ROW_GATES = [1.0, 0.0, 0.7913126349449158, 0.3026246726512909]
COLUMN_GATES = [1.0, 0.4003320038318634, 0.007012009620666504, 0.0, 0.549958348274231]
Y = [
    [-1.2895745038986206, 0.0, 0.8428548574447632, -0.029063355177640915],
    [1.0412133932113647, 0.0, 2.3210489749908447, -1.2391629219055176],
]
PENALTY = 0.14494502544403076
ROW_GRADIENTS = [0.0017362383659, 0.0528363436460, 0.0260883681476, 0.0798079371452]
COLUMN_GRADIENTS = [
    0.0006940101156,
    0.0573322959244,
    0.0603909604251,
    0.0597997866570,
    0.0434656776487,
]
REMOVED = 8
# With the noise that its generator drew for the rows in training.
NOISE = [-0.01467951014637947, 0.07861413061618805, 0.09468216449022293, -0.11143440008163452]
NOISY_ROWS = [1.0, 0.0, 0.8859947919845581, 0.19119027256965637]


OTHERS = ["q_proj", "v_proj", "down_proj"]


class OneLinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 4).requires_grad_(False)
        self.linear.weight.copy_(WEIGHT)
        self.linear.bias.copy_(BIAS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


def _published(**options) -> tuple[PeftModel, FineGatesLayer]:
    """The layer of the authors' case."""
    adapted = get_peft_model(OneLinear(), FineGatesConfig(target_modules=["linear"], **options))
    (layer,) = _layers(adapted)
    layer.fine_gates_rows["default"].data = torch.tensor(ROWS)
    layer.fine_gates_columns["default"].data = torch.tensor(COLUMNS)
    return adapted.eval(), layer


def _layers(adapted: PeftModel) -> list[FineGatesLayer]:
    return [m for m in adapted.modules() if isinstance(m, FineGatesLayer)]


def _adapted(**options) -> PeftModel:
    """As after some training: about a third of the gates is closed, the low-rank part is not 0."""
    adapted = build_adapter(make_llama(), {"type": "fine_gates", **options}, 5, None)
    generator = torch.Generator().manual_seed(3)
    for layer in _layers(adapted):
        for part in (layer.fine_gates_rows, layer.fine_gates_columns):
            part["default"].data = torch.randn(part["default"].shape, generator=generator)
        for b in layer.fine_gates_B.values():
            b.data = 0.1 * torch.randn(b.shape, generator=generator)
    return adapted.eval()


def test_gates_and_outputs_are_the_authors() -> None:
    adapted, layer = _published()
    rows, columns = layer.gates("default")
    torch.testing.assert_close(rows, torch.tensor(ROW_GATES))
    torch.testing.assert_close(columns, torch.tensor(COLUMN_GATES))
    torch.testing.assert_close(adapted(X), torch.tensor(Y))
    assert layer.training_statistics() == {
        "closed_rows": pytest.approx(1 / 4),
        "closed_columns": pytest.approx(1 / 5),
        "closed_weights": pytest.approx(REMOVED / 20),
    }


def test_the_penalty_and_its_gradients_are_the_authors() -> None:
    adapted, layer = _published(target=0.4, coefficient=50.0)
    for share in (1.0, 0.25):
        adapted.zero_grad()
        with adapted.extra_loss({"share": torch.tensor(share)}) as extra:
            penalty = extra()
            penalty.backward()
        assert penalty.item() == pytest.approx(50 * share * PENALTY, rel=1e-5)
        for part, wanted in (("rows", ROW_GRADIENTS), ("columns", COLUMN_GRADIENTS)):
            found = getattr(layer, f"fine_gates_{part}")["default"].grad / (50 * share)
            torch.testing.assert_close(found, torch.tensor(wanted))


def test_noise_while_training_is_the_authors(monkeypatch) -> None:
    adapted, _ = _published(noise=0.1)
    drawn = iter([torch.tensor(NOISE) / 0.1, torch.zeros(5)])
    monkeypatch.setattr(torch, "randn_like", lambda like: next(drawn))
    adapted.train()
    wanted = torch.tensor(NOISY_ROWS) * (X * torch.tensor(COLUMN_GATES) @ WEIGHT.t() + BIAS)
    torch.testing.assert_close(adapted(X), wanted)
    assert next(drawn, None) is None


def test_noise_is_drawn_anew_in_training_and_never_in_evaluation() -> None:
    adapted = _adapted()
    assert torch.equal(adapted(TOKENS).logits, adapted(TOKENS).logits)
    adapted.train()
    torch.manual_seed(1)
    first, second = adapted(TOKENS).logits, adapted(TOKENS).logits
    assert not torch.equal(first, second)
    torch.manual_seed(1)
    assert torch.equal(adapted(TOKENS).logits, first)


def test_recomputed_activations_have_the_same_noise() -> None:
    gradients = []
    for recompute in (False, True):
        adapted = _adapted(r=2).train()
        if recompute:
            adapted.gradient_checkpointing_enable({"use_reentrant": False})
        torch.manual_seed(1)
        adapted(TOKENS, labels=TOKENS).loss.backward()
        gradients.append([p.grad for p in adapted.parameters() if p.requires_grad])
    for one, other in zip(*gradients, strict=True):
        assert torch.equal(one, other)


def test_initial_values_follow_from_seed_and_name() -> None:
    def logits(seed: int) -> list[torch.Tensor]:
        adapted = build_adapter(make_llama(), {"type": "fine_gates", "r": 2}, seed, None)
        return [p.detach() for p in adapted.parameters() if p.requires_grad]

    first, again, other = logits(5), logits(5), logits(6)
    assert len(first) == 4 * 14
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    # All but B, which is 0.
    assert sum(torch.equal(a, b) for a, b in zip(first, other, strict=True)) == 14
    gates = torch.cat([p for p in first if p.dim() == 1])
    assert gates.mean().item() == pytest.approx(1.0, abs=0.02)
    assert gates.std().item() == pytest.approx(0.1, rel=0.1)


def test_it_starts_with_every_gate_open() -> None:
    """In evaluation; then nothing but the low-rank part's scale is between it and the base."""
    base = make_llama()(TOKENS).logits
    adapted = build_adapter(make_llama(), {"type": "fine_gates", "r": 2}, 0, None).eval()
    torch.testing.assert_close(adapted(TOKENS).logits, base)
    changed = _adapted(r=2)
    assert not torch.allclose(changed(TOKENS).logits, base)
    with changed.disable_adapter():
        assert torch.equal(changed(TOKENS).logits, base)


@pytest.mark.parametrize("options", [{}, {"r": 2}, {"r": 2, "lora_alpha": 8}], ids=str)
def test_folded_it_gives_the_same(options) -> None:
    adapted = _adapted(**options).train()
    weights = {}
    for layer in _layers(adapted):
        rows, columns = layer.gates("default")
        w = layer.base_layer.weight
        if options:
            b, a = layer.fine_gates_B["default"], layer.fine_gates_A["default"]
            w = w + options.get("lora_alpha", 2) / 2 * b @ a
        weights[layer.module_name] = (torch.diag(rows) @ w @ torch.diag(columns)).detach()
    expected = adapted.eval()(TOKENS).logits.detach()
    # Folding takes the gates of evaluation, whatever the model is doing.
    merged = adapted.train().merge_and_unload().eval()
    torch.testing.assert_close(merged(TOKENS).logits, expected)
    modules = dict(merged.named_modules())
    for name, weight in weights.items():
        torch.testing.assert_close(modules[name].weight, weight)
        assert (modules[name].weight == 0).all(dim=1).sum() == (weight == 0).all(dim=1).sum() > 0


def test_two_adapters_stand_around_one_another() -> None:
    adapted = _adapted(r=2)
    adapted.add_adapter("other", FineGatesConfig(target_modules=OTHERS, seed=9, r=1))
    adapted.base_model.set_adapter(["default", "other"])
    for layer in _layers(adapted):
        if "other" in layer.fine_gates_rows:
            layer.fine_gates_rows["other"].data.uniform_(-1, 1)
            layer.fine_gates_B["other"].data.uniform_(-0.1, 0.1)
    expected = adapted(TOKENS).logits
    adapted.base_model.set_adapter(["default"])
    assert not torch.allclose(adapted(TOKENS).logits, expected)
    adapted.base_model.set_adapter(["default", "other"])
    merged = adapted.merge_and_unload(adapter_names=["default", "other"])
    torch.testing.assert_close(merged(TOKENS).logits, expected)


def test_a_fold_cannot_be_undone() -> None:
    adapted = _adapted()
    adapted.merge_adapter()
    with pytest.raises(ValueError, match="cannot be put back; load the base model again"):
        adapted.unmerge_adapter()


def test_saved_and_loaded_it_is_the_same(tmp_path) -> None:
    adapted = _adapted(r=2)
    adapted.save_pretrained(tmp_path)
    for load in (PeftModel.from_pretrained, load_adapter):
        assert torch.equal(load(make_llama(), tmp_path)(TOKENS).logits, adapted(TOKENS).logits)


def test_learning_closes_gates_to_the_share_that_is_asked() -> None:
    """By the penalty alone: the mean probability to be open gets to 1 − target everywhere."""
    adapted = build_adapter(make_llama(), {"type": "fine_gates", "target": 0.3}, 0, None)
    free = [p for p in adapted.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(free, lr=0.02, weight_decay=0.0)
    for _ in range(120):
        optimizer.zero_grad()
        with adapted.extra_loss({}) as extra:
            extra().backward()
        optimizer.step()
    shares = torch.cat([layer.shares_open("default") for layer in _layers(adapted)])
    torch.testing.assert_close(shares, torch.full_like(shares, 0.7), atol=0.02, rtol=0)


@pytest.mark.parametrize(
    "options",
    [{"r": -1}, {"coefficient": -1}, {"noise": -0.1}, {"target": 0.9}, {"target": -0.1}],
)
def test_settings_that_cannot_be(options) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} is .*; it must be"):
        FineGatesConfig(**options)


def test_a_scale_needs_a_rank() -> None:
    with pytest.raises(ValueError, match="lora_alpha scales a low-rank part, and r is 0; set r"):
        FineGatesConfig(lora_alpha=8)
