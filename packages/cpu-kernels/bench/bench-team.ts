import { createCpuBackend } from '../src/index.ts';
import { medianOf, rounded, type PrintRow } from './bench-row.ts';

/** Pauses before a run, in microseconds: the others still look for work, or sleep. */
const PAUSES = { hot: 0, asleep: 500 };

/** What it costs to start a team of threads and to wait for it, when it has nothing to do. */
export async function benchTeam(threads: number, level: string | undefined, print: PrintRow): Promise<void> {
  if (threads < 2) return;
  using backend = await createCpuBackend({ numThreads: threads, level });
  for (const [state, pause] of Object.entries(PAUSES)) {
    const micros = Array.from({ length: 15 }, () => backend.native('emptyRun')(50, pause));
    print({
      op: 'empty-run',
      shape: state,
      m: null,
      compute: null,
      threads: backend.numThreads,
      level: backend.level,
      ms: rounded(Math.min(...micros) / 1e3),
      msMedian: rounded(medianOf(micros) / 1e3),
      gflops: null,
      gbps: null,
      ceiling: null,
      fraction: null,
      fractionMedian: null,
      rivals: {},
      rivalsMedian: {},
      leftOut: {},
    });
  }
}
