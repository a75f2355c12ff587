"""The paper's study at its own size, as objects: no folder of studies has to hold it."""

from rigsa.study import Arm, Benchmark, Study

BASE_MODEL = {
    "title": "SmolLM2-1.7B-Instruct",
    "source": "hub",
    "four_bit": {"repository": "unsloth/SmolLM2-1.7B-Instruct-bnb-4bit"},
    "forecast": {
        "hidden_size": 2048,
        "num_hidden_layers": 24,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "intermediate_size": 8192,
        "vocab_size": 49152,
        "tie_word_embeddings": True,
    },
}
# Lengths by SmolLM2's tokenizer; those of the source tasks without the chat's frame.
LENGTHS = {
    "textual_mnist": {
        "items": {"train": 59_400, "test": 10_000},
        "prompt": 853,
        "answer": 1,
        "new_tokens": 1,
    },
    "piqa": {"items": {"test": 1_838}, "prompt": 13, "answer": 23, "choices": 2},
    "hellaswag": {"items": {"test": 10_042}, "prompt": 51, "answer": 31, "choices": 4},
    "gsm8k": {
        "items": {"train": 7_473, "test": 1_319},
        "prompt": 67,
        "answer": 127,
        "new_tokens": 256,
    },
}
DELTA = {"type": "sparse_delta", "init": "uniform", "gate": "matrix"}
TRAINING = {"optimizer": "adamw_torch_fused", "epochs": 1, "batch_size": 16, "logs": 50}


def paper(optimizer: str = "adamw_torch_fused", dtype: str = "float32") -> Study:
    """RIGSA, the random mask, and QLoRA of four ranks. Sparse deltas as given."""
    training = {**TRAINING, "optimizer": optimizer}
    delta = {**DELTA, "dtype": dtype}
    mask = {"rule": "large_final_same_sign", "density": 0.0346}
    arms = [
        Arm("base", "Base", "full", None, 1, None, training),
        Arm("base_4bit", "Base, 4-bit", "four_bit", None, 1, None, training),
        Arm("rigsa", "RIGSA", "full", delta, 5, mask, training),
        Arm(
            "random_mask", "Random mask", "full", delta, 1,
            {"rule": "random", "density_of": "rigsa"}, training,
        ),
        *(
            Arm(
                f"qlora_r{rank}", f"QLoRA r{rank}", "four_bit", {"type": "lora", "r": rank}, 1,
                None, {**TRAINING, "epochs": 4},
            )
            for rank in (1, 4, 8, 16)
        ),
    ]  # fmt: skip
    benchmarks = [
        Benchmark("textual_mnist", "textual_mnist", 0),
        Benchmark("textual_mnist_5shot", "textual_mnist", 5, arms=("base", "base_4bit")),
        Benchmark("piqa", "piqa", 0),
        Benchmark("hellaswag", "hellaswag", 0),
        Benchmark("gsm8k", "gsm8k", 5),
    ]
    return Study(
        name="paper",
        title="The paper's study",
        gpu=True,
        base_model="smollm2",
        base_model_entry=BASE_MODEL,
        target_task="textual_mnist",
        source_tasks=("piqa", "hellaswag", "gsm8k"),
        task_entries={task: {"forecast": lengths} for task, lengths in LENGTHS.items()},
        seeds=(0,),
        benchmarks={benchmark.name: benchmark for benchmark in benchmarks},
        arms={arm.name: arm for arm in arms},
    )
