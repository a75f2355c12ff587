"""A shrunk model gives the logits of the folded one with fewer parameters."""

import json

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from rigsa.adapters.build import build_adapter
from rigsa.adapters.fine_gates import FineGatesLayer
from rigsa.cli import main
from rigsa.errors import RigsaError
from rigsa.files import write_json
from rigsa.machine import Machine
from rigsa.models.loading import load_base, load_checkpoint
from rigsa.models.shrinking import shrink_model
from rigsa.models.shrunk import load
from rigsa.models.tokenizer import build_tokenizer

TOKENS = torch.randint(0, 64, (2, 10), generator=torch.Generator().manual_seed(1))
LAYER = "model.layers.0"
HEAD, HEADS, KEY_HEADS, WIDTH, INNER = 8, 4, 2, 32, 64


def _llama(**changes) -> LlamaForCausalLM:
    """Two heads share a key and a value head; the initial values are large enough to matter."""
    torch.manual_seed(0)
    settings = {
        "vocab_size": 64,
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": 2,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS,
        "max_position_embeddings": 64,
        "initializer_range": 0.2,
    }
    model = LlamaForCausalLM(LlamaConfig(**settings | changes)).requires_grad_(False)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.normal_()
    return model.eval()


def _checkpoint(folder, model, adapter, shift=0.0, quantization=None):
    """(base model folder, checkpoint folder), about a third of all gates closed at `shift` 0."""
    base, checkpoint = folder / "base", folder / "step0"
    model.save_pretrained(base)
    build_tokenizer(["0 1 2 3"], vocabulary=300).save_pretrained(base)
    adapted = build_adapter(load_base(base, Machine()), adapter, 0, None)
    generator = torch.Generator().manual_seed(3)
    for layer in adapted.modules():
        if isinstance(layer, FineGatesLayer):
            for part in (layer.fine_gates_rows["default"], layer.fine_gates_columns["default"]):
                part.data = torch.randn(part.shape, generator=generator) + shift
    adapted.save_pretrained(checkpoint / "adapter")
    spec = {"quantization": quantization, "precision": "float32"}
    write_json(checkpoint / "training.json", {"spec": spec})
    return base, checkpoint


def _shrink(base, checkpoint, output) -> int:
    folders = ["--checkpoint", str(checkpoint), "--base-model", str(base)]
    return main(["shrink", *folders, "--output", str(output)])


@pytest.mark.parametrize(
    "changes",
    [
        {"tie_word_embeddings": True},
        {"attention_bias": True, "mlp_bias": True},
        {"num_key_value_heads": HEADS, "head_dim": 4},
        {"num_key_value_heads": 1},
    ],
    ids=str,
)
def test_it_gives_the_logits_and_words_of_the_folded_model(changes, tmp_path, capsys) -> None:
    adapter = {"type": "fine_gates", "r": 2}
    base, checkpoint = _checkpoint(tmp_path, _llama(**changes), adapter)
    assert _shrink(base, checkpoint, tmp_path / "shrunk") == 0
    whole = load_checkpoint(base, checkpoint / "adapter", Machine(), None)
    shrunk = load(tmp_path / "shrunk")
    expected = whole(TOKENS).logits
    torch.testing.assert_close(shrunk(TOKENS).logits, expected, rtol=1e-4, atol=1e-5)
    # Padded on the left, as when prompts of several lengths are asked.
    mask = torch.ones_like(TOKENS)
    mask[1, :4] = 0
    found, wanted = (m(TOKENS, attention_mask=mask).logits[:, 4:] for m in (shrunk, whole))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    words = [
        m.generate(TOKENS, max_new_tokens=8, do_sample=False, use_cache=cache, pad_token_id=0)
        for m, cache in ((whole, True), (shrunk, True), (shrunk, False))
    ]
    assert torch.equal(words[0], words[1])
    assert torch.equal(words[0], words[2])
    said = capsys.readouterr().out
    assert f"{shrunk.num_parameters():,} of {whole.num_parameters():,} parameters are left" in said
    linears = [(name, p.numel()) for name, p in whole.named_parameters() if "proj" in name]
    removed = whole.num_parameters() - shrunk.num_parameters()
    # A third of the rows and of the columns of each matrix, and what only goes with them.
    assert removed > 0.4 * sum(size for _, size in linears)


def _zero(model, name: str, *, rows=None, columns=None) -> None:
    weight = model.get_submodule(f"{LAYER}.{name}").weight
    if rows is not None:
        weight[rows] = 0
    if columns is not None:
        weight[:, columns] = 0


