import { bindArguments } from './python/arguments.ts';
import type { Budget } from './budget.ts';
import { jsonText } from './python/json-text.ts';
import { ExactNumber } from '../rows/json/exact-number.ts';
import { numberText } from './python/compare-numbers.ts';
import { compareValues, negated } from './python/operators.ts';
import { capitalized, parsedNumber, pythonText, stripped, titledWords } from './python/python-text.ts';
import { pythonRegex } from './python/python-regex.ts';
import { testNamed } from './tests.ts';
import { dictItems, replaced } from './python/methods.ts';
import {
  integerOf,
  isTrue,
  iterated,
  itemsOf,
  kindOf,
  nameOf,
  numberOf,
  Namespace,
  PythonFloat,
  textOf,
  UnknownJinja,
  wholeNumber,
  type CallArguments,
  type Dict,
  type Value,
} from './python/values.ts';

interface Filter {
  readonly parameters: readonly string[];
  readonly apply: (operand: Value, args: readonly Value[], budget: Budget) => Value;
}

const filter = (apply: Filter['apply'], ...parameters: readonly string[]): Filter => ({ parameters, apply });

/** A filter from string to string; other values are converted to text first. */
const ofText = (change: (text: string) => string): Filter =>
  filter((operand, _, { step }) => change(pythonText(operand, step)));

const length = filter((operand) => countOf(operand));
const defaultValue = filter(
  (operand, [value = '', isBoolean = false]) =>
    operand === undefined || (isTrue(isBoolean) && !isTrue(operand)) ? value : operand,
  'default_value',
  'boolean',
);

/** Jinja's filters, with Python's results. */
const FILTERS: ReadonlyMap<string, Filter> = new Map([
  ['safe', ofText((text) => text)], // its mark is in the evaluator
  ['string', ofText((text) => text)],
  ['upper', ofText((text) => text.toUpperCase())],
  ['lower', ofText((text) => text.toLowerCase())],
  ['capitalize', ofText(capitalized)],
  ['title', ofText(titledWords)],
  ['trim', filter(trim, 'chars')],
  ['indent', filter(indent, 'width', 'first', 'blank')],
  ['replace', filter(replace, 'old', 'new', 'count')],
  ['regex_replace', filter(regexReplace, 'pattern', 'repl', 'count')],
  ['int', filter(int, 'default')],
  ['float', filter(float, 'default')],
  ['abs', filter(abs)],
  ['length', length],
  ['count', length],
  ['default', defaultValue],
  ['d', defaultValue],
  ['list', filter((operand) => [...sequence(operand, 'list')])],
  ['first', filter((operand) => sequence(operand, 'first')[0])],
  ['last', filter((operand) => sequence(operand, 'last').at(-1))],
  ['reverse', filter(reverse)],
  ['sort', filter(sort, 'reverse', 'case_sensitive', 'attribute')],
  ['unique', filter(unique, 'case_sensitive')],
  ['join', filter(join, 'd')],
  ['map', filter(map, 'attribute', 'default')],
  ['selectattr', filter((...args) => selectByAttribute(true, ...args), 'attribute', 'test', 'argument')],
  ['rejectattr', filter((...args) => selectByAttribute(false, ...args), 'attribute', 'test', 'argument')],
  ['items', filter((operand) => (operand === undefined ? [] : dictItems(mapping(operand, 'items'))))],
  ['dictsort', filter(dictsort, 'case_sensitive', 'by', 'reverse')],
  ['tojson', filter(tojson, 'ensure_ascii', 'indent', 'separators', 'sort_keys')],
]);

/**
 * `operand | name(args)`
 *
 * @throws UnknownJinja for a filter or an argument that is not implemented here; Error for an operand that
 * Python refuses
 */
export function applyFilter(operand: Value, name: string, args: CallArguments, budget: Budget): Value {
  const known = FILTERS.get(name);
  if (!known) throw new UnknownJinja(`Unknown filter: ${name}`);
  if (name === 'map' && args.positional.length > 0) return mapByFilter(operand, args, budget);
  return known.apply(operand, filterArguments(args, known.parameters, name), budget);
}

/** The arguments of a filter. Jinja may know more of them, so a further one is not the row's fault. */
function filterArguments(args: CallArguments, parameters: readonly string[], name: string): readonly Value[] {
  try {
    return bindArguments(args, parameters, `the filter ${name}`);
  } catch (cause) {
    const { message } = cause as Error;
    throw new UnknownJinja(message.replace(/^the/, 'The'), { cause });
  }
}

