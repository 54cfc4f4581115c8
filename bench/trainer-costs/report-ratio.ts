import { recordRows } from '@qdylora/testing/bench';
import { median } from '../median.mjs';

export const milliseconds = (seconds: number): string => `${(1000 * seconds).toFixed(1)} ms`;

const ratiosOf = (seconds: readonly number[], plain: readonly number[]): number[] =>
  seconds.map((each, i) => each / plain[i]);

export const medianRatio = (seconds: readonly number[], plain: readonly number[]): number =>
  median(ratiosOf(seconds, plain));

/**
 * Prints and records the median of each round's ratio, so that what others do on the machine hits both sides
 * of one; the spread says how much it did.
 */
export function reportRatio(name: string, seconds: readonly number[], plain: readonly number[]): void {
  const ratios = ratiosOf(seconds, plain).sort((a, b) => a - b);
  const spread = `${ratios[0].toFixed(2)}–${ratios.at(-1)!.toFixed(2)}`;
  const ratio = median(ratios);
  console.log(
    `${name.padEnd(44)} ${milliseconds(median(seconds)).padStart(10)}  ${ratio.toFixed(3)}×  (${spread})`,
  );
  recordRows([{ what: name, ms: 1000 * median(seconds), ratio, 'ratio, rounds': spread }]);
}

export async function timed(run: () => Promise<unknown> | unknown): Promise<number> {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
}
