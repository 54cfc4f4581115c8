import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, test, vi } from 'vitest';
import { hostData, InsufficientMemoryError, QdyloraError } from '@qdylora/contract';
import { cpuLevels, createCpuBackend, createDryCpuBackend, loadAddon } from '../src/index.ts';
import { bestLevel } from '../src/addon/cpu-levels.ts';
import { reserveRegions } from '../src/memory/reserve-regions.ts';

const binary = fileURLToPath(new URL('../addon/build/Release/qdylora_cpu.node', import.meta.url));

const refusal = async (promise: Promise<unknown>): Promise<QdyloraError> => {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!QdyloraError.isInstance(error)) throw new Error(`expected a QdyloraError, got ${String(error)}`);
  return error;
};

test('the best level is one that this machine can run and that is not for tests', () => {
  const levels = cpuLevels();
  if (!levels.available) throw new Error(levels.reason);
  expect(levels.levels.find(({ name }) => name === levels.best)!.missing).toBe('');
  expect(levels.best).toMatch(/^(generic|avx2|avx512|avx512_bf16|amx_bf16)$/);
});

test('pairs of bf16 numbers are chosen where they are faster than float32, not on Intel', () => {
  const all = ['generic', 'avx2w16', 'avx2_tiles', 'avx2', 'avx512', 'avx512_bf16', 'amx_bf16'].map(
    (name) => ({ name, missing: '' }),
  );
  const levels = all.slice(0, -1);
  expect([
    bestLevel(levels, 'AMD EPYC 9654'),
    bestLevel(levels, 'Intel(R) Xeon(R) Platinum 8481C'),
    bestLevel(all, 'Intel(R) Xeon(R) Platinum 8481C'),
  ]).toEqual(['avx512_bf16', 'avx512', 'amx_bf16']);
  expect(
    bestLevel(
      levels.map((level) => ({ ...level, missing: level.name === 'avx512_bf16' ? 'AVX-512 BF16' : '' })),
      'AMD EPYC 7313',
    ),
  ).toBe('avx512');
});

test('a level that cannot run here is refused with those that can', async () => {
  const error = await refusal(createCpuBackend({ level: 'avx4096' }));
  expect(error.code).toBe('BAD_ARGUMENT');
  expect(error.message).toContain('generic');
  const levels = cpuLevels();
  const impossible = levels.available && levels.levels.find(({ missing }) => missing);
  if (impossible)
    expect((await refusal(createCpuBackend({ level: impossible.name }))).message).toContain(
      impossible.missing,
    );
});

test('QDYLORA_CPU_LEVEL forces a level, and is named where it cannot run here', async ({
  onTestFinished,
}) => {
  onTestFinished(() => void vi.unstubAllEnvs());
  vi.stubEnv('QDYLORA_CPU_LEVEL', 'generic');
  using backend = await createCpuBackend({ numThreads: 1, regionBytes: 1 << 20 });
  expect([backend.level, cpuLevels()]).toMatchObject(['generic', { forced: 'generic' }]);
  vi.stubEnv('QDYLORA_CPU_LEVEL', 'avx4096');
  expect((await refusal(createCpuBackend())).message).toMatch(
    /\[QDYLORA_CPU_LEVEL\] the CPU level must be one of generic.*\(got avx4096\)/,
  );
});

test('an option of another kind is refused by its name, and a level of tests is not offered', async () => {
  for (const batchInvariant of ['yes', null, 1])
    expect(await refusal(createCpuBackend({ batchInvariant: batchInvariant as never }))).toMatchObject({
      code: 'BAD_ARGUMENT',
      message: expect.stringContaining('batchInvariant') as string,
    });
  for (const numThreads of [0, 1.5, 1025, '2', null])
    expect(await refusal(createCpuBackend({ numThreads: numThreads as never }))).toMatchObject({
      code: 'BAD_ARGUMENT',
      message: expect.stringContaining('a whole number from 1 to 1024') as string,
      nextStep: expect.stringContaining('leave it out') as string,
    });
  expect((await refusal(createCpuBackend({ level: 'avx4096' }))).message).not.toMatch(/avx2w16|avx2_tiles/);
});

test('an unknown option, such as `threads`, is refused with the names of the options', async () => {
  const unknown = { threads: 2 } as object;
  const dry = Promise.resolve().then(() => createDryCpuBackend(unknown));
  for (const backend of [createCpuBackend(unknown), dry])
    expect(await refusal(backend)).toMatchObject({
      code: 'BAD_ARGUMENT',
      nextStep: expect.stringContaining('numThreads') as string,
    });
});

test('a missing or broken addon is explained, not thrown by the loader', async () => {
  expect(loadAddon('/nowhere/addon.node')).toMatchObject({ addon: null });
  expect(loadAddon(fileURLToPath(import.meta.url)).addon).toBeNull();
  expect((await refusal(createCpuBackend({ addonPath: '/nowhere/addon.node' }))).nextStep).toMatch(
    /^Build it with/,
  );
  expect(loadAddon(relative(process.cwd(), binary)).addon).not.toBeNull();
  expect(await refusal(createCpuBackend({ addonPath: 'node:path' }))).toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringMatching(
      /this module is not the addon of this package: it has no levels/,
    ) as string,
  });
});

