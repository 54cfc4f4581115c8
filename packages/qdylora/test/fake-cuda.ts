import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createCudaBackend } from '@qdylora/cuda-kernels';
import { temporaryFolder } from '@qdylora/testing/node';
import type { Ended } from './run-command.ts';

/** The driver of cuda-kernels that works without a GPU: the folder of its library. */
export interface FakeDriver {
  readonly folder: string;
  readonly library: string;
}

/** Compiles it where that is not done yet; null where there is no compiler. */
export function buildFakeDriver(): FakeDriver | null {
  const home = dirname(createRequire(import.meta.url).resolve('@qdylora/cuda-kernels/package.json'));
  const printed = execFileSync(process.execPath, [join(home, 'scripts', 'build-fake-driver.mjs')], {
    encoding: 'utf8',
  }).trim();
  return printed.startsWith('[') ? null : { folder: printed, library: join(printed, 'libcuda.so.1') };
}

const commandScript = fileURLToPath(new URL('run-commands.ts', import.meta.url));

/**
 * Runs command lines in one process whose loader finds the fake driver, as a GPU's driver is found. Each has
 * its settings of the driver before its words.
 */
export async function commandsWithGpu(
  { folder }: FakeDriver,
  calls: readonly (readonly [settings: string, ...words: string[]])[],
): Promise<readonly Ended[]> {
  const env = { ...process.env, LD_LIBRARY_PATH: folder, NO_COLOR: '1' };
  const words = ['--conditions=source', '--import', 'tsx', commandScript, JSON.stringify(calls)];
  const { stdout } = await promisify(execFile)(process.execPath, words, { env });
  return JSON.parse(stdout) as Ended[];
}

type CudaBackend = Awaited<ReturnType<typeof createCudaBackend>>;

/** How a job on the fake driver ended. */
export interface FakeRun<T> {
  /** What the job returned; undefined where it threw. */
  readonly result: T | undefined;
  /** What it threw. */
  readonly error: unknown;
  /** Names of all calls of the driver, in order, with their version: `cuMemAlloc_v2`. */
  readonly calls: readonly string[];
  /** What the last call left behind, by kind: { memory: 0, … }. */
  readonly ledger: Readonly<Record<string, number>>;
}

/** Regions so small that a training run reserves dozens of them. */
const REGION_BYTES = 2 ** 12;

/**
 * Runs a job on a new backend, with the driver set to these words (fake-driver/settings.h of cuda-kernels).
 * The backend is disposed afterwards.
 */
export async function onFakeCuda<T>(
  { library }: FakeDriver,
  settings: string,
  job: (backend: CudaBackend) => Promise<T>,
): Promise<FakeRun<T>> {
  const log = join(temporaryFolder(), 'calls.log');
  const before = process.env.QDYLORA_FAKE_CUDA;
  process.env.QDYLORA_FAKE_CUDA = `${settings} log=${log}`;
  let outcome: { readonly result?: T; readonly error?: unknown } = {};
  try {
    using backend = await createCudaBackend({ libraryPath: library, regionBytes: REGION_BYTES });
    outcome = { result: await job(backend) };
  } catch (error) {
    outcome = { error };
  } finally {
    if (before === undefined) delete process.env.QDYLORA_FAKE_CUDA;
    else process.env.QDYLORA_FAKE_CUDA = before;
  }
  const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
  return {
    result: outcome.result,
    error: outcome.error,
    calls: lines.map((line) => line.split(' ', 1)[0]),
    ledger: ledgerOf(lines.at(-1)!),
  };
}

const ledgerOf = (line: string): Record<string, number> =>
  Object.fromEntries(
    line
      .split(' ')
      .slice(2)
      .map((count) => {
        const [kind, value] = count.split('=');
        return [kind, Number(value)];
      }),
  );
