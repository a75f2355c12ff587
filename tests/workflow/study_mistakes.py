"""Mistakes in a study file: what is changed in studies/embedded.yaml, and what must be said."""

from tests.workflow.edits import GONE

MASK = "arms.rigsa.mask"
NAN, INFINITE = float("nan"), float("inf")
SPARSE = {"type": "sparse_delta", "init": "zero"}
NEUTRAL = {"type": "neutral_residues"}
FULL = {"type": "full"}
SPIEL = {"type": "spiel"}
BY_CHANCE = {"rule": "random", "density": 0.1}
ROSA = {"type": "rosa", "r": 4}
GATES = {"type": "fine_gates"}
NAME = "it must be made of at most 60 letters, digits and _"
TITLE = "it must be one line of at most 200 characters that begins with none of = + - @"


def replay(**keys: object) -> dict[str, object]:
    return {"training.replay": {"share": 0.1, "tasks": ["tiny_gsm"], **keys}}


def arm(**keys: object) -> dict[str, object]:
    return {"arms.new": {"title": "New", **keys}}


def warmed(rule: str = "grad", **keys: object) -> dict[str, object]:
    warmup = {"steps": 4, "r": 4, **keys}
    return {MASK: {"rule": rule, "density": 0.1, "warmup": warmup}}


WHOLE = [
    ({"tilte": "x"}, "unknown key tilte; did you mean 'title'?"),
    ({"title": GONE}, "the file lacks the key 'title'."),
    ({"title": ""}, f"title is ''; {TITLE}"),
    ({"title": None}, "title must be of type string, not None"),
    ({"title": "=cmd|' /C calc'!A0"}, TITLE),
    ({"title": "two\nlines"}, TITLE),
    ({"title": "red \x1b[31m alert"}, TITLE),
    ({"title": "x" * 201}, TITLE),
    ({"gpu": "yes"}, "gpu must be of type boolean, not 'yes'"),
    ({"seeds": []}, "seeds is empty"),
    ({"seeds": [1, 1]}, "seeds names something twice"),
    ({"seeds": 3}, "seeds must be of type array, not 3"),
    ({"seeds": [True]}, "seeds.0 must be of type integer, not True"),
    ({"seeds": [1.0]}, "seeds.0 must be of type integer, not 1.0"),
    ({"seeds": [-1]}, "seeds.0 is -1; it must be at least 0"),
    (
        {"seeds": [2**64]},
        "seeds.0 is 18446744073709551616; it must be at least 0 and at most 42949",
    ),
    ({"base_model": "embeded"}, "base_model is 'embeded'; did you mean 'embedded'?"),
    ({"base_model": "../x"}, f"base_model is '../x'; {NAME}"),
    ({"figures": {"width": 1}}, "figures.width is 1; it must be at least 2 and at most 50"),
    ({"figures": {"width": 1e9}}, "figures.width is 1000000000.0; it must be"),
    (
        {"figures": {"colors": {"imp": "blue"}}},
        "colors.imp is 'blue'; it must be a colour such as",
    ),
    (
        {"figures": {"colors": {"rigsaw": "#000000"}}},
        "names 'rigsaw', which is neither an arm nor a family of them; did you mean 'rigsa'?",
    ),
]

