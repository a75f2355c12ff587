"""A made-up hub cache: repositories in the layout that huggingface_hub leaves behind."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

README = """---
configs:
- config_name: {config}
  data_files:
{files}
---
"""


class HubCache:
    """`home` is what HF_HOME names. Repositories are added with the files that `fill` writes."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process see this cache and no network."""
        return {"HF_HOME": str(self.home), "HF_HUB_OFFLINE": "1"}

    def add(self, kind: str, repository: str, fill: Callable[[Path], None]) -> str:
        """Returns the commit of the repository's branch main."""
        commit = hashlib.sha1(repository.encode()).hexdigest()
        folder = self.home / "hub" / f"{kind}s--{repository.replace('/', '--')}"
        written = folder / "written"
        written.mkdir(parents=True)
        fill(written)
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(commit)
        (folder / "blobs").mkdir()
        for file in sorted(path for path in written.rglob("*") if path.is_file()):
            blob = folder / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
            place = folder / "snapshots" / commit / file.relative_to(written)
            file.replace(blob)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(blob)
        shutil.rmtree(written)
        return commit


def write_parquet(folder: Path, config: str, splits: dict[str, list[dict]]) -> None:
    """Splits as the hub has them: parquet below data/ or the configuration's name, and a README."""
    import pandas

    place = "data" if config == "default" else config
    (folder / place).mkdir()
    lines = []
    for split, rows in splits.items():
        name = f"{place}/{split}-00000-of-00001.parquet"
        pandas.DataFrame(rows).to_parquet(folder / name, index=False)
        lines += [f"  - split: {split}", f"    path: {place}/{split}-*"]
    (folder / "README.md").write_text(README.format(config=config, files="\n".join(lines)))


def write_mnist(folder: Path, images: dict[str, np.ndarray], labels: dict[str, list[int]]) -> None:
    """ylecun/mnist's own features: a PNG and a class label."""
    from datasets import ClassLabel, Dataset, Features, Image
    from PIL import Image as Picture

    (folder / "mnist").mkdir()
    features = Features(
        {"image": Image(), "label": ClassLabel(names=[str(digit) for digit in range(10)])}
    )
    for split in images:
        rows = {"image": [Picture.fromarray(image) for image in images[split]]}
        dataset = Dataset.from_dict({**rows, "label": labels[split]}, features=features)
        dataset.to_parquet(folder / "mnist" / f"{split}-00000-of-00001.parquet")
    lines = [f"  - split: {split}\n    path: mnist/{split}-*" for split in images]
    (folder / "README.md").write_text(README.format(config="mnist", files="\n".join(lines)))


def write_llama(folder: Path, tokenizer: Path, four_bit: bool = False) -> None:
    """A tiny random Llama with a real tokenizer: in bfloat16 shards, or stored in 4-bit."""
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = json.loads((tokenizer / "config.json").read_text())
    config |= {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 8}
    config |= {"num_attention_heads": 4, "num_key_value_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(**config)).to(torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="1MB")
    if four_bit:
        quantization = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=torch.bfloat16,
            bnb_4bit_use_double_quant=True,
        )
        model = AutoModelForCausalLM.from_pretrained(
            folder, quantization_config=quantization, dtype=torch.bfloat16, device_map={"": "cpu"}
        )
        for file in folder.iterdir():
            file.unlink()
        model.save_pretrained(folder)
    for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(tokenizer / file, folder / file)
