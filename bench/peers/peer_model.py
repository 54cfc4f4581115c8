"""What the peer scripts share: the base model as transformers loads it, QLoRA as PEFT attaches it, the process's peak memory."""
import pathlib

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

ADAPTER_RANK = 64


def load_base(folder, quantization="none", dtype=torch.float32):
    """The causal model in `folder`, its linear layers in NF4 with double quantization or left as they are.

    transformers never quantizes the embedding or the head. The model is left in training mode (no layer here has dropout):
    in eval mode bitsandbytes takes another path on CPUs with AVX512-BF16, whose scales are rounded to bf16.
    """
    nf4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype)
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, device_map="cpu", quantization_config={"none": None, "nf4": nf4}[quantization])
    return model.train()


def attach_lora(base):
    """LoRA on every linear layer at multiplier 1, adapter weights in f32. The base is frozen and keeps its dtype."""
    config = LoraConfig(r=ADAPTER_RANK, lora_alpha=ADAPTER_RANK, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(base, config)


def peak_memory_gb():
    """The most memory this process has held so far (VmHWM), in GB of 10^9 bytes."""
    status = pathlib.Path("/proc/self/status").read_text()
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kibibytes) * 1024 / 1e9