TASKS = [
    ({"target_task": "digits"}, "target_task is 'digits'"),
    ({"target_task": "tiny_gsm"}, "source_tasks names the target task 'tiny_gsm'"),
    (
        {"target_task": "piqa", "benchmarks.textual_digits.task": "piqa"},
        "target_task is 'piqa', which has no images to learn",
    ),
    (
        {"source_tasks": ["textual_mnist"]},
        "source_tasks.0 is 'textual_mnist', a task of images",
    ),
    ({"source_tasks": ["tiny_gms"]}, "did you mean 'tiny_gsm'?"),
    ({"source_tasks": "tiny_gsm"}, "source_tasks must be of type array"),
    ({"benchmarks": {}}, "benchmarks is empty"),
    ({"benchmarks.tiny_gsm.task": "gsm"}, "benchmarks.tiny_gsm.task is 'gsm'"),
    ({"benchmarks.tiny_gsm.fewshot": -1}, "fewshot is -1; it must be at least 0"),
    (
        {"benchmarks.tiny_gsm.fewshot": 24000},
        "fewshot is 24000, and studies/catalog/tasks.yaml gives tiny_gsm only 24000 items to show",
    ),
    ({"benchmarks.tiny_gsm.sampler": "first"}, "did you mean 'first_n'?"),
    ({"benchmarks.tiny_gsm.limit": 0}, "limit is 0; it must be at least 1"),
    (
        {"benchmarks.textual_digits_5shot.arms": ["x"]},
        "benchmarks.textual_digits_5shot.arms names 'x'",
    ),
    ({"benchmarks.textual_digits.arms": ["base"]}, "no benchmark asks target task 'textual_dig"),
    (
        {"benchmarks.textual_digits.steps": "last"},
        "target task 'textual_digits' of every arm at all",
    ),
    ({"benchmarks.tiny_gsm.steps": "first"}, "steps is 'first'; there are: all, last."),
    ({"benchmarks.tiny_piqa": GONE}, "no benchmark asks source task 'tiny_piqa'"),
    (
        {"benchmarks.density": {"task": "tiny_gsm", "fewshot": 0}},
        "benchmarks.density has the name of another column of the tables; rename it",
    ),
    (
        {"benchmarks.tiny_gsm_se": {"task": "tiny_gsm", "fewshot": 0}},
        "benchmarks.tiny_gsm_se has the name of another column",
    ),
    (
        {"benchmarks.TINY_GSM": {"task": "tiny_gsm", "fewshot": 0}},
        "benchmarks: 'TINY_GSM' and 'tiny_gsm' would share their files; rename one",
    ),
]

TRAINING = [
    ({"training.learning_rat": 1.0}, "did you mean 'learning_rate'?"),
    ({"training.learning_rate": "1e-4"}, "not '1e-4' (YAML reads 1e-4 as text"),
    ({"training.learning_rate": "0.1"}, "not '0.1' (write it without quotes)"),
    ({"training.learning_rate": 0}, "learning_rate is 0; it must be greater than 0"),
    ({"training.learning_rate": []}, "learning_rate is empty; it needs at least 2"),
    ({"training.learning_rate": [0.01]}, "learning_rate has one entry; it needs at least 2"),
    ({"training.learning_rate": [0.01, -1]}, "learning_rate.1 is -1; it must be greater than 0"),
    ({"training.learning_rate": [0.01, 0.01]}, "learning_rate names something twice: [0.01, 0.01]"),
    (
        {"training.learning_rate": [0.01, 0.01000001]},
        "learning_rate has values that differ by less than one in 100,000",
    ),
    ({"training.learning_rate": INFINITE}, "learning_rate must be a finite number, not inf"),
    ({"training.weight_decay": NAN}, "weight_decay must be a finite number, not nan"),
    ({"training.batch_size": 16.0}, "batch_size must be of type integer, not 16.0"),
    ({"training.batch_size": 2000}, "batch_size is 2000, but the target task has 1297 training"),
    ({"training.epochs": 0.001}, "epochs is 0.001, less than one batch of 16 of the 1297"),
    ({"training.epochs": 1e300}, "epochs is 1e+300; it must be greater than 0 and at most 10000"),
    (
        {"training.warmup_ratio": GONE, "training.warmup_steps": 486},
        "warmup_steps is 486, but there are 486 steps; set fewer, or warmup_ratio",
    ),
    ({"training.warmup_steps": 5}, "it has both warmup_steps and warmup_ratio; keep one"),
    ({"training.warmup_ratio": 1}, "warmup_ratio is 1; it must be at least 0 and less than 1"),
    (
        {"training.optimizer": "adam"},
        "training.optimizer is 'adam'; there are: adamw_bnb_8bit, adamw_torch,",
    ),
    (
        {"training.optimizer_options": {"momentum": 0.9}},
        "optimizer_options has 'momentum', which adamw_torch_fused does not know; it takes none",
    ),
    (
        {"training.optimizer_options": {"bf16_stochastic": True}},
        "did you mean 'bf16_stochastic_round'?",
    ),
    (
        {"training.optimizer": "sgd", "training.optimizer_options": {"nesterov": True}},
        "optimizer_options.nesterov needs a momentum and no dampening; set momentum",
    ),
    ({"training.logs": True}, "training.logs must be of type integer, not True"),
    ({"training.gpus": 0}, "training.gpus is 0; it must be at least 1"),
    ({"training.gpus": 2.0}, "training.gpus must be of type integer, not 2.0"),
    ({"training.gpus": "all"}, "training.gpus must be of type integer, not 'all'"),
    (
        {"arms.rigsa.training": {"gpus": 17}},
        "training of arm rigsa: gpus is 17, and batch_size 16, of which every card takes",
    ),
    (replay(share=0), "training.replay.share is 0; it must be greater than 0 and less than 1"),
    (replay(share=1), "training.replay.share is 1; it must be greater than 0 and less than 1"),
    (replay(share=NAN), "training.replay.share must be a finite number, not nan"),
    (replay(share="10 %"), "training.replay.share must be of type number, not '10 %'"),
    (replay(share=0.01), "replay.share is 0.01, which is 0 of the 16 rows of a batch, and there"),
    (replay(share=0.99), "replay.share is 0.99, which is 16 of the 16 rows of a batch"),
    (replay(tasks=[]), "training.replay.tasks is empty"),
    (replay(tasks=["tiny_gsm", "tiny_gsm"]), "training.replay.tasks names something twice"),
    (replay(tasks=["tiny_gms"]), "is no source task of the study; did you mean 'tiny_gsm'?"),
    (replay(tasks=["textual_digits"]), "replay.tasks names the target task 'textual_digits', whi"),
    (replay(task="tiny_gsm"), "unknown key training.replay.task; did you mean 'tasks'?"),
    ({"training.replay": {"share": 0.1}}, "training.replay lacks the key 'tasks'"),
]