/** The items of an operand. @throws Error if the operand of the filter is not iterable. */
function sequence(operand: Value, name: string): readonly Value[] {
  const items = iterated(operand);
  if (!items) throw new Error(`the filter ${name} takes a list, not ${nameOf(operand)}`);
  return items;
}

/** The items of an operand of map, selectattr or rejectattr: none of `None`, as in Jinja. */
const itemsIfAny = (operand: Value, name: string): readonly Value[] =>
  isTrue(operand) ? sequence(operand, name) : [];

function mapping(operand: Value, name: string): Dict {
  if (operand instanceof Map) return operand as Dict;
  throw new Error(`the filter ${name} takes a mapping, not ${nameOf(operand)}`);
}

function countOf(operand: Value): number {
  return operand instanceof Map ? operand.size : sequence(operand, 'length').length;
}

function trim(operand: Value, [characters]: readonly Value[], { step }: Budget): Value {
  const text = pythonText(operand, step);
  return stripped(text, 'strip', characters == null ? null : textOf(characters, 'trim'));
}

/** Line ends, as in `str.splitlines`. */
const LINE_END = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/;

function indent(
  operand: Value,
  [width = 4, isFirst = false, isBlank = false]: readonly Value[],
  { size }: Budget,
): Value {
  const lines = textOf(operand, 'indent').split(LINE_END);
  const unitLength = typeof width === 'string' ? width.length : Math.max(0, integerOf(width, 'indent'));
  size((operand as string).length + lines.length * unitLength, 'text');
  const unit = typeof width === 'string' ? width : ' '.repeat(unitLength);
  return lines
    .map((line, i) => ((i === 0 ? isTrue(isFirst) : line !== '' || isTrue(isBlank)) ? unit + line : line))
    .join('\n');
}

function replace(operand: Value, [old, fresh, count]: readonly Value[], budget: Budget): Value {
  return replaced(pythonText(operand, budget.step), { old, fresh, count }, budget);
}

/** The harness's filter: `re.sub(pattern, repl, text, count)`. */
function regexReplace(
  operand: Value,
  [pattern, replacement, count]: readonly Value[],
  { size }: Budget,
): Value {
  const text = textOf(operand, 'regex_replace');
  const fresh = textOf(replacement, 'regex_replace(repl)');
  if (fresh.includes('\\')) throw new UnknownJinja('Unknown argument of the filter regex_replace: a group');
  const most = count == null ? 0 : integerOf(count, 'regex_replace(count)');
  let done = 0;
  const replaced = text.replace(pythonRegex(textOf(pattern, 'regex_replace(pattern)')), (found) =>
    most > 0 && done++ >= most ? found : fresh,
  );
  size(replaced.length, 'text');
  return replaced;
}

function int(operand: Value, [otherwise = 0]: readonly Value[]): Value {
  if (operand instanceof ExactNumber) return operand;
  const number = readNumber(operand);
  return number === null ? otherwise : wholeNumber(number);
}

function float(operand: Value, [otherwise = new PythonFloat(0)]: readonly Value[]): Value {
  const number = readNumber(operand);
  return number === null ? otherwise : new PythonFloat(number);
}

function readNumber(operand: Value): number | null {
  if (operand === undefined) throw new Error('an undefined value is no number');
  return typeof operand === 'string' ? parsedNumber(operand) : numberOf(operand);
}

function abs(operand: Value): Value {
  if (operand instanceof ExactNumber) return operand.digits.startsWith('-') ? negated(operand) : operand;
  const number = numberOf(operand);
  if (number === null) throw new Error(`the filter abs takes a number, not ${nameOf(operand)}`);
  return operand instanceof PythonFloat ? new PythonFloat(Math.abs(number)) : Math.abs(number);
}

function reverse(operand: Value): Value {
  const reversed = [...sequence(operand, 'reverse')].reverse();
  return typeof operand === 'string' ? reversed.join('') : reversed;
}

function sort(operand: Value, [isReversed, isCaseSensitive, attribute]: readonly Value[]): Value {
  const sign = isTrue(isReversed) ? -1 : 1;
  const key = attribute == null ? (item: Value): Value => item : attributeOf(attribute);
  return [...sequence(operand, 'sort')].sort(
    (a, b) => sign * compareValues(key(a), key(b), isTrue(isCaseSensitive)),
  );
}