test('a wrong call is a typed error that names the argument: kind, length, count', async () => {
  using backend = await createCpuBackend({ numThreads: 1, regionBytes: 1 << 20 });
  const scaleBy = backend.native('scaleBy');
  const x = new Float32Array(8);
  expect(() => scaleBy(x, x, x)).toThrow(/it takes 4 arguments \(got 3\)/);
  expect(() => scaleBy(new Uint8Array(8), x, x, 8)).toThrow(/argument 1 must be a Float32Array/);
  expect(() => scaleBy(x, x, x, 9)).toThrow(/argument 1 must have at least 9 elements \(got 8\)/);
  expect(() => scaleBy(x, x, x, -1)).toThrow(/whole number/);
  expect(() => scaleBy(x, x, x, 1.5)).toThrow(QdyloraError);
  for (const name of ['nothing', 'toString', '__proto__', 'constructor'])
    expect(() => backend.native(name), name).toThrow(QdyloraError);
});

test('after dispose functions refuse, and memory is gone', async () => {
  const backend = await createCpuBackend({ numThreads: 2, regionBytes: 1 << 20 });
  const view = backend.memory.allocate('f32', [4]);
  const call = backend.native('scaleBy');
  backend.dispose();
  backend.dispose();
  // The buffer is detached, so no stale view reaches unmapped memory.
  expect(() => hostData(view, 'x')).toThrow(/the memory of x \(f32 \[4\]\) was freed/);
  expect(() => call(new Float32Array(1), new Float32Array(1), new Float32Array(1), 1)).toThrow(/disposed/);
  expect(() => backend.memory.allocate('f32', [1])).toThrow(QdyloraError);
});

test('memory is 64-byte aligned zeroed pages; more than there is gives InsufficientMemoryError', async () => {
  const loaded = loadAddon();
  if (!loaded.addon) throw new Error(loaded.reason);
  const { reserve, unreserve } = reserveRegions(loaded.addon);
  const buffer = reserve(1 << 20);
  expect(new Uint8Array(buffer).every((byte) => byte === 0)).toBe(true);
  unreserve(buffer);
  expect(buffer.byteLength).toBe(0);
  expect(() => reserveRegions(loaded.addon, () => 1000).reserve(1001)).toThrow(InsufficientMemoryError);
  expect(() => reserve(2 ** 33)).toThrow(/One array has 8589934592 bytes, but at most 4294967295 fit/);
  expect(() => reserve(0.5)).toThrow(/reserve: the number of bytes must be at least 1/);
});

test('discard gives the RAM of whole pages back, and touches nothing beside them', () => {
  const loaded = loadAddon();
  if (!loaded.addon) throw new Error(loaded.reason);
  const { reserve, unreserve, discard } = reserveRegions(loaded.addon);
  const buffer = reserve(64 << 20);
  const bytes = new Uint8Array(buffer).fill(1);
  const before = process.memoryUsage.rss();
  discard(buffer, 100, (48 << 20) - 100);
  const suppliedOutputs = before - process.memoryUsage.rss();
  const at = [0, 99, 48 << 20, (64 << 20) - 1].map((i) => bytes[i]);
  expect(at).toEqual([1, 1, 1, 1]);
  expect(suppliedOutputs).toBeGreaterThan(40 << 20);
  for (const [offset, size] of [
    [-1, 8],
    [0, 2 ** 27],
    [64 << 20, 1],
    [NaN, 1],
  ] as const)
    expect(() => discard(buffer, offset, size)).toThrow(/discard: the arguments must be/);
  expect(() => discard(new ArrayBuffer(8), 0, 8)).toThrow(/discard: the arguments must be/);
  unreserve(buffer);
  expect(() => discard(buffer, 0, 1)).toThrow(/discard: the arguments must be/);
});

const USE = `const addon = require(${JSON.stringify(binary)});
const x = new Float32Array(200000).fill(2);
const y = new Float32Array(200000);
const { functions } = addon.open('generic', 3, false);
for (let i = 0; i < 20; i++) functions.scaleBy(x, new Float32Array([3]), y, x.length);
if (y[199999] !== 6) throw new Error('wrong');`;

test('several JavaScript threads use the addon at once, and end without closing it', async () => {
  const codes = await Promise.all(
    [1, 2, 3].map(
      () =>
        new Promise<number>((resolve, reject) => {
          const worker = new Worker(USE, { eval: true });
          worker.on('error', reject);
          worker.on('exit', resolve);
        }),
    ),
  );
  expect(codes).toEqual([0, 0, 0]);
});

test('a process ends promptly though its kernel threads still wait', () => {
  const { status, stderr } = spawnSync(process.execPath, ['-e', USE], { timeout: 20_000, encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

test(
  'no function is shared between instruction sets: level archives define no weak code outside their own ' +
    'namespace',
  () => {
    const release = fileURLToPath(new URL('../addon/build/Release/', import.meta.url));
    const archives = readdirSync(release).filter((name) => /^level_.*\.a$/.test(name));
    if (!existsSync('/usr/bin/nm')) return;
    let looked = 0;
    for (const archive of archives) {
      const level = /^level_(.*)\.a$/.exec(archive)![1];
      const { stdout } = spawnSync('nm', ['-C', '--defined-only', `${release}${archive}`], {
        encoding: 'utf8',
        maxBuffer: 1 << 28,
      });
      for (const line of stdout.split('\n')) {
        looked++;
        if (/ [WVu] /.test(line)) expect(line, `in ${archive}`).toContain(`qdylora::${level}::`);
      }
    }
    expect(looked).toBeGreaterThan(archives.length);
  },
);
