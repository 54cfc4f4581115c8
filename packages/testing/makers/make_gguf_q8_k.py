"""One tensor of Q8_K, which the gguf package cannot dequantize, with what ggml's own C code makes of it.

    python make_gguf_q8_k.py --out DIR --seed N
"""

import argparse
import ctypes
from pathlib import Path

import gguf
import llama_cpp
import numpy as np
from safetensors.numpy import save_file

BLOCKS, LENGTH, BYTES = 4, 256, 292


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()
    library = ctypes.CDLL(next(str(p) for p in Path(llama_cpp.__file__).parent.rglob("libggml-base.so*")))
    source = np.random.default_rng(args.seed).standard_normal(BLOCKS * LENGTH).astype(np.float32)
    source[LENGTH:2 * LENGTH] = 0
    packed, values = np.empty(BLOCKS * BYTES, np.uint8), np.empty_like(source)
    for name, a, b in (("quantize_row_q8_K_ref", source, packed), ("dequantize_row_q8_K", packed, values)):
        function = getattr(library, name)
        function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64], None
        function(a.ctypes.data, b.ctypes.data, source.size)
    args.out.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(args.out / "q8_k.gguf", "llama")
    writer.add_tensor("quantized.Q8_K", packed.reshape(2, -1), raw_dtype=gguf.GGMLQuantizationType.Q8_K)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file({"quantized.Q8_K": values.reshape(2, -1)}, args.out / "q8_k.expected.safetensors")


if __name__ == "__main__":
    main()
