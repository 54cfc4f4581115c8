import { ExactNumber } from '../../rows/json/exact-number.ts';

/**
 * A value of a template, as Python has it:
 *
 * | here | Python |
 * |---|---|
 * | `undefined` | a name that is not defined |
 * | `null`, boolean, string | `None`, `bool`, `str` |
 * | number, `ExactNumber` | `int`; beyond 2^53 with the digits that were written |
 * | `PythonFloat` | `float` |
 * | array, `Tuple`, `Map` | `list`, `tuple`, `dict` |
 * | `Iterator` | an iterator: what `map`, `selectattr` and other filters of Jinja give |
 * | `Namespace` | Jinja's `namespace()` |
 * | function | a function, a method or a macro |
 */
export type Value =
  | undefined
  | null
  | boolean
  | string
  | number
  | ExactNumber
  | PythonFloat
  | readonly Value[]
  | Tuple
  | Iterator
  | Dict
  | Namespace
  | TemplateFunction;

/** Keys keep their insertion order. */
export type Dict = ReadonlyMap<string, Value>;

/** A float, also if it is whole: a template prints `1.0`, not `1`. */
export class PythonFloat {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** Python's `tuple`: a list is an array here, so this class tells them apart. */
export class Tuple {
  readonly items: readonly Value[];

  constructor(items: readonly Value[]) {
    this.items = items;
  }
}

/** An iterator: its items can be visited once, and it is true even without any. */
export class Iterator {
  #items: readonly Value[];

  constructor(items: readonly Value[]) {
    this.#items = items;
  }

  /** The items that were not taken yet, or the first `count` of them. */
  take(count = Infinity): readonly Value[] {
    const taken = this.#items.slice(0, count);
    this.#items = this.#items.slice(count);
    return taken;
  }
}

/** The only value that a template can change. */
export class Namespace {
  readonly entries: Map<string, Value>;

  constructor(entries: Map<string, Value>) {
    this.entries = entries;
  }
}

/** Arguments of a call: positional, and by name. */
export interface CallArguments {
  readonly positional: readonly Value[];
  readonly named: ReadonlyMap<string, Value>;
}

export type TemplateFunction = (args: CallArguments) => Value;

export type Kind =
  | 'undefined'
  | 'none'
  | 'boolean'
  | 'text'
  | 'integer'
  | 'float'
  | 'list'
  | 'tuple'
  | 'iterator'
  | 'dict'
  | 'namespace'
  | 'function';

/** The Python type of a template's value. Python's `int` is `integer`, also beyond 2^53. */
export function kindOf(value: Value): Kind {
  switch (typeof value) {
    case 'undefined':
      return 'undefined';
    case 'boolean':
      return 'boolean';
    case 'string':
      return 'text';
    case 'number':
      return 'integer';
    case 'function':
      return 'function';
    default:
  }
  if (value === null) return 'none';
  if (Array.isArray(value)) return 'list';
  if (value instanceof Map) return 'dict';
  if (value instanceof PythonFloat) return 'float';
  if (value instanceof ExactNumber) return 'integer';
  if (value instanceof Iterator) return 'iterator';
  return value instanceof Tuple ? 'tuple' : 'namespace';
}

/** A kind of value, for an error message. */
const KIND_NAMES: Readonly<Record<Kind, string>> = {
  undefined: 'an undefined value',
  none: 'None',
  boolean: 'a boolean',
  text: 'a string',
  integer: 'a number',
  float: 'a number',
  list: 'a list',
  tuple: 'a tuple',
  iterator: 'an iterator',
  dict: 'a mapping',
  namespace: 'a namespace',
  function: 'a function',
};

export const nameOf = (value: Value): string => KIND_NAMES[kindOf(value)];

/** JSON, or a value of exact JSON (`parseExactJson`), as templates see it. */
export function templateValue(value: unknown): Value {
  if (typeof value === 'number') return Number.isInteger(value) ? value : new PythonFloat(value);
  if (value instanceof ExactNumber) return value.isFloat ? new PythonFloat(value.toJSON()) : value;
  if (Array.isArray(value)) return value.map(templateValue);
  if (typeof value !== 'object' || value === null) return value as Value;
  const entries = value instanceof Map ? [...(value as Map<string, unknown>)] : Object.entries(value);
  return new Map(entries.map(([key, inner]) => [key, templateValue(inner)]));
}

/** What Python's `bool(value)` is. */
export function isTrue(value: Value): boolean {
  if (value instanceof PythonFloat) return value.value !== 0;
  if (value instanceof Tuple) return value.items.length > 0;
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Map) return value.size > 0;
  return Boolean(value);
}

/** The numeric value; null if the value is not a number. Booleans are 0 and 1. */
export function numberOf(value: Value): number | null {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return Number(value);
  if (value instanceof PythonFloat) return value.value;
  return value instanceof ExactNumber ? value.toJSON() : null;
}

/** The items of a list or a tuple; null for another value. */
export const itemsOf = (value: Value): readonly Value[] | null =>
  Array.isArray(value) ? (value as readonly Value[]) : value instanceof Tuple ? value.items : null;

/**
 * The items that `for` visits: items, the keys of a mapping, the characters of a string, what is left of an
 * iterator; null if the value is not iterable.
 */
export function iterated(value: Value): readonly Value[] | null {
  if (typeof value === 'string') return Array.from(value);
  if (value instanceof Map) return [...(value as Dict).keys()];
  if (value instanceof Iterator) return value.take();
  return value === undefined ? [] : itemsOf(value);
}

/** The value as a string. @throws Error for any other value; `where` names the caller. */
export function textOf(value: Value, where: string): string {
  if (typeof value === 'string') return value;
  throw new Error(`${where} takes a string, not ${nameOf(value)}`);
}

/** The value as a whole number. @throws Error for any other value; `where` names the caller. */
export function integerOf(value: Value, where: string): number {
  const kind = kindOf(value);
  if (kind === 'integer' || kind === 'boolean') return numberOf(value)!;
  throw new Error(`${where} takes a whole number, not ${nameOf(value)}`);
}

/**
 * A result in whole numbers, truncated.
 *
 * @throws UnknownJinja beyond 2^53, where JavaScript's numbers are not exact
 */
export function wholeNumber(value: number): number {
  const whole = Math.trunc(value);
  if (Number.isSafeInteger(whole)) return whole;
  throw new UnknownJinja(
    'Whole numbers beyond 2^53 of the data can be printed and compared, but not computed or written',
  );
}

/** A filter, a test, a function or an operation of Jinja that is not implemented here. */
export class UnknownJinja extends Error {}
