"""Puts RoSA on a model's linear layers; its masks are saved and read as a sparse delta's are."""

from rigsa.adapters.rosa.layer import RosaLayer
from rigsa.adapters.sparse_delta.model import SparseDeltaModel


class RosaModel(SparseDeltaModel):
    """The tuner behind `get_peft_model(model, RosaConfig(...))`."""

    prefix: str = "rosa_"
    tuner_layer_cls = RosaLayer
