"""A merged folder is the checkpoint, for anybody who can load a Hugging Face model."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rigsa.adapters.build import build_adapter
from rigsa.cli import main
from rigsa.files import write_json
from rigsa.machine import Machine
from rigsa.models.loading import load_adapter, load_base, load_checkpoint
from rigsa.models.tokenizer import build_tokenizer
from tests.conftest import make_llama

TOKENS = torch.randint(0, 64, (2, 10), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def trained(tmp_path):
    """Writes (base model folder, checkpoint folder) with an adapter of a kind."""

    def make(adapter, quantization=None):
        base, checkpoint = tmp_path / "base", tmp_path / "step4"
        make_llama().save_pretrained(base)
        build_tokenizer(["0 1 2 3"], vocabulary=300).save_pretrained(base)
        made = build_adapter(load_base(base, Machine()), adapter, 0, None)
        with torch.no_grad():
            for value in made.parameters():
                value += 0.01 * value.requires_grad  # As if it had learnt something.
        made.save_pretrained(checkpoint / "adapter", save_embedding_layers=False)
        spec = {"quantization": quantization, "precision": "float32"}
        write_json(checkpoint / "training.json", {"spec": spec})
        return base, checkpoint

    return make


def merge(base, checkpoint, output) -> int:
    folders = ["--checkpoint", str(checkpoint), "--base-model", str(base)]
    return main(["merge", *folders, "--output", str(output)])


def test_a_merged_folder_loads_as_any_other(trained, tmp_path) -> None:
    base, checkpoint = trained({"type": "sparse_delta", "gate_init": 0.5})
    assert merge(base, checkpoint, tmp_path / "merged") == 0
    files = {path.name for path in (tmp_path / "merged").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= files
    assert not any("adapter" in name for name in files)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    expected = load_checkpoint(base, checkpoint / "adapter", Machine(), None)
    assert torch.equal(model(TOKENS).logits, expected(TOKENS).logits)
    assert not torch.equal(model(TOKENS).logits, make_llama()(TOKENS).logits)
    assert model.config.use_cache
    tokenizers = [AutoTokenizer.from_pretrained(tmp_path / name) for name in ("base", "merged")]
    turns = [{"role": "user", "content": "0 1"}]
    assert (
        len({tokenizer.apply_chat_template(turns, tokenize=False) for tokenizer in tokenizers}) == 1
    )


def test_a_tied_model_is_merged_into_a_tied_one(trained, tmp_path) -> None:
    base, checkpoint = trained({"type": "full"})
    assert merge(base, checkpoint, tmp_path / "merged") == 0
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert model.lm_head.weight is model.model.embed_tokens.weight
    adapted = load_adapter(load_base(base, Machine()), checkpoint / "adapter")
    assert torch.equal(model(TOKENS).logits, adapted(TOKENS).logits)
    assert not torch.equal(model(TOKENS).logits, make_llama()(TOKENS).logits)


def test_an_adapter_beside_the_weights_is_refused(trained, tmp_path, capsys) -> None:
    base, checkpoint = trained({"type": "neutral_residues", "width": 4})
    assert merge(base, checkpoint, tmp_path / "merged") == 1
    said = capsys.readouterr().err
    assert "has an adapter of type NEUTRAL_RESIDUES, which cannot be merged into the base" in said
    assert not (tmp_path / "merged").exists()


def test_a_checkpoint_on_a_four_bit_base_is_refused(trained, tmp_path, capsys) -> None:
    base, checkpoint = trained({"type": "lora", "r": 2}, {"quant_type": "nf4"})
    assert merge(base, checkpoint, tmp_path / "merged") == 1
    assert "was trained on a 4-bit base, whose rounding would lose" in capsys.readouterr().err
    assert not (tmp_path / "merged").exists()


def test_a_folder_without_a_checkpoint_is_said(trained, tmp_path, capsys) -> None:
    base, _ = trained({"type": "lora", "r": 2})
    assert merge(base, tmp_path / "nothing", tmp_path / "merged") == 1
    assert "training.json is missing" in capsys.readouterr().err
