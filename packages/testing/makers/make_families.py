"""What transformers and PEFT say of families without computing with them: weights of the paper's models, targets of adapters, defaults of configs, rotary frequencies.

    python make_families.py --models FIXTURES --out FIXTURES/families     # transformers 5.24.0, peft 0.21.2, torch 2.13.0; no seed, nothing is drawn
"""

import argparse
import json
from pathlib import Path

import torch
import transformers as hf
from peft import LoraConfig, get_peft_model
from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as PEFT_TARGETS
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from manifest_files import versions, write_json

hf.logging.set_verbosity_error()

# The values of each config.json on the hub, as transformers 4 spelled them.
LLAMA = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_act="silu", initializer_range=0.02, max_position_embeddings=2048, rms_norm_eps=1e-6,
             bos_token_id=1, eos_token_id=2, pad_token_id=0, tie_word_embeddings=False, torch_dtype="float16", use_cache=True, vocab_size=32000)
LLAMA_7B = LLAMA | dict(hidden_size=4096, intermediate_size=11008, num_attention_heads=32, num_hidden_layers=32)
LLAMA_13B = LLAMA | dict(hidden_size=5120, intermediate_size=13824, num_attention_heads=40, num_hidden_layers=40)
LLAMA2_13B = LLAMA_13B | dict(max_position_embeddings=4096, rms_norm_eps=1e-5, num_key_value_heads=40, pretraining_tp=1, rope_scaling=None)
FALCON_40B = dict(architectures=["FalconForCausalLM"], model_type="falcon", alibi=False, apply_residual_connection_post_layernorm=False, attention_dropout=0.0, bias=False,
                  bos_token_id=11, eos_token_id=11, hidden_dropout=0.0, hidden_size=8192, initializer_range=0.02, layer_norm_epsilon=1e-5, multi_query=True,
                  new_decoder_architecture=True, num_attention_heads=128, num_hidden_layers=60, num_kv_heads=8, parallel_attn=True, torch_dtype="bfloat16", use_cache=True, vocab_size=65024)
PAPER = {"llama-7b": LLAMA_7B, "llama-13b": LLAMA_13B, "llama2-13b": LLAMA2_13B, "falcon-40b": FALCON_40B, "falcon-40b-untied": FALCON_40B | dict(tie_word_embeddings=False)}

FAMILIES = {"llama": "llama-gqa", "mistral": "mistral-window", "qwen2": "qwen2", "qwen3": "qwen3", "gemma": "gemma", "gemma2": "gemma2", "gemma3_text": "gemma3",
            "phi3": "phi3", "falcon": "falcon-40b", "gpt_neox": "gpt-neox-parallel", "gpt2": "gpt2"}


def config_of(values):
    return hf.AutoConfig.for_model(**{k: v for k, v in values.items() if k != "torch_dtype"})


def on_meta(config):
    with torch.device("meta"):
        return hf.AutoModelForCausalLM.from_config(config)


def paper_model(values):
    """Names and shapes of all weights; those of layer 0 stand for every layer."""
    model = on_meta(config_of(values))
    named = dict(model.named_parameters())   # a tied head once
    layers = values["num_hidden_layers"]
    for name, weight in named.items():
        of_first = next((name.replace(f".{i}.", ".0.") for i in range(layers) if f".{i}." in name), name)
        assert weight.shape == named[of_first].shape, name
    listed = {name: list(weight.shape) for name, weight in named.items() if not any(f".{i}." in name for i in range(1, layers))}
    return {"config": values, "parameter_count": sum(p.numel() for p in named.values()), "layers": layers, "weights": listed}