ARMS = [
    ({"arms": {}}, "arms is empty"),
    (
        {"arms": {"base": {"title": "Base"}}, "benchmarks.textual_digits_5shot": GONE},
        "arms trains nothing; give one of them an adapter",
    ),
    ({"arms.no spaces": {"title": "x"}}, f"arms has a key that is 'no spaces'; {NAME}"),
    ({"arms./": {"title": "x"}}, f"arms has a key that is '/'; {NAME}"),
    ({"arms.-rf": {"title": "x"}}, f"arms has a key that is '-rf'; {NAME}"),
    ({"arms.$(touch pwned)": {"title": "x"}}, f"'$(touch pwned)'; {NAME}"),
    ({"arms.{seed}": {"title": "x"}}, f"'{{seed}}'; {NAME}"),
    ({"arms.rigsa\n": {"title": "x"}}, rf"'rigsa\n'; {NAME}"),
    ({"arms.rіgsa": {"title": "Cyrillic і"}}, f"arms has a key that is 'rіgsa'; {NAME}"),
    ({"arms." + "x" * 300: {"title": "x"}}, NAME),
    ({"arms.Rigsa": {"title": "x"}}, "arms: 'Rigsa' and 'rigsa' would share their files"),
    ({"arms.rigsa.title": "Base"}, "arms.rigsa.title is 'Base', as is that of base; tables"),
    ({"arms.rigsa.title": "@SUM(A1)"}, f"arms.rigsa.title is '@SUM(A1)'; {TITLE}"),
    ({"arms.rigsa.trainig": {}}, "unknown key arms.rigsa.trainig"),
    ({"arms.rigsa.iterations": 1}, "set iterations to 2 or more"),
    ({"arms.rigsa.iterations": 10**9}, "iterations is 1000000000; it must be at least 1 and at m"),
    ({"arms.rigsa.base": "four_bit"}, "a sparse delta needs base: full"),
    ({"arms.rigsa.mask": GONE}, "arms.rigsa.iterations needs a mask rule"),
    ({"arms.rigsa.adapter": GONE}, "arms.rigsa.mask needs an adapter"),
]