function unique(operand: Value, [isCaseSensitive]: readonly Value[], { step }: Budget): Value {
  const keys = new Set<string>();
  return sequence(operand, 'unique').filter((item) => {
    const digits = numberText(item);
    const folded = typeof item === 'string' && !isTrue(isCaseSensitive) ? item.toLowerCase() : item;
    const key = digits === null ? `${kindOf(item)} ${pythonText(folded, step)}` : `number ${digits}`;
    return keys.size < keys.add(key).size;
  });
}

function join(operand: Value, [separator = '']: readonly Value[], { step, size }: Budget): Value {
  const between = pythonText(separator, step);
  const texts = sequence(operand, 'join').map((item) => pythonText(item, step));
  size(
    texts.reduce((sum, text) => sum + text.length + between.length, 0),
    'text',
  );
  return texts.join(between);
}

function map(operand: Value, [attribute, otherwise]: readonly Value[]): Value {
  if (attribute === undefined) throw new UnknownJinja('Unknown argument of the filter map: no attribute');
  const valueOf = attributeOf(attribute);
  return itemsIfAny(operand, 'map').map(
    (item) => valueOf(item) ?? (valueOf(item) === null ? null : otherwise),
  );
}

/** `map('upper')` applies a filter to each item, with the other arguments; `map(attribute='name')` reads. */
function mapByFilter(operand: Value, { positional, named }: CallArguments, budget: Budget): Value {
  const [name, ...rest] = positional;
  const filterName = textOf(name, 'the name of a filter');
  return itemsIfAny(operand, 'map').map((item) => {
    budget.step(1);
    return applyFilter(item, filterName, { positional: rest, named }, budget);
  });
}

function selectByAttribute(
  isSelecting: boolean,
  operand: Value,
  [attribute, testName, argument]: readonly Value[],
  { step }: Budget,
): Value {
  const valueOf = attributeOf(attribute);
  const test = testName === undefined ? isTrue : testNamed(textOf(testName, 'the name of a test'));
  return itemsIfAny(operand, isSelecting ? 'selectattr' : 'rejectattr').filter(
    (item) => test(valueOf(item), argument, step) === isSelecting,
  );
}

/** Reads an attribute by its path: `function.name`, `0`. */
function attributeOf(path: Value): (item: Value) => Value {
  const names = typeof path === 'number' ? [String(path)] : textOf(path, 'an attribute').split('.');
  return (item) =>
    names.reduce<Value>((value, name) => {
      if (value instanceof Map) return (value as Dict).get(name);
      if (value instanceof Namespace) return value.entries.get(name);
      return /^\d+$/.test(name) ? itemsOf(value)?.[Number(name)] : undefined;
    }, item);
}

function dictsort(operand: Value, [isCaseSensitive, by = 'key', isReversed]: readonly Value[]): Value {
  if (by !== 'key' && by !== 'value') throw new Error("dictsort(by) takes 'key' or 'value'");
  const sign = isTrue(isReversed) ? -1 : 1;
  const at = by === 'key' ? 0 : 1;
  return [...dictItems(mapping(operand, 'dictsort'))].sort(
    (a, b) => sign * compareValues(a.items[at], b.items[at], isTrue(isCaseSensitive)),
  );
}

function tojson(
  operand: Value,
  [ensureAscii, indentation, separators, sortKeys]: readonly Value[],
  { step }: Budget,
): Value {
  const options = {
    ensureAscii: isTrue(ensureAscii),
    indent: indentOf(indentation),
    separators: separatorsOf(separators),
    sortKeys: isTrue(sortKeys),
  };
  return jsonText(operand, options, step);
}

function indentOf(indentation: Value): number | string | null {
  if (indentation == null) return null;
  return typeof indentation === 'string' ? indentation : integerOf(indentation, 'tojson(indent)');
}

function separatorsOf(separators: Value): readonly [string, string] | null {
  if (separators == null) return null;
  const items = itemsOf(separators);
  if (items?.length !== 2) throw new Error('tojson(separators) takes two strings');
  const [item, key] = items.map((text) => textOf(text, 'tojson(separators)'));
  return [item!, key!];
}
