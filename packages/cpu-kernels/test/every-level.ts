import { createCpuBackend, cpuLevels, type CpuBackend, type CpuBackendOptions } from '../src/index.ts';

/** Under AddressSanitizer every array gets a region of its own, so that a read or write past it is seen. */
const REGION_BYTES = Number(process.env.QDYLORA_TEST_REGION_BYTES ?? 1 << 22);

/**
 * One level that this machine can run, at several thread counts: what `checkKernel` of @qdylora/testing
 * takes.
 */
export interface LevelGroup {
  readonly label: string;
  readonly backends: readonly CpuBackend[];
}

/**
 * Every level that runs here, those for tests included, with 1, 2 and 3 threads each; fresh memory is
 * poisoned. @throws where the addon is missing.
 */
export async function everyLevel(
  threadCounts: readonly number[] = [1, 2, 3],
  options: Pick<CpuBackendOptions, 'batchInvariant'> = {},
): Promise<LevelGroup[]> {
  const levels = cpuLevels();
  if (!levels.available) throw new Error(`${levels.reason} ${levels.nextStep}`);
  const runnable = levels.levels.filter(({ missing }) => !missing);
  return Promise.all(
    runnable.map(async ({ name }) => ({
      label: name,
      backends: await Promise.all(
        threadCounts.map((threads) =>
          createCpuBackend({
            ...options,
            level: name,
            numThreads: threads,
            poison: true,
            regionBytes: REGION_BYTES,
          }),
        ),
      ),
    })),
  );
}
