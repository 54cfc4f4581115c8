import { nearestName, QdyloraError, shownValue } from '@qdylora/contract';
import {
  itemsOf,
  numberOf,
  PythonFloat,
  pythonKindOf,
  type PythonDict,
  type PythonValue,
} from '@qdylora/data';
import { FUNCTION_MARK } from './read-task-yaml.ts';

/** The entries of one mapping in the YAML of a task, read by their kinds. */
export interface YamlEntries {
  /** The file or task, for errors. */
  readonly where: string;
  has(key: string): boolean;
  value(key: string): PythonValue;
  /** @throws QdyloraError BAD_CONFIG for anything but a text, also for the name of a Python function */
  text(key: string): string | null;
  flag(key: string): boolean;
  /** @param least the smallest number that is allowed */
  whole(key: string, least?: number): number | null;
  texts(key: string): readonly string[] | null;
  /** A list of mappings. */
  mappings(key: string): readonly YamlEntries[] | null;
  mapping(key: string): YamlEntries | null;
  /** @throws QdyloraError BAD_CONFIG for a key that is not among these */
  assertOnly(keys: readonly string[]): void;
  error(problem: string, nextStep?: string): QdyloraError;
}

export function yamlEntries(dict: PythonDict, where: string): YamlEntries {
  const error = (problem: string, nextStep = 'Correct the file.'): QdyloraError =>
    new QdyloraError('BAD_CONFIG', { where, problem, nextStep });
  const wrong = (key: string, expected: string): QdyloraError =>
    error(`\`${key}\` must be ${expected} (got ${shownEntry(dict.get(key))}).`);
  const present = (key: string): boolean => dict.get(key) !== undefined && dict.get(key) !== null;
  const entries: YamlEntries = {
    where,
    has: present,
    value: (key) => dict.get(key),
    error,
    text(key) {
      const value = dict.get(key);
      if (!present(key)) return null;
      if (typeof value !== 'string') throw wrong(key, 'a text');
      const name = functionName(value);
      if (name !== null) throw error(pythonProblem(key, name), 'Write it as a text or a template.');
      return value;
    },
    flag(key) {
      const value = dict.get(key) ?? false;
      if (typeof value !== 'boolean') throw wrong(key, 'true or false');
      return value;
    },
    whole(key, least = -Infinity) {
      const value = dict.get(key);
      if (!present(key)) return null;
      if (pythonKindOf(value) !== 'integer') throw wrong(key, 'a whole number');
      if (numberOf(value)! < least) throw wrong(key, `a whole number of at least ${least}`);
      return numberOf(value);
    },
    texts(key) {
      if (!present(key)) return null;
      const value = dict.get(key);
      const list = itemsOf(value) ?? [value];
      if (!list.every((item) => typeof item === 'string')) throw wrong(key, 'a text or a list of texts');
      return list as string[];
    },
    mappings(key) {
      if (!present(key)) return null;
      const list = itemsOf(dict.get(key));
      if (!list?.every((item) => item instanceof Map)) throw wrong(key, 'a list of mappings');
      return list.map((item, i) => yamlEntries(item as PythonDict, `${where}, ${key} ${i + 1}`));
    },
    mapping(key) {
      if (!present(key)) return null;
      const value = dict.get(key);
      if (!(value instanceof Map)) throw wrong(key, 'a mapping');
      return yamlEntries(value as PythonDict, `${where}, ${key}`);
    },
    assertOnly(keys) {
      const unknown = [...dict.keys()].find((key) => !keys.includes(key));
      if (unknown !== undefined) throw error(`\`${unknown}\` is not a known key.`, keyAdvice(unknown, keys));
    },
  };
  return entries;
}

function keyAdvice(unknown: string, keys: readonly string[]): string {
  const nearest = nearestName(unknown, keys);
  return nearest ? `Did you mean \`${nearest}\`?` : `The keys are: ${keys.join(', ')}.`;
}

/** A float is an object here, and shows its number. */
const shownEntry = (value: PythonValue): string =>
  shownValue(value instanceof PythonFloat ? value.value : value);

/** The problem of a key with the name of a Python function. */
export const pythonProblem = (key: string, name: string): string =>
  `\`${key}\` calls the Python function ${name}, which cannot run here.`;

/** The name of a Python function that a value stands for; null for another value. */
export const functionName = (value: PythonValue): string | null =>
  typeof value === 'string' && value.startsWith(FUNCTION_MARK) ? value.slice(FUNCTION_MARK.length) : null;