def targets_of(folder, model_type, case):
    """Which layers `all-linear` reaches, the keys and shapes of their matrices in layer 0, and what is adapted where nothing is said."""
    values = json.loads((folder / case / "config.json").read_text())
    adapted = get_peft_model(on_meta(config_of(values)), LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"), low_cpu_mem_usage=True)
    reached = sorted({name.removeprefix("base_model.model.").split(".lora_A")[0] for name, _ in adapted.named_parameters() if ".lora_A." in name})
    shapes = {name.removeprefix("base_model.model."): list(p.shape) for name, p in adapted.named_parameters() if ".lora_" in name and ".0." in name}
    default = PEFT_TARGETS.get(model_type)
    return {"case": case, "default": default and list(default), "all_linear": reached,
            "shapes": {name.replace(".default.weight", ".weight"): "x".join(map(str, shape)) for name, shape in shapes.items()}}


ROPES = {
    "llama": dict(model_type="llama", hidden_size=64, num_attention_heads=4, rope_theta=500000.0),
    "llama, linear": dict(model_type="llama", hidden_size=64, num_attention_heads=4, rope_scaling=dict(rope_type="linear", factor=3.0)),
    "llama 3.1": dict(model_type="llama", hidden_size=4096, num_attention_heads=32, max_position_embeddings=131072, rope_theta=500000.0,
                      rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)),
    "yarn": dict(model_type="qwen2", hidden_size=256, num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=32768, rope_theta=1e6, rope_scaling=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32768)),
    "yarn, own betas, without rounding": dict(model_type="llama", hidden_size=256, num_attention_heads=2, max_position_embeddings=16384,
        rope_scaling=dict(rope_type="yarn", factor=16.0, original_max_position_embeddings=1024, beta_fast=20.0, beta_slow=2.0, truncate=False)),
    "yarn, mscale": dict(model_type="llama", hidden_size=256, num_attention_heads=2, max_position_embeddings=16384,
        rope_scaling=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=4096, mscale=0.707, mscale_all_dim=1.0)),
    "gpt-neox, a quarter": dict(model_type="gpt_neox", hidden_size=128, num_attention_heads=2, rotary_pct=0.25, rotary_emb_base=20000),
    "falcon": dict(model_type="falcon", hidden_size=128, num_attention_heads=2, new_decoder_architecture=True, num_kv_heads=1),
    "phi-3 longrope, the short factors": dict(model_type="phi3", hidden_size=64, num_attention_heads=4, max_position_embeddings=64, original_max_position_embeddings=16,
        rope_scaling=dict(type="longrope", short_factor=[1.0, 1.05, 1.1, 1.2, 1.4, 1.8, 2.0, 2.5], long_factor=[1.0, 2, 3, 4, 5, 6, 7, 8])),
    "phi-3 longrope, as its first configs say": dict(model_type="phi3", hidden_size=64, num_attention_heads=4, max_position_embeddings=131072,
        rope_scaling=dict(type="su", original_max_position_embeddings=4096, short_factor=[1.0, 1.05, 1.1, 1.2, 1.4, 1.8, 2.0, 2.5], long_factor=[1.0, 2, 3, 4, 5, 6, 7, 8])),
}


SIZES = dict(num_hidden_layers=1, intermediate_size=64, vocab_size=64)


def frequencies(values):
    values = values | SIZES
    config = config_of(json.loads(json.dumps(values)))
    kind = config.rope_parameters["rope_type"]
    if kind == "default":
        share = config.rope_parameters.get("partial_rotary_factor", 1.0)
        width = int(config.hidden_size // config.num_attention_heads * share)
        inverse, factor = 1.0 / config.rope_parameters["rope_theta"] ** (torch.arange(0, width, 2).float() / width), 1.0
    else:
        inverse, factor = ROPE_INIT_FUNCTIONS[kind](config, torch.device("cpu"), seq_len=1)
    return {"config": values, "inverse_frequencies": inverse.tolist(), "attention_factor": factor}


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    for name in ("--models", "--out"):
        arguments.add_argument(name, required=True, type=Path)
    given = arguments.parse_args()
    origin = {"maker": "make_families.py", "versions": versions("torch", "transformers", "peft")}
    write_json(given.out / "paper-models.json", {**origin, "models": {name: paper_model(values) for name, values in PAPER.items()}})
    write_json(given.out / "peft-targets.json", {**origin, "families": {name: targets_of(given.models, name, case) for name, case in FAMILIES.items()}})
    defaults = {name: hf.AutoConfig.for_model(name).to_dict() for name in FAMILIES}
    write_json(given.out / "config-defaults.json", {**origin, "families": defaults})
    write_json(given.out / "rope.json", {**origin, "cases": [{"name": name, **frequencies(values)} for name, values in ROPES.items()]})
