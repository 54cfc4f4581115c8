"""What PEFT makes of every family: an adapter on all linear layers, the logits with it, and what merging turns the weights into.

    python make_family_adapters.py --models FIXTURES --out FIXTURES/family-adapters --seed 1     # transformers 5.24.0, peft 0.21.2, torch 2.13.0
"""

import argparse
import warnings
from pathlib import Path

import torch
import transformers as hf
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file

from float64_mode import float64_everywhere
from make_families import FAMILIES
from manifest_files import versions, write_json, write_sums

warnings.filterwarnings("ignore")
RANK, ALPHA, TOKENS = 2, 6, 12


def in_file(config, name):
    """GPT-NeoX's head is `embed_out` in files and `lm_head` in transformers 5."""
    return name.replace("lm_head", "embed_out") if config.model_type == "gpt_neox" else name


def make(folder, out, case, generator):
    model = hf.AutoModelForCausalLM.from_pretrained(folder / case, dtype=torch.float32, attn_implementation="eager").eval()
    fan_in_fan_out = model.config.model_type == "gpt2"
    adapted = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", fan_in_fan_out=fan_in_fan_out, task_type="CAUSAL_LM"))
    for name, parameter in adapted.named_parameters():
        if ".lora_" in name:
            parameter.data.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    adapted.peft_config["default"].base_model_name_or_path = case
    adapted.save_pretrained(out / case)
    (out / case / "README.md").unlink()
    ids = torch.randint(3, model.config.vocab_size, (1, TOKENS), generator=generator)
    with torch.no_grad():
        base = {name: p.clone() for name, p in model.named_parameters() if ".lora_" not in name}
        with float64_everywhere():
            logits = adapted.double()(input_ids=ids, use_cache=False).logits
        merged = adapted.merge_and_unload()
        before = {name.replace(".base_layer", ""): p for name, p in base.items()}
        changed = {in_file(model.config, name): p.float() for name, p in merged.named_parameters() if not torch.equal(p.float(), before[name].float())}
    first = {name: p.contiguous() for name, p in changed.items() if ".0." in name}
    save_file({"ids": ids, "logits_f64": logits, **{f"merged.{name}": p for name, p in first.items()}}, out / case / "expected.safetensors")
    return {"case": case, "changed": sorted(changed)}


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    for name in ("--models", "--out"):
        arguments.add_argument(name, required=True, type=Path)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    cases = {name: make(given.models, given.out, case, torch.Generator().manual_seed(given.seed)) for name, case in FAMILIES.items()}
    write_json(given.out / "manifest.json", {"maker": "make_family_adapters.py", "seed": given.seed, "versions": versions("torch", "transformers", "peft"),
                                             "rank": RANK, "lora_alpha": ALPHA, "families": cases})
    write_sums(given.out)
