"""Compiles CUDA sources with NVRTC: python3 compile-with-nvrtc.py LIBNVRTC < jobs.json > results.json

jobs:    {"includes": [folder], "sources": [{"name", "path"}], "targets": ["sm_80", "compute_80"]}
results: {"version": "12.9", "images": [{"source", "target", "image": base64, "log"}]}

A target sm_XY gives a cubin, compute_XY gives PTX. Run it in an empty folder: NVRTC looks for libcuda.so.1
in the working directory and calls into it.
"""

import base64
import ctypes
import json
import sys


def check(status, what):
    if status != 0:
        raise RuntimeError(f"{what} failed with status {status}")


class Nvrtc:
    def __init__(self, path):
        self.library = ctypes.CDLL(path)

    def version(self):
        major, minor = ctypes.c_int(), ctypes.c_int()
        check(self.library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)), "nvrtcVersion")
        return f"{major.value}.{minor.value}"

    def bytes_of(self, program, what):
        size = ctypes.c_size_t()
        get_size = getattr(self.library, f"nvrtcGet{what}Size")
        check(get_size(program, ctypes.byref(size)), f"nvrtcGet{what}Size")
        buffer = ctypes.create_string_buffer(size.value)
        check(getattr(self.library, f"nvrtcGet{what}")(program, buffer), f"nvrtcGet{what}")
        return buffer.raw[: size.value]

    def compile(self, name, source, target, includes):
        is_ptx = target.startswith("compute_")
        options = [f"--gpu-architecture={target}", "--std=c++17"]
        options += [f"--include-path={folder}" for folder in includes]
        if not is_ptx:
            options.append("--ptxas-options=-v")
        program = ctypes.c_void_p()
        check(
            self.library.nvrtcCreateProgram(
                ctypes.byref(program), source.encode(), name.encode(), 0, None, None
            ),
            "nvrtcCreateProgram",
        )
        arguments = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
        status = self.library.nvrtcCompileProgram(program, len(options), arguments)
        log = self.bytes_of(program, "ProgramLog").rstrip(b"\0").decode()
        if status != 0:
            raise SystemExit(f"{name} for {target}:\n{log}")
        image = self.bytes_of(program, "PTX" if is_ptx else "CUBIN")
        self.library.nvrtcDestroyProgram(ctypes.byref(program))
        return image.rstrip(b"\0") if is_ptx else image, log


def main():
    nvrtc = Nvrtc(sys.argv[1])
    jobs = json.load(sys.stdin)
    images = []
    for source in jobs["sources"]:
        with open(source["path"], encoding="utf-8") as file:
            text = file.read()
        for target in jobs["targets"]:
            image, log = nvrtc.compile(source["name"], text, target, jobs["includes"])
            images.append(
                {
                    "source": source["name"],
                    "target": target,
                    "image": base64.b64encode(image).decode(),
                    "log": log,
                }
            )
    json.dump({"version": nvrtc.version(), "images": images}, sys.stdout)


main()
