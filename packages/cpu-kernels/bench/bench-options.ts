import { parseArgs } from 'node:util';
import { usableThreads } from '../src/index.ts';

/** What the command lines of the benches say, `--threads 1,2` and `--threads=1,2` alike. */
export interface BenchOptions {
  readonly filters: readonly string[];
  readonly json: boolean;
  readonly op: string | undefined;
  /** Default: one, and all that this process may use. */
  readonly threads: readonly number[];
  readonly level: string | undefined;
  /** Text that a case's label holds. */
  readonly only: string | undefined;
  readonly m: readonly number[] | undefined;
  readonly shape: readonly string[] | undefined;
  readonly direction: 'forward' | 'backward' | undefined;
}

/** @throws TypeError for an option that does not exist. */
export function benchOptions(args: readonly string[] = process.argv.slice(2)): BenchOptions {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      op: text,
      threads: text,
      level: text,
      only: text,
      m: text,
      shape: text,
      direction: text,
    },
  });
  const list = (value: string | undefined): string[] | undefined => value?.split(',');
  if (values.direction !== undefined && values.direction !== 'forward' && values.direction !== 'backward')
    throw new TypeError(`--direction must be forward or backward (got ${values.direction})`);
  return {
    filters: positionals,
    json: values.json,
    op: values.op,
    level: values.level,
    only: values.only,
    direction: values.direction,
    threads: [...new Set(list(values.threads)?.map(Number) ?? [1, usableThreads()])],
    m: list(values.m)?.map(Number),
    shape: list(values.shape),
  };
}
