import { camelCase, kebabCase, snakeCase } from './names.ts';

/** A value that somebody wrote down, and where: so that a message can name the key as it stands there. */
export interface Given {
  readonly value: unknown;
  /** `run.yaml:12`, `command line`, `options`. */
  readonly where: string;
  /** A key's name as it is spelled there: `learning_rate`, `--learning-rate`, `learningRate`. */
  readonly spell: (key: string) => string;
}

/** Values by key, in TypeScript's spelling. A key that is left out is not in it. */
export type GivenValues = ReadonlyMap<string, Given>;

/** How each place spells a key. */
export const SPELLINGS = { yaml: snakeCase, flags: (key: string): string => `--${kebabCase(key)}`, options: (key: string): string => key } as const;

/** The options of a library call. Undefined and null mean left out. */
export function givenByOptions(options: Readonly<Record<string, unknown>>): GivenValues {
  const given = Object.entries(options).map(([key, value]) => [key, { value, where: 'options', spell: SPELLINGS.options }] as const);
  return new Map(given.filter(([, { value }]) => value !== undefined && value !== null));
}

/** The key of a name in YAML, or the name itself where it is not in snake case: then it is nobody's key. */
export const keyOfYamlName = (name: string): string => (snakeCase(camelCase(name)) === name ? camelCase(name) : name);

/** Later values win over earlier ones. */
export const mergeGiven = (...all: readonly GivenValues[]): GivenValues => new Map(all.flatMap((given) => [...given]));
