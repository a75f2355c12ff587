"""Mistakes in config.yaml and in the catalogue: what is changed, and what must be said."""

from tests.workflow.edits import GONE

PATH = "it must be a path without { } < > and control characters"
REVISION = "revision is '../x'; it must be a branch, tag or commit"

CONFIG_MISTAKES = [
    ({"study": "embeded"}, "study is 'embeded'; did you mean 'embedded'?"),
    ({"study": "../x"}, "config.yaml: study is '../x'; it must be made of at most 60 letters"),
    ({"study": None}, "study must be of type string, not None"),
    ({"devise": "cpu"}, "unknown key devise; did you mean 'device'?"),
    ({"__use_yte__": True}, "unknown key __use_yte__"),
    ({"device": "gpu"}, "device is 'gpu'"),
    ({"device": True}, "device is True"),
    ({"precision": GONE}, "lacks the key 'precision'"),
    ({"micro_batch_size": 0}, "micro_batch_size is 0; it must be at least 1"),
    ({"micro_batch_size": "16"}, "not '16' (write it without quotes)"),
    ({"eval_batch_size": 0}, "eval_batch_size is 0; it must be at least 1"),
    ({"eval_batch_size": "all"}, "eval_batch_size is 'all'; there are: auto."),
    ({"compile": 1}, "compile must be of type boolean, not 1"),
    ({"shard_base_model": "yes"}, "shard_base_model must be of type boolean, not 'yes'"),
    ({"dataloader_workers": 10**6}, "dataloader_workers is 1000000; it must be at least 0 and at"),
    ({"attention": "sdpda"}, "attention is 'sdpda'; did you mean 'sdpa'?"),
    (
        {"attention": "flash_attention_2"},
        "attention is flash_attention_2, which needs device cuda, and device is cpu; set attention",
    ),
    ({"threads": 2}, "threads must be of type object, not 2"),
    ({"threads.train": "two"}, "threads.train must be of type integer, not 'two'"),
    ({"threads.train": 0}, "threads.train is 0; it must be at least 1 and at most 1024"),
    ({"threads.train": 10**6}, "threads.train is 1000000; it must be"),
    ({"results": ""}, f"results is ''; {PATH}"),
    ({"results": "out\n"}, rf"results is 'out\n'; {PATH}"),
    ({"results": "out/{arm}"}, PATH),
    ({"results": "</script><script>"}, PATH),
    ({"results": "-rf"}, "that begins with neither - nor ~"),
    ({"results": "~/results"}, "that begins with neither - nor ~"),
    ({"results": "."}, "results is '.', which holds files of the project; name another folder"),
    ({"results": "/"}, "results is '/', which holds files of the project"),
    ({"results": "x/../studies"}, "results is 'x/../studies', which holds files of the project"),
    ({"results": "x" * 300}, "which is no path (File name too long)"),
    ({"data_dir": {"piqa": 3}}, "data_dir.piqa must be of type string, not 3"),
    ({"data_dir": ["x"]}, "data_dir must be of type object"),
    ({"data_dir": {"tiny_gsm": "x"}}, "data_dir names 'tiny_gsm', which comes from no folder"),
    ({"model_dir": {"embeded": "x"}}, "model_dir names 'embeded', which comes from no folder"),
]

