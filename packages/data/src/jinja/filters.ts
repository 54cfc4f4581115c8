import { bindArguments } from './python/arguments.ts';
import type { Budget } from './budget.ts';
import { jsonText } from './python/json-text.ts';
import { ExactNumber } from '../rows/json/exact-number.ts';
import { compareValues, negated } from './python/operators.ts';
import {
  capitalized,
  LINE_END,
  parsedNumber,
  pythonText,
  stripped,
  titledWords,
} from './python/python-text.ts';
import { pythonRegex } from './python/python-regex.ts';
import {
  countOf,
  extreme,
  first,
  itemsIfAny,
  join,
  listOf,
  map,
  reverse,
  select,
  selectByAttribute,
  sequence,
  sort,
  sum,
  unique,
} from './sequence-filters.ts';
import { dictItems, replaced } from './python/methods.ts';
import {
  integerOf,
  isTrue,
  itemsOf,
  Iterator,
  nameOf,
  numberOf,
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
  ['first', filter(first)],
  ['last', filter((operand) => listOf(operand, 'last').at(-1))],
  ['reverse', filter(reverse)],
  ['sort', filter(sort, 'reverse', 'case_sensitive', 'attribute')],
  ['unique', filter(unique, 'case_sensitive')],
  ['join', filter(join, 'd')],
  ['map', filter(map, 'attribute', 'default')],
  ['select', filter((...args) => select(true, ...args), 'test', 'argument')],
  ['reject', filter((...args) => select(false, ...args), 'test', 'argument')],
  ['selectattr', filter((...args) => selectByAttribute(true, ...args), 'attribute', 'test', 'argument')],
  ['rejectattr', filter((...args) => selectByAttribute(false, ...args), 'attribute', 'test', 'argument')],
  ['sum', filter(sum, 'attribute', 'start')],
  ['min', filter((operand, args) => extreme(-1, operand, args), 'case_sensitive', 'attribute')],
  ['max', filter((operand, args) => extreme(1, operand, args), 'case_sensitive', 'attribute')],
  [
    'items',
    filter((operand) => new Iterator(operand === undefined ? [] : dictItems(mapping(operand, 'items')))),
  ],
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

function mapping(operand: Value, name: string): Dict {
  if (operand instanceof Map) return operand as Dict;
  throw new Error(`the filter ${name} takes a mapping, not ${nameOf(operand)}`);
}

function trim(operand: Value, [characters]: readonly Value[], { step }: Budget): Value {
  const text = pythonText(operand, step);
  return stripped(text, 'strip', characters == null ? null : textOf(characters, 'trim'));
}

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
  if (number === null || Number.isNaN(number)) return otherwise;
  if (Number.isFinite(number)) return wholeNumber(number);
  if (typeof operand === 'string') return otherwise;
  throw new Error('an infinite number is no whole number');
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

/** `map('upper')` applies a filter to each item, with the other arguments; `map(attribute='name')` reads. */
function mapByFilter(operand: Value, { positional, named }: CallArguments, budget: Budget): Value {
  const [name, ...rest] = positional;
  const filterName = textOf(name, 'the name of a filter');
  return new Iterator(
    itemsIfAny(operand, 'map').map((item) => {
      budget.step(1);
      return applyFilter(item, filterName, { positional: rest, named }, budget);
    }),
  );
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