# What is closed, and the first layer's (key heads, query width, value width, channels) after it.
WHOLE = (KEY_HEADS, HEAD, HEAD, INNER)
CASES = {
    "nothing": ([], WHOLE),
    "a gate, an up, a down": (
        [("gate_proj", {"rows": 3}), ("up_proj", {"rows": 5}), ("down_proj", {"columns": 9})],
        (KEY_HEADS, HEAD, HEAD, INNER - 3),
    ),
    "the same channel on two sides": (
        [("gate_proj", {"rows": 3}), ("down_proj", {"columns": 3})],
        (KEY_HEADS, HEAD, HEAD, INNER - 1),
    ),
    "half a rotary pair": ([("q_proj", {"rows": [0, 8, 16, 24]})], WHOLE),
    "a pair of one key head alone": ([("k_proj", {"rows": [1, 5]})], WHOLE),
    "a pair of each key head": (
        [("k_proj", {"rows": [1, 5, 10, 14]})],
        (KEY_HEADS, HEAD - 2, HEAD, INNER),
    ),
    "queries of one of two heads": ([("q_proj", {"rows": [1, 5, 17, 21]})], WHOLE),
    "queries of all heads": (
        [("q_proj", {"rows": [1, 5, 9, 13, 18, 22, 26, 30]})],
        (KEY_HEADS, HEAD - 2, HEAD, INNER),
    ),
    "a value of each head": ([("v_proj", {"rows": [2, 9]})], (KEY_HEADS, HEAD, HEAD - 1, INNER)),
    "a value that one of two heads reads": ([("o_proj", {"columns": [2, 17]})], WHOLE),
    "a value that no head reads": (
        [("o_proj", {"columns": [2, 10, 17, 25]})],
        (KEY_HEADS, HEAD, HEAD - 1, INNER),
    ),
    "a whole head": ([("v_proj", {"rows": slice(HEAD)})], (KEY_HEADS - 1, HEAD, HEAD, INNER)),
    "columns at the residual stream": (
        [("q_proj", {"columns": 3}), ("up_proj", {"columns": [1, 2]}), ("down_proj", {"rows": 7})],
        WHOLE,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_goes_is_what_nothing_comes_of(case) -> None:
    closed, wanted = CASES[case]
    model = _llama()
    for name, places in closed:
        block = "mlp" if name.split("_")[0] in ("gate", "up", "down") else "self_attn"
        _zero(model, f"{block}.{name}", **places)
    expected = model(TOKENS).logits
    found = shrink_model(model)
    torch.testing.assert_close(model(TOKENS).logits, expected, rtol=1e-4, atol=1e-5)
    assert tuple(found.layers[0].values()) == wanted
    assert tuple(found.layers[1].values()) == WHOLE
    heads, queries, values, inner = wanted
    groups = HEADS // KEY_HEADS
    left = WIDTH * (heads * (groups + 1) * (queries + values) + 3 * inner)
    if case == "columns at the residual stream":
        left -= HEADS * HEAD + 3 * INNER
    full = WIDTH * (KEY_HEADS * (groups + 1) * 2 * HEAD + 3 * INNER)
    assert found.before - found.after == full - left


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("self_attn.q_proj", {"rows": slice(None)}),
        ("mlp.down_proj", {"columns": slice(None)}),
        ("mlp", {}),
        ("self_attn", {}),
    ],
)
def test_a_block_of_which_nothing_is_left_is_said(name, places) -> None:
    model = _llama()
    if places:
        _zero(model, name, **places)
    elif name == "mlp":
        _zero(model, "mlp.gate_proj", rows=slice(0, 32))
        _zero(model, "mlp.up_proj", rows=slice(32, 64))
    else:
        _zero(model, "self_attn.v_proj", rows=slice(0, 8))
        _zero(model, "self_attn.o_proj", columns=slice(16, 32))
    with pytest.raises(RigsaError, match=rf"^nothing of layers.0.{name} is open, and "):
        shrink_model(model)


def test_a_checkpoint_that_closed_everything_is_one_sentence(tmp_path, capsys) -> None:
    base, checkpoint = _checkpoint(tmp_path, _llama(), {"type": "fine_gates"}, shift=-9.0)
    assert _shrink(base, checkpoint, tmp_path / "shrunk") == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"rigsa shrink: {checkpoint}: nothing of layers.0.self_attn.q_proj is o")
    assert said.endswith("train with a lower adapter.target, fewer steps or a lower learning rate.")
    assert not (tmp_path / "shrunk").exists()


def test_what_cannot_be_folded_is_refused(tmp_path, capsys) -> None:
    base, checkpoint = _checkpoint(tmp_path, _llama(), {"type": "neutral_residues", "width": 4})
    assert _shrink(base, checkpoint, tmp_path / "shrunk") == 1
    assert "cannot be merged into the base model's weights" in capsys.readouterr().err
    base, checkpoint = _checkpoint(tmp_path, _llama(), {"type": "fine_gates"}, quantization={})
    assert _shrink(base, checkpoint, tmp_path / "shrunk") == 1
    assert "was trained on a 4-bit base" in capsys.readouterr().err


def test_another_kind_of_model_is_refused() -> None:
    with pytest.raises(RigsaError, match="type llama, and only Llama models are shrunk"):
        shrink_model(_llama(hidden_act="gelu"))


def test_a_folder_that_is_none_is_said(tmp_path) -> None:
    base, checkpoint = _checkpoint(tmp_path, _llama(), {"type": "fine_gates"})
    assert _shrink(base, checkpoint, tmp_path / "shrunk") == 0
    file = tmp_path / "shrunk" / "shrunk.json"
    content = json.loads(file.read_text())
    assert content["parameters"]["after"] == load(tmp_path / "shrunk").num_parameters()
    assert str(tmp_path) not in file.read_text()
    content["config"]["_attn_implementation"] = "somebody/kernel"
    write_json(file, content)
    assert load(tmp_path / "shrunk").config._attn_implementation == "sdpa"
    content["config"]["num_hidden_layers"] = 3
    write_json(file, content)
    with pytest.raises(RigsaError, match=r"cannot be read as a shrunk model \(.*rigsa shrink"):
        load(tmp_path / "shrunk")
    (tmp_path / "shrunk" / "model.safetensors").write_bytes(b"0" * 100)
    with pytest.raises(RigsaError, match="is corrupt"):
        load(tmp_path / "shrunk")
    file.unlink()
    with pytest.raises(RigsaError, match=r"shrunk\.json is missing"):
        load(tmp_path / "shrunk")
