"""The base model's shape from its config.json or the catalogue; no weight is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from rigsa.catalog import CATALOG
from rigsa.errors import ConfigError, FileError
from rigsa.files import read_json
from rigsa.paths import ResultPaths
from rigsa.study import Study

Matrix = tuple[int, int]  # out_features, in_features


@dataclass(frozen=True)
class ModelShape:
    """A Llama-type decoder."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    tied: bool

    @property
    def queries(self) -> int:
        """Width of all query heads together; that of most models is `hidden`."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of all key heads together, and of all value heads."""
        return self.kv_heads * self.head_dim

    @property
    def layer_linears(self) -> dict[str, Matrix]:
        """The linear layers of one decoder layer by their module's last name."""
        return {
            "q_proj": (self.queries, self.hidden),
            "k_proj": (self.keys, self.hidden),
            "v_proj": (self.keys, self.hidden),
            "o_proj": (self.hidden, self.queries),
            "gate_proj": (self.intermediate, self.hidden),
            "up_proj": (self.intermediate, self.hidden),
            "down_proj": (self.hidden, self.intermediate),
        }

    @property
    def linear_weights(self) -> int:
        """Weights of all linear layers but the head."""
        return self.layers * sum(rows * columns for rows, columns in self.layer_linears.values())

    @property
    def other_weights(self) -> int:
        """Embeddings, a head of its own where there is one, and norms."""
        return sum(map(prod, self.others))

    @property
    def others(self) -> tuple[tuple[int, ...], ...]:
        """Their shapes."""
        embeddings = (1 if self.tied else 2) * ((self.vocabulary, self.hidden),)
        return (*embeddings, *(2 * self.layers + 1) * ((self.hidden,),))

    @property
    def weights(self) -> int:
        return self.linear_weights + self.other_weights

    def targets(self, adapter: Mapping[str, Any]) -> list[Matrix]:
        """Matrices of one decoder layer that an adapter of this description goes on."""
        wanted = adapter.get("target_modules", "all-linear")
        if wanted == "all-linear":
            return list(self.layer_linears.values())
        last = {name.rpartition(".")[2] for name in wanted}
        return [matrix for name, matrix in self.layer_linears.items() if name in last]


def shape_of(config: Mapping[str, Any]) -> ModelShape:
    """From the keys of a Llama's config.json; those that it may lack follow from the others.

    Raises KeyError for a key that nothing stands for.
    """
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    return ModelShape(
        hidden=hidden,
        layers=config["num_hidden_layers"],
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_dim=config.get("head_dim") or hidden // heads,
        intermediate=config["intermediate_size"],
        vocabulary=config["vocab_size"],
        tied=config.get("tie_word_embeddings", False),
    )


def read_shape(file: Path) -> ModelShape:
    """Raises FileError where config.json is missing or of no Llama-type model."""
    try:
        return shape_of(read_json(file))
    except KeyError as error:
        raise FileError(
            f"{file} has no {error}; the forecast counts Llama-type models, so give it one."
        ) from None


def study_shape(study: Study, paths: ResultPaths) -> ModelShape:
    """Of the model's folder where it is there, else as the catalogue says it will be."""
    file = paths.base_model(study.base_model) / "config.json"
    if file.is_file():
        return read_shape(file)
    entry, where = study.base_model_entry, f"{CATALOG}/base_models.yaml: {study.base_model}"
    try:
        if "forecast" in entry:
            return shape_of(entry["forecast"])
        # What the embedded model's architecture leaves out follows from its width.
        given = entry["architecture"]
        rest = {"intermediate_size": 4 * given["hidden_size"], "tie_word_embeddings": True}
        return shape_of({**rest, "vocab_size": entry["vocabulary"], **given})
    except KeyError as error:
        raise ConfigError(
            f"{where} lacks {error}, and {file} is not there yet; add {study.base_model}.forecast "
            "with the shape from the model's config.json, or get the model first."
        ) from None
