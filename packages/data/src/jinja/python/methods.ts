import { bindArguments } from './arguments.ts';
import type { Budget } from '../budget.ts';
import { areEqual } from './operators.ts';
import { capitalized, LINE_END, pythonText, stripped, titled, wordsOf } from './python-text.ts';
import {
  integerOf,
  iterated,
  itemsOf,
  nameOf,
  textOf,
  Tuple,
  UnknownJinja,
  type CallArguments,
  type Dict,
  type Value,
} from './values.ts';

type Method<T> = (self: T, args: CallArguments, budget: Budget) => Value;

/** Methods of a string, with Python's results. */
export const TEXT_METHODS: ReadonlyMap<string, Method<string>> = new Map<string, Method<string>>([
  ['upper', (text) => text.toUpperCase()],
  ['lower', (text) => text.toLowerCase()],
  ['capitalize', capitalized],
  ['title', titled],
  ...(['strip', 'lstrip', 'rstrip'] as const).map((side): [string, Method<string>] => [
    side,
    (text, args) => {
      const [characters] = bindArguments(args, ['chars'], `${side}()`);
      return stripped(text, side, characters == null ? null : textOf(characters, `${side}()`));
    },
  ]),
  ['startswith', (text, args) => affixes(args, 'startswith()').some((prefix) => text.startsWith(prefix))],
  ['endswith', (text, args) => affixes(args, 'endswith()').some((suffix) => text.endsWith(suffix))],
  [
    'split',
    (text, args) => {
      const [separator, limit = -1] = bindArguments(args, ['sep', 'maxsplit'], 'split()');
      const most = integerOf(limit, 'split(maxsplit)');
      return separator == null ? wordsOf(text, most) : splitText(text, textOf(separator, 'split()'), most);
    },
  ],
  [
    'rsplit',
    (text, args) => {
      const [separator, limit = -1] = bindArguments(args, ['sep', 'maxsplit'], 'rsplit()');
      const most = integerOf(limit, 'rsplit(maxsplit)');
      if (separator != null) return splitFromRight(text, textOf(separator, 'rsplit()'), most);
      if (most >= 0) throw new UnknownJinja('rsplit() of a number of words');
      return wordsOf(text);
    },
  ],
  [
    'splitlines',
    (text, args) => {
      bindArguments(args, [], 'splitlines()');
      const lines = text.split(LINE_END);
      return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
    },
  ],
  ['join', (text, args, budget) => joined(text, bindArguments(args, ['iterable'], 'join()')[0], budget)],
  ['count', (text, args) => countOf(text, textOf(bindWithoutRange(args, 'sub', 'count()')[0], 'count()'))],
  [
    'find',
    (text, args) => {
      const [part] = bindWithoutRange(args, 'sub', 'find()');
      return characterIndex(text, text.indexOf(textOf(part, 'find()')));
    },
  ],
  [
    'rfind',
    (text, args) => {
      const [part] = bindWithoutRange(args, 'sub', 'rfind()');
      return characterIndex(text, text.lastIndexOf(textOf(part, 'rfind()')));
    },
  ],
  [
    'removeprefix',
    (text, args) => {
      const prefix = textOf(bindArguments(args, ['prefix'], 'removeprefix()')[0], 'removeprefix()');
      return text.startsWith(prefix) ? text.slice(prefix.length) : text;
    },
  ],
  [
    'removesuffix',
    (text, args) => {
      const suffix = textOf(bindArguments(args, ['suffix'], 'removesuffix()')[0], 'removesuffix()');
      return text.endsWith(suffix) ? text.slice(0, text.length - suffix.length) : text;
    },
  ],
  [
    'replace',
    (text, args, budget) => {
      const [old, fresh, count] = bindArguments(args, ['old', 'new', 'count'], 'replace()');
      return replaced(text, { old, fresh, count }, budget);
    },
  ],
]);

/** Methods of a list. */
export const LIST_METHODS: ReadonlyMap<string, Method<readonly Value[]>> = new Map<
  string,
  Method<readonly Value[]>
