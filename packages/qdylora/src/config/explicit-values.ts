import { snakeCase } from '@qdylora/contract';
import { camelCase, kebabCase } from './names/names.ts';

/** An explicit value and its place, so that a message can name the key as it is spelled there. */
export interface ExplicitValue {
  readonly value: unknown;
  /** `run.yaml:12`, `command line`, `options`. */
  readonly where: string;
  /** The key as it was written. */
  readonly written: string;
  /** A key's name as that place spells it: `learning_rate`, `--learning-rate`, `learningRate`. */
  readonly spell: (key: string) => string;
}

/** Explicit values by key, in TypeScript's spelling. Keys without one are absent. */
export type ExplicitValues = ReadonlyMap<string, ExplicitValue>;

/** How each place spells a key. */
export const SPELLINGS = {
  yaml: snakeCase,
  flags: (key: string): string => `--${kebabCase(key)}`,
  options: (key: string): string => key,
} as const;

/**
 * The options of a library call. Undefined and null mean left out. A backend object is not a value of a key.
 */
export function valuesOfOptions({
  backend,
  ...otherOptions
}: Readonly<Record<string, unknown>>): ExplicitValues {
  const options = typeof backend === 'object' ? otherOptions : { ...otherOptions, backend };
  const entries = Object.entries(options).map(
    ([key, value]) => [key, { value, where: 'options', written: key, spell: SPELLINGS.options }] as const,
  );
  return new Map(entries.filter(([, { value }]) => value !== undefined && value !== null));
}

/** Values by name in YAML's spelling, each with its place (`run.yaml:12`). */
export function valuesOfYaml(
  values: Iterable<readonly [name: string, value: unknown, where: string]>,
): ExplicitValues {
  const entries = [...values].map(
    ([written, value, where]) =>
      [camelCase(written), { value, where, written, spell: SPELLINGS.yaml }] as const,
  );
  return new Map(entries.filter(([, { value }]) => value !== undefined && value !== null));
}

/** The values of flags, by key in TypeScript's spelling. */
export function valuesOfFlags(values: Readonly<Record<string, unknown>>): ExplicitValues {
  const entries = Object.entries(values).map(
    ([key, value]) =>
      [key, { value, where: 'command line', written: SPELLINGS.flags(key), spell: SPELLINGS.flags }] as const,
  );
  return new Map(entries.filter(([, { value }]) => value !== undefined));
}

/** Keys that set the same thing in two ways. */
const TWO_WAYS: Readonly<Record<string, string>> = {
  warmupRatio: 'warmupSteps',
  warmupSteps: 'warmupRatio',
  numEpochs: 'maxSteps',
  maxSteps: 'numEpochs',
};

/** Later values override earlier ones, also those of a key that sets the same thing in another way. */
export const mergeExplicit = (...all: readonly ExplicitValues[]): ExplicitValues =>
  all.reduce(
    (merged, later) => new Map([...[...merged].filter(([key]) => !later.has(TWO_WAYS[key])), ...later]),
    new Map(),
  );

/** The number that a key is set to; null for another value, or none. */
export function numberIn(values: ExplicitValues, key: string): number | null {
  const value = values.get(key)?.value;
  return typeof value === 'number' ? value : null;
}