ADAPTERS = [
    ({"arms.rigsa.adapter": {}}, "arms.rigsa.adapter lacks the key 'type'"),
    ({"arms.rigsa.adapter.type": "lorra"}, "did you mean 'lora'?"),
    ({"arms.rigsa.adapter.type": "adalora"}, "'adalora'; did you mean 'lora'? There are: fine_"),
    (
        {"arms.rigsa.adapter.gat": "none"},
        "unknown key arms.rigsa.adapter.gat; did you mean 'gate'?",
    ),
    (
        {"arms.rigsa.adapter.r": 4},
        "adapter.r is an option of lora and shira and rosa and fine_gates, and sparse_delta has",
    ),
    (
        {"arms.qlora_r1.adapter.gate": "none"},
        "adapter.gate is an option of sparse_delta, and lora has only r, lora_alpha, lora_dropout",
    ),
    (
        arm(adapter={"type": "shira", "r": 4, "lora_alpha": 8}),
        "adapter.lora_alpha is an option of lora and rosa and fine_gates, and shira has only r, ",
    ),
    (arm(adapter={"type": "shira"}), "arms.new.adapter lacks the key 'r'"),
    (arm(adapter={"type": "shira", "r": 65}), "r is 65, but the base model is 128 wide, and sh"),
    (arm(adapter={"type": "shira", "r": 4}, base="four_bit"), "and a shira needs base: full"),
    (
        arm(adapter={"type": "shira", "r": 4}, mask={"rule": "random", "density": 0.1}),
        "mask does not go with an adapter of type 'shira'; masks are for sparse_delta",
    ),
    ({"arms.rigsa.adapter.gate_init": NAN}, "gate_init must be a finite number, not nan"),
    ({"arms.rigsa.adapter.init_scale": -1}, "init_scale is -1; it must be greater than 0"),
    ({"arms.rigsa.adapter.dtype": "bfloat16"}, "in which small steps are lost with optimizer"),
    (arm(adapter={**SPARSE, "gate_init": 0}), "init zero and gate_init 0, so that nothing has a g"),
    (arm(adapter={**NEUTRAL, "coeficient": 1}), "did you mean 'coefficient'?"),
    (arm(adapter={**NEUTRAL, "width": 0}), "adapter.width is 0; it must be at least 1"),
    (arm(adapter={**NEUTRAL, "share": 20}), "adapter.share is 20; it must be greater than 0 and a"),
    (arm(adapter={**NEUTRAL, "coefficient": -1}), "coefficient is -1; it must be at least 0"),
    (arm(adapter={**NEUTRAL, "width": 8, "share": 0.1}), "adapter has both width and share"),
    (arm(adapter=NEUTRAL), "give the arm a training.replay, or set adapter.coefficient to 0"),
    (
        arm(adapter={**NEUTRAL, "coefficient": 0}, mask={"rule": "random", "density": 0.1}),
        "masks are for sparse_delta",
    ),
    (
        arm(adapter={**FULL, "init": "zero"}),
        "adapter.init is an option of sparse_delta, and full has",
    ),
    (arm(adapter=FULL, mask={"rule": "random", "density": 0.1}), "masks are for sparse_delta"),
    (arm(adapter=FULL, base="four_bit"), "arms.new.base is four_bit, and a full needs base: full"),
    (arm(adapter={**FULL, "dtype": "bfloat16"}), "in which small steps are lost with optimizer"),
    (arm(adapter=SPIEL), "moves the places of a mask; add new.mask, such as {rule: random, dens"),
    (
        arm(adapter={**SPIEL, "every": 4}, mask=BY_CHANCE),
        "gather is 5, more steps than there are from one move to the next, 4; set it lower, or",
    ),
    (
        arm(adapter={**SPIEL, "init": "zero"}, mask=BY_CHANCE),
        "adapter.init is an option of sparse_delta, and spiel has only every, gather, share, dt",
    ),
    (
        arm(adapter={**SPIEL, "every": 500, "gather": 500}, mask=BY_CHANCE),
        "adapter.gather is 500, but there are",
    ),
    (
        arm(adapter=SPIEL, mask={**BY_CHANCE, "rule": "large_init"}),
        "which type spiel makes all alike; take the rule random or grad.",
    ),
    (
        arm(adapter=SPIEL, mask=BY_CHANCE, iterations=2),
        "iterations is 2, but the mask of an adapter of type spiel moves while it trains",
    ),
    (arm(adapter=SPIEL, mask=BY_CHANCE, base="four_bit"), "and a spiel needs base: full"),
    (
        arm(adapter={**SPIEL, "dtype": "bfloat16"}, mask=BY_CHANCE),
        "in which small steps are lost with optimizer",
    ),
    (arm(adapter=ROSA), "adapter of type 'rosa' trains the weights of a mask; add new.mask"),
    (
        arm(adapter={**ROSA, "gate": "none"}, mask=BY_CHANCE),
        "adapter.gate is an option of sparse_delta, and rosa has only r, lora_alpha, lora_dropout",
    ),
    (arm(adapter={"type": "rosa"}, mask=BY_CHANCE), "adapter lacks the key 'r'"),
    (arm(adapter={**ROSA, "r": 999}, mask=BY_CHANCE), "r is 999, but the base model is 128 wide"),
    (
        arm(adapter=ROSA, mask=BY_CHANCE, base="four_bit"),
        "is four_bit, and a rosa needs base: full",
    ),
    (
        arm(adapter=ROSA, mask={**BY_CHANCE, "rule": "snip"}),
        "'snip' looks at initial values, which type rosa makes all alike; take the rule random or",
    ),
    (
        arm(adapter=ROSA, mask={**BY_CHANCE, "rule": "large_final"}),
        "'large_final' looks at trained weights; set iterations to 2 or more",
    ),
    (
        arm(adapter={**GATES, "target": 0.9}),
        "target is 0.9; it must be at least 0 and less than 0.84",
    ),
    (arm(adapter={**GATES, "target": "half"}), "adapter.target must be of type number, not 'half'"),
    (arm(adapter={**GATES, "noise": -0.1}), "adapter.noise is -0.1; it must be at least 0"),
    (
        arm(adapter={**GATES, "lora_alpha": 8}),
        "scales a low-rank part, and there is none; add adap",
    ),
    (arm(adapter={**GATES, "r": 129}), "r is 129, but the base model is 128 wide, and fine_gates"),
    (arm(adapter={**GATES, "width": 8}), "adapter.width is an option of neutral_residues, and fin"),
    (
        arm(adapter={**NEUTRAL, "target": 0.4}),
        "adapter.target is an option of fine_gates, and neutr",
    ),
    (
        arm(adapter=GATES, mask={"rule": "random", "density": 0.1}),
        "mask does not go with an adapter of type 'fine_gates'; masks are for sparse_delta",
    ),
    ({"arms.qlora_r1.adapter.r": 0}, "adapter.r is 0; it must be at least 1"),
    ({"arms.qlora_r1.adapter.r": 4096}, "r is 4096, but the base model is 128 wide"),
    ({"arms.qlora_r1.adapter.lora_dropout": 1}, "lora_dropout is 1; it must be at least 0 and l"),
    ({"arms.qlora_r1.adapter.target_modules": "q_proj"}, "is 'q_proj'; there are: all-linear."),
    (
        {"arms.qlora_r1.adapter.target_modules": ["q_porj"]},
        "target_modules names 'q_porj', which the base model has not; did you mean 'q_proj'?",
    ),
    (
        {"arms.qlora_r1.adapter.target_modules": [".*"]},
        "target_modules.0 is '.*'; it must be the name of a module",
    ),
]

