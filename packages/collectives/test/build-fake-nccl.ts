import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The libraries of fake-nccl, compiled. */
export interface FakeNccl {
  readonly ncclPath: string;
  readonly cudaPath: string;
}

/** Compiles them into a folder; null where there is no C++ compiler for it. */
export function buildFakeNccl(folder: string): FakeNccl | null {
  const compiler = process.env.CXX ?? 'g++';
  if (process.platform !== 'linux' || spawnSync(compiler, ['--version']).status !== 0) return null;
  const build = (source: string, library: string): string => {
    const path = join(folder, library);
    const input = fileURLToPath(new URL(`../fake-nccl/${source}`, import.meta.url));
    const flags = ['-std=c++17', '-O1', '-fPIC', '-shared', '-Wall', '-Wextra', '-fvisibility=hidden'];
    const { status, stderr } = spawnSync(compiler, [...flags, input, '-o', path], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    return path;
  };
  return {
    ncclPath: build('fake-nccl.cpp', 'libnccl.so.2'),
    cudaPath: build('fake-cuda.cpp', 'libcuda.so.1'),
  };
}
