// Compiles the NCCL and the CUDA driver of the tests (fake-nccl) into a folder, as libnccl.so.2 and
// libcuda.so.1: `node scripts/build-fake-nccl.mjs FOLDER` says where there is no C++ compiler for it.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The paths of both libraries, or null where there is no compiler. */
export function buildFakeNccl(folder) {
  const compiler = process.env.CXX ?? 'g++';
  if (process.platform !== 'linux' || spawnSync(compiler, ['--version']).status !== 0) return null;
  const build = (source, library) => {
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

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const built = buildFakeNccl(process.argv[2]);
  if (!built) console.log('[build-fake-nccl] none: it needs Linux and a C++ compiler.');
}
