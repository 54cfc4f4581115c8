import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { MemoryPlan } from '../src/index.ts';
import { temporaryPlace } from './tiny-model.ts';

/**
 * The config.json values of the paper's models, and what transformers makes of them
 * (packages/models/fixtures).
 */
export const PAPER = (
  JSON.parse(
    readFileSync(
      fileURLToPath(new URL('../../models/fixtures/families/paper-models.json', import.meta.url)),
      'utf8',
    ),
  ) as { models: Record<string, { config: Record<string, unknown> }> }
).models;

/** Writes a config of the paper's models, or another one, into a folder of its own, and returns its path. */
export function configFile(
  name: string,
  config: Readonly<Record<string, unknown>> = PAPER[name].config,
): string {
  const file = temporaryPlace().in(`${name}.json`);
  writeFileSync(file, JSON.stringify(config));
  return file;
}

/** Bytes of a part of a plan; 0 where it has none of that name. */
export const partOf = ({ parts }: MemoryPlan, name: string): number =>
  parts.find(({ part }) => part === name)?.bytes ?? 0;

/**
 * Bytes of a matrix in NF4 with double quantization, as bitsandbytes stores it: codes, scales of a byte, and
 * a float for each 256 of these.
 */
export const nf4Bytes = ([rows, columns]: readonly number[]): number => {
  const blocks = Math.ceil((rows * columns) / 64);
  return Math.ceil((rows * columns) / 2) + blocks + 4 * Math.ceil(blocks / 256);
};