>([
  [
    'index',
    (list, args, { step }) => {
      const [wanted] = bindWithoutRange(args, 'value', 'index()');
      const index = list.findIndex((item) => areEqual(item, wanted, step));
      if (index < 0) throw new Error(`${pythonText(wanted, step)} is not in the list`);
      return index;
    },
  ],
  [
    'count',
    (list, args, { step }) => {
      const [wanted] = bindArguments(args, ['value'], 'count()');
      return list.filter((item) => areEqual(item, wanted, step)).length;
    },
  ],
]);

/** Methods of a mapping. */
export const DICT_METHODS: ReadonlyMap<string, Method<Dict>> = new Map<string, Method<Dict>>([
  [
    'get',
    (dict, args) => {
      const [key, otherwise = null] = bindArguments(args, ['key', 'default'], 'get()');
      return typeof key === 'string' && dict.has(key) ? dict.get(key) : otherwise;
    },
  ],
  ['items', dictItems],
  ['keys', (dict) => [...dict.keys()]],
  ['values', (dict) => [...dict.values()]],
]);

/** `dict.items()`: pairs of key and value. */
export function dictItems(dict: Dict): readonly Tuple[] {
  return [...dict].map((entry) => new Tuple(entry));
}

/**
 * The argument of a method that has `start` and `end` too in Python.
 *
 * @throws UnknownJinja for those two
 */
function bindWithoutRange(args: CallArguments, parameter: string, method: string): readonly Value[] {
  if (args.positional.length === 2 || args.positional.length === 3)
    throw new UnknownJinja(`${method} with a start or an end`);
  return bindArguments(args, [parameter], method);
}

/** The argument of `startswith` and `endswith`: a string, or a tuple of them. */
function affixes(args: CallArguments, method: string): readonly string[] {
  const [affix] = bindWithoutRange(args, 'prefix', method);
  return (itemsOf(affix) ?? [affix]).map((text) => textOf(text, method));
}

/** `separator.join(items)` */
function joined(separator: string, iterable: Value, budget: Budget): string {
  const items = iterated(iterable);
  if (!items) throw new Error(`join() takes a list, not ${nameOf(iterable)}`);
  const texts = items.map((item) => textOf(item, 'an item of join()'));
  return joinedTexts(texts, separator, budget);
}

/** Texts with a separator between them. @throws TemplateLimit for a text that is too long */
export function joinedTexts(texts: readonly string[], separator: string, { size }: Budget): string {
  size(
    texts.reduce((length, text) => length + text.length + separator.length, 0),
    'text',
  );
  return texts.join(separator);
}

/** How often a text contains another one, without overlaps. */
const countOf = (text: string, part: string): number =>
  part === '' ? Array.from(text).length + 1 : text.split(part).length - 1;

/** An index in UTF-16 units as one in characters; -1 stays. */
const characterIndex = (text: string, index: number): number =>
  index < 0 ? index : Array.from(text.slice(0, index)).length;

function splitFromRight(text: string, separator: string, most: number): string[] {
  const parts = splitText(text, separator, -1);
  const from = most < 0 ? 0 : Math.max(0, parts.length - most - 1);
  return from === 0 ? parts : [parts.slice(0, from + 1).join(separator), ...parts.slice(from + 1)];
}

function splitText(text: string, separator: string, most: number): string[] {
  if (separator === '') throw new Error('empty separator');
  const parts = text.split(separator);
  return most < 0 || parts.length <= most + 1
    ? parts
    : [...parts.slice(0, most), parts.slice(most).join(separator)];
}

/**
 * `str.replace`, for `count` occurrences or all. Only this method can multiply a string by a string, so the
 * size of the result is checked first.
 */
export function replaced(
  text: string,
  { old, fresh, count }: { readonly old: Value; readonly fresh: Value; readonly count: Value },
  budget: Budget,
): string {
  const from = textOf(old, 'replace()');
  const to = textOf(fresh, 'replace()');
  const most = count == null ? -1 : integerOf(count, 'replace(count)');
  const parts = from === '' ? ['', ...text, ''] : text.split(from);
  const places = most < 0 ? parts.length - 1 : Math.min(most, parts.length - 1);
  budget.size(text.length + places * Math.max(0, to.length - from.length), 'text');
  if (places === parts.length - 1) return parts.join(to);
  return parts.slice(0, places + 1).join(to) + from + parts.slice(places + 1).join(from);
}
