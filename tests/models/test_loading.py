"""Base models from folders: in full precision, really in 4-bit, and refused where damaged."""

import pytest
import torch
from transformers.utils import is_flash_attn_2_available

from rigsa.adapters.build import build_adapter, linear_shapes
from rigsa.errors import FileError, RigsaError
from rigsa.machine import Machine
from rigsa.models.loading import four_bit_layers, load_base, load_checkpoint
from rigsa.models.shapes import adapted_shapes
from tests.conftest import make_llama

NF4 = {"quant_type": "nf4", "compute_dtype": "float32", "double_quant": True}
TOKENS = torch.randint(0, 64, (2, 10), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def folder(tmp_path):
    make_llama().save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def test_full_precision_is_the_saved_model(folder) -> None:
    model = load_base(folder, Machine())
    assert torch.equal(model(TOKENS).logits, make_llama()(TOKENS).logits)
    assert not any(p.requires_grad for p in model.parameters())


def test_four_bit_is_really_four_bit(folder) -> None:
    """Half a byte a weight in every linear but the head, and 16 different levels a block."""
    model = load_base(folder, Machine(), NF4)
    assert len(four_bit_layers(model)) == 14
    for name, shape in linear_shapes(make_llama()).items():
        weight = model.get_submodule(name).weight
        assert weight.dtype == torch.uint8
        assert weight.numel() == shape.numel() // 2
        assert weight.quant_state.quant_type == "nf4"
    assert type(model.lm_head) is torch.nn.Linear
    difference = (model(TOKENS).logits - make_llama()(TOKENS).logits).abs().max()
    assert 0 < difference < 0.5


def test_four_bit_gives_the_same_while_training_and_after(folder) -> None:
    """Scales and weights as they were made, on any processor."""
    model = load_base(folder, Machine(), NF4)
    with torch.no_grad():
        asked = model.eval()(TOKENS).logits
        trained = model.train()(TOKENS).logits
        again = model.eval()(TOKENS).logits
    assert torch.equal(asked, trained)
    assert torch.equal(asked, again)
    assert all(
        layer.weight.quant_state.absmax.dtype != torch.bfloat16 for layer in four_bit_layers(model)
    )


def test_lora_trains_on_the_four_bit_base(folder) -> None:
    adapted = build_adapter(
        load_base(folder, Machine(), NF4), {"type": "lora", "r": 2, "lora_alpha": 4}, 0, None
    )
    adapted(TOKENS).logits.square().mean().backward()
    trained = [n for n, p in adapted.named_parameters() if p.requires_grad]
    assert len(trained) == 2 * 14
    gradients = [p.grad for n, p in adapted.named_parameters() if "lora_B" in n]
    assert all(grad.abs().sum() > 0 for grad in gradients)


def test_a_checkpoint_is_the_base_with_its_adapter(folder, tmp_path) -> None:
    adapted = build_adapter(
        load_base(folder, Machine()), {"type": "sparse_delta", "gate_init": 0.5}, 0, None
    )
    adapted.save_pretrained(tmp_path / "adapter")
    model = load_checkpoint(folder, tmp_path / "adapter", Machine(), None)
    torch.testing.assert_close(model(TOKENS).logits, adapted(TOKENS).logits)


@pytest.fixture
def ready(folder, tmp_path):
    """The same model stored in 4-bit, its other weights in bfloat16."""
    load_base(folder, Machine(precision="bfloat16"), NF4).save_pretrained(tmp_path / "ready")
    return tmp_path / "ready"


def test_a_ready_4_bit_folder_is_loaded_as_it_is(folder, ready) -> None:
    model = load_base(ready, Machine(), {"ready": True})
    assert len(four_bit_layers(model)) == 14
    assert model.lm_head.weight.dtype == model.model.norm.weight.dtype == torch.float32
    made = load_base(folder, Machine(), NF4)
    torch.testing.assert_close(model(TOKENS).logits, made(TOKENS).logits, atol=0.02, rtol=0.02)


def test_4_bit_and_plain_folders_are_not_mixed_up(folder, ready) -> None:
    with pytest.raises(FileError, match="base is no 4-bit model"):
        load_base(folder, Machine(), {"ready": True})
    with pytest.raises(FileError, match="ready is quantised, and a full-precision base"):
        load_base(ready, Machine())


def test_shards_are_one_model(tmp_path) -> None:
    make_llama().save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert torch.equal(load_base(tmp_path, Machine())(TOKENS).logits, make_llama()(TOKENS).logits)


def test_shapes_are_read_without_the_weights(folder) -> None:
    (folder / "model.safetensors").unlink()
    assert adapted_shapes(folder) == linear_shapes(make_llama())


@pytest.mark.parametrize("attention", ["auto", "sdpa", "eager"])
def test_attention_is_computed_as_the_machine_says(folder, attention) -> None:
    model = load_base(folder, Machine(attention=attention))
    assert model.config._attn_implementation == attention.replace("auto", "sdpa")
    torch.testing.assert_close(model(TOKENS).logits, make_llama()(TOKENS).logits)


def test_what_is_wrong_with_a_folder_is_said(folder, tmp_path) -> None:
    with pytest.raises(FileError, match=r"has no config\.json"):
        load_base(tmp_path, Machine())
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(FileError, match="cannot be read as a model"):
        load_base(folder, Machine())


@pytest.mark.skipif(is_flash_attn_2_available(), reason="flash-attn is installed")
def test_a_missing_kind_of_attention_is_said(folder) -> None:
    with pytest.raises(RigsaError, match="is not installed here; set attention to sdpa"):
        load_base(folder, Machine(attention="flash_attention_2"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_said(folder) -> None:
    with pytest.raises(RigsaError, match="torch sees no GPU here; set device to cpu"):
        load_base(folder, Machine(device="cuda"))