MASKS = [
    ({f"{MASK}.density": 0}, "density is 0; it must be greater than 0 and at most 1"),
    (
        {f"{MASK}.rule": "large_finale"},
        "did you mean 'large_final'? There are: grad, grad_squared, large_final, ",
    ),
    ({f"{MASK}.scope": "block"}, "scope is 'block'; there are: global, layer, matrix."),
    ({f"{MASK}.lora_rank": 4}, "density_of, lora_rank; it says density and lora_rank"),
    (
        {MASK: {"rule": "movement", "lora_rank": 65}},
        "lora_rank is 65, and LoRA of that rank has more parameters than a matrix of 128 x 128 w",
    ),
    (
        {MASK: {"rule": "grad", "density": 0.1}, "arms.rigsa.adapter.gate_init": 0},
        "'grad' ranks by gradients, all of which are 0 behind adapter.gate_init 0; set it to",
    ),
    (
        warmed("random"),
        "mask.warmup is for rules that rank by gradients, which are grad, grad_squared, snip; ta",
    ),
    ({MASK: {"rule": "random", "density": 0.1, "batches": 2}}, "mask.batches is for rules that"),
    ({MASK: {"rule": "grad", "density": 0.1, "batches": 0}}, "batches is 0; it must be at least 1"),
    ({**warmed(), f"{MASK}.warmup.r": GONE}, "mask.warmup lacks the key 'r', the rank of what it"),
    (warmed(r=999), "mask.warmup.r is 999, but the base model is 128 wide"),
    ({**warmed(), f"{MASK}.warmup.steps": GONE}, "warmup lacks the key 'steps'"),
    (warmed(type="lora"), "unknown key arms.rigsa.mask.warmup.type"),
    (
        warmed(steps=10**6),
        "arms.rigsa.mask.warmup.steps is 1000000, and the gradients of 1 more are taken, but a t",
    ),
    ({f"{MASK}.density": 1.5}, "density is 1.5; it must be"),
    ({f"{MASK}.density": 1e-6}, "keeps 1e-06 of a matrix of 128 x 128 weights, which is none"),
    ({MASK: {"rule": "largest", "keep": 0.8}}, "rule is 'largest'"),
    ({f"{MASK}.keep": 0.8}, "exactly one of keep, density, densities, density_of"),
    ({f"{MASK}.density": GONE}, "it says none"),
    (
        {MASK: {"rule": "movement", "densities": [1, 0.5, 0.6, 0.1, 0.1]}},
        "densities grows from 0.5 to 0.6 at step 2",
    ),
    ({MASK: {"rule": "movement", "densities": [1, 0.5]}}, "needs one for each of the 5 iterations"),
    ({"arms.rigsa.adapter.target_modules": ["q_proj"]}, "target_modules does not go with a mask"),
    ({"arms.rigsa.adapter.init": "zero"}, "'large_final_same_sign' looks at initial values"),
    (
        {"arms.random_mask.mask.density_of": "rigsaw"},
        "density_of is 'rigsaw', which is no arm with a mask; did you mean",
    ),
    ({"arms.random_mask.mask.density_of": "random_mask"}, "which is no arm with a mask"),
    ({"arms.random_mask.mask.density_of": "qlora_r1"}, "which is no arm with a mask"),
    ({"arms.qlora_r1.mask": {"rule": "random", "density": 0.1}}, "masks are for sparse_delta"),
    ({f"{MASK}.rewind": 1}, "mask.rewind is 1; it must be greater than 0 and less than 1"),
    ({f"{MASK}.rewind": 0.9999}, "mask.rewind is 0.9999, which is all of 486 steps; set it lower."),
    ({"arms.random_mask.mask.rewind": 0.1}, "mask.rewind goes back to a dense training; set iter"),
    (
        {MASK: {"rule": "snip", "density": 0.1, "rewind": 0.1}},
        "'snip' ranks by gradients before any training, which mask.rewind has nothing to do with",
    ),
    ({f"{MASK}.early_bird": {}}, "mask.early_bird lacks the key 'every'"),
    ({f"{MASK}.early_bird": {"every": 1}}, "early_bird.every is 1; it must be greater than 0 and"),
    ({f"{MASK}.early_bird": {"evry": 0.1}}, "unknown key arms.rigsa.mask.early_bird.evry"),
    (
        {f"{MASK}.early_bird": {"every": 0.2}},
        "looks at a mask every 97 of 486 steps, and needs 6 of them to end early; set every or win",
    ),
    (
        {f"{MASK}.early_bird": {"every": 0.02, "distance": 0.9}},
        "early_bird.distance is 0.9, and two masks that keep 0.431 differ by 0.863 at most; set",
    ),
    (
        {f"{MASK}.early_bird": {"every": 0.02}, f"{MASK}.rewind": 0.02},
        "mask has both rewind and early_bird, and the first training may end before the step",
    ),
    (
        {MASK: {"rule": "random", "density": 0.1, "early_bird": {"every": 0.02}}},
        "waits for a mask to settle, and that of rule 'random' does not follow the training",
    ),
]

STUDY_MISTAKES = WHOLE + TASKS + TRAINING + ARMS + ADAPTERS + MASKS
