import { QdyloraError } from '@qdylora/contract';
import { kindOf } from '../json/kind-of.ts';

/**
 * Checked access to a record from a file. A value of the wrong type is an error that names file and key. A
 * missing or `null` value takes the default; without a default it is an error.
 */
export interface ConfigReader {
  /** The file, for messages. */
  readonly path: string;
  readonly raw: Readonly<Record<string, unknown>>;
  /** True if the key is present and not `null`. */
  has(key: string): boolean;
  /** A whole number within ±(2⁵³ − 1). */
  integer(key: string, otherwise?: number): number;
  /** A finite number. */
  number(key: string, otherwise?: number): number;
  boolean(key: string, otherwise?: boolean): boolean;
  string(key: string, otherwise?: string): string;
  strings(key: string, otherwise?: readonly string[]): readonly string[];
  /** A reader for a nested record of the same file; messages name `key.…`. */
  nested(key: string, values: Readonly<Record<string, unknown>>): ConfigReader;
  /** The error for a value that does not meet `requirement`. */
  wrong(requirement: string, key: string): QdyloraError;
}

/** Creates a reader. @param path the file, for messages. */
export function configReader(
  path: string,
  raw: Readonly<Record<string, unknown>>,
  prefix = '',
): ConfigReader {
  const at = (key: string): unknown => (Object.hasOwn(raw, key) ? raw[key] : undefined);
  const take = <T>(
    requirement: string,
    key: string,
    otherwise: T | undefined,
    accepts: (value: unknown) => value is T,
  ): T => {
    const value = at(key);
    if (accepts(value)) return value;
    if ((value === undefined || value === null) && otherwise !== undefined) return otherwise;
    throw wrong(requirement, key);
  };
  const wrong = (requirement: string, key: string): QdyloraError =>
    new QdyloraError('BAD_CONFIG', {
      where: 'config',
      problem: `${path}: \`${prefix}${key}\` must be ${requirement} (got ${kindOf(at(key))}).`,
      nextStep: 'Correct the file, or take the checkpoint from its source again.',
      details: { path, key: prefix + key, got: at(key) },
    });
  return {
    path,
    raw,
    wrong,
    has: (key) => at(key) !== undefined && at(key) !== null,
    integer: (key, otherwise) =>
      take('a whole number', key, otherwise, (v): v is number => Number.isSafeInteger(v)),
    number: (key, otherwise) =>
      take('a finite number', key, otherwise, (v): v is number => Number.isFinite(v)),
    boolean: (key, otherwise) =>
      take('true or false', key, otherwise, (v): v is boolean => typeof v === 'boolean'),
    string: (key, otherwise) => take('a string', key, otherwise, (v): v is string => typeof v === 'string'),
    strings: (key, otherwise) =>
      take(
        'a list of strings',
        key,
        otherwise,
        (v): v is readonly string[] => Array.isArray(v) && v.every((item) => typeof item === 'string'),
      ),
    nested: (key, values) => configReader(path, values, `${prefix}${key}.`),
  };
}
