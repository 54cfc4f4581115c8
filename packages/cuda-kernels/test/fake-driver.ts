import { readFileSync } from 'node:fs';
import { temporaryFolder } from '@qdylora/testing/node';
import { buildAddon } from '../scripts/build-addon.mjs';
import { buildFakeDriver } from '../scripts/build-fake-driver.mjs';
import { createCudaBackend, type CudaBackend, type CudaBackendOptions } from '../src/index.ts';

/** The fake driver's library, or null where there is no C++ compiler. */
export async function openFakeDriver(): Promise<string | null> {
  const { path } = await buildAddon();
  return path === undefined ? null : buildFakeDriver();
}

/** What a call left behind, from the fake driver's log: how many things of each kind are alive. */
export type Ledger = Readonly<Record<string, number>>;

/** A call of the log. */
export interface LoggedCall {
  readonly name: string;
  readonly result: number;
  readonly ledger: Ledger;
}

const VARIABLE = 'QDYLORA_FAKE_CUDA';

/**
 * Runs `body` with the fake driver set to these words (fake-driver/settings.h).
 *
 * @returns all calls
 */
export async function withFakeDriver(
  settings: string,
  body: () => Promise<void> | void,
): Promise<readonly LoggedCall[]> {
  const log = `${temporaryFolder()}/calls.log`;
  const before = process.env[VARIABLE];
  process.env[VARIABLE] = `${settings} log=${log}`;
  try {
    await body();
  } finally {
    if (before === undefined) delete process.env[VARIABLE];
    else process.env[VARIABLE] = before;
  }
  return readFileSync(log, 'utf8').trimEnd().split('\n').map(parseCall);
}

function parseCall(line: string): LoggedCall {
  const [name, result, ...counts] = line.split(' ');
  return {
    name,
    result: Number(result),
    ledger: Object.fromEntries(
      counts.map((count) => {
        const [kind, value] = count.split('=');
        return [kind, Number(value)];
      }),
    ),
  };
}

/** The same while a backend is open; it is disposed afterwards. */
export const withFakeBackend = (
  library: string,
  settings: string,
  body: (backend: CudaBackend) => Promise<void> | void,
  options: CudaBackendOptions = {},
): Promise<readonly LoggedCall[]> =>
  withFakeDriver(settings, async () => {
    using backend = await createCudaBackend({ libraryPath: library, regionBytes: 2 ** 16, ...options });
    await body(backend);
  });

/** Nothing is left: what the last call must have as its ledger. */
export const NOTHING: Ledger = {
  memory: 0,
  pinned: 0,
  streams: 0,
  events: 0,
  modules: 0,
  graphs: 0,
  blas: 0,
  contexts: 0,
};