TASK_MISTAKES = [
    ({"tiny_gsm.counts.test": "many"}, "tiny_gsm.counts.test must be of type integer, not 'many'"),
    ({"tiny_gsm.counts.test": 10**12}, "tiny_gsm.counts.test is 1000000000000; it must be"),
    ({"tiny_gsm.counts": GONE}, "tiny_gsm.generator needs counts; add tiny_gsm.counts"),
    ({"tiny_gsm.generator": "gsm"}, "generator is 'gsm'"),
    ({"tiny_gsm.generator": GONE}, "must say exactly one of generator, images, subset_of, hub"),
    ({"tiny_gsm.images": "mnist"}, "it says generator and images"),
    ({"tiny_gsm.lm_eval": "tiny_gms"}, "lm_eval is 'tiny_gms'; did you mean 'tiny_gsm'?"),
    ({"tiny_gsm.metric": "acc"}, "tiny_gsm.metric is 'acc'; there are: exact_match, exact_match,s"),
    ({"tiny_gsm.chance": 25}, "tiny_gsm.chance is 25; it must be at least 0 and at most 1"),
    ({"textual_digits.counts": {"train": 1, "validation": 1, "test": 1}}, "takes no counts; take"),
    (
        {"textual_digits.hub": {}},
        "textual_digits.images is scikit_digits; take out textual_digits.",
    ),
    ({"textual_mnist.hub": GONE}, "textual_mnist.images is mnist; add textual_mnist.hub"),
    ({"textual_mnist.hub.repository": "../.."}, "is '../..'; it must be as on the hub, owner/name"),
    ({"textual_mnist.hub.revision": "../x"}, REVISION),
    (
        {"textual_mnist_small.subset_of": "mnist"},
        "subset_of is 'mnist', which is no task of images",
    ),
    ({"textual_mnist_small.subset_of": "tiny_gsm"}, "which is no task of images"),
    ({"piqa.hub.repository": "other/piqa"}, "piqa.hub.repository has no effect, as lm-eval's own"),
    ({"piqa.lm_eval": "piqqa"}, "lm-eval has no file tasks/piqqa/piqqa.yaml"),
    ({"piqa.forecast": {}}, "piqa.forecast lacks the key 'prompt'"),
    (
        {"PIQA": {"title": "x", "hub": {}, "lm_eval": "piqa", "metric": "acc", "chance": 0.5}},
        "'PIQA' and 'piqa' would share their files",
    ),
]

BASE_MODEL_MISTAKES = [
    ({"embedded.four_bit": GONE}, "arms.base_4bit.base is four_bit, but"),
    ({"embedded.four_bit": {"folder": "x"}}, "four_bit names a ready model, and embedded is train"),
    ({"embedded.four_bit.quant_type": "nf5"}, "quant_type is 'nf5'; did you mean 'nf4'?"),
    ({"embedded.training.steps": 0.5}, "training.steps must be of type integer"),
    ({"embedded.training.seed": -1}, "training.seed is -1; it must be at least 0"),
    ({"embedded.training.mixture.tiny_gsm": GONE}, "training.mixture must name each of embedded.t"),
    ({"embedded.training.most_turns.piqa": 2}, "most_turns must name each of embedded.tasks and n"),
    ({"embedded.architecture.hidden_size": 130}, "is 130; it must be an even multiple of its 4"),
    ({"embedded.architecture.hidden_size": 10**9}, "hidden_size is 1000000000; it must be at leas"),
    ({"embedded.tasks": ["tiny_gsm", "x"]}, "embedded.tasks names 'x', which no generator makes"),
    ({"embedded.tasks": ["piqa"]}, "embedded.tasks names 'piqa', which no generator makes"),
    ({"smollm2_instruct.repository": GONE}, "smollm2_instruct lacks the key 'repository'"),
    ({"smollm2_instruct.revision": "../x"}, REVISION),
    ({"smollm2_instruct.source": "hube"}, "did you mean 'hub'?"),
    ({"smollm2_instruct.four_bit": {"folder": 3}}, "smollm2_instruct.four_bit.folder must be of t"),
    ({"smollm2_instruct.four_bit": {}}, "smollm2_instruct.four_bit lacks the key 'quant_type'"),
    (
        {"Smollm2_Instruct_4bit": {"title": "x", "source": "folder", "folder": "x"}},
        "'smollm2_instruct_4bit' and 'Smollm2_Instruct_4bit' would share their files",
    ),
    (
        {"piqa": {"title": "x", "source": "folder", "folder": "x"}},
        "'piqa' and 'piqa' would share their files",
    ),
]
