import type { Budget } from './budget.ts';
import { numberText } from './python/compare-numbers.ts';
import { joinedTexts } from './python/methods.ts';
import { compareValues, operate } from './python/operators.ts';
import { pythonText } from './python/python-text.ts';
import {
  isTrue,
  iterated,
  itemsOf,
  Iterator,
  kindOf,
  nameOf,
  Namespace,
  textOf,
  UnknownJinja,
  type Dict,
  type Value,
} from './python/values.ts';
import { testNamed } from './tests.ts';

/**
 * The items of an operand; those of an iterator are taken from it.
 *
 * @throws Error if the operand of the filter is not iterable.
 */
export function sequence(operand: Value, name: string): readonly Value[] {
  const items = iterated(operand);
  if (!items) throw new Error(`the filter ${name} takes a list, not ${nameOf(operand)}`);
  return items;
}

/** The items of an operand of map, select and the like: none of `None`, as in Jinja. */
export const itemsIfAny = (operand: Value, name: string): readonly Value[] =>
  isTrue(operand) ? sequence(operand, name) : [];

/** The items of an operand with a length. @throws Error for an iterator, and for what is not iterable */
export function listOf(operand: Value, name: string): readonly Value[] {
  if (operand instanceof Iterator) throw new Error(`the filter ${name} takes a list, not an iterator`);
  return sequence(operand, name);
}

/** The length of an operand. @throws Error for what has none */
export function countOf(operand: Value): number {
  return operand instanceof Map ? operand.size : listOf(operand, 'length').length;
}

/** The first item, which is taken from an iterator; undefined if there is none. */
export function first(operand: Value): Value {
  return operand instanceof Iterator ? operand.take(1)[0] : sequence(operand, 'first')[0];
}

/** A string backwards, or an iterator over the items from the last one on. */
export function reverse(operand: Value): Value {
  const reversed = [...sequence(operand, 'reverse')].reverse();
  if (typeof operand === 'string') return reversed.join('');
  return operand instanceof Iterator ? reversed : new Iterator(reversed);
}

/** The items in order, by an attribute or by themselves. */
export function sort(operand: Value, [isReversed, isCaseSensitive, attribute]: readonly Value[]): Value {
  const sign = isTrue(isReversed) ? -1 : 1;
  const key = keyOf(attribute);
  return [...sequence(operand, 'sort')].sort(
    (a, b) => sign * compareValues(key(a), key(b), isTrue(isCaseSensitive)),
  );
}

/** The first of each group of equal items. */
export function unique(operand: Value, [isCaseSensitive]: readonly Value[], { step }: Budget): Value {
  const keys = new Set<string>();
  const items = sequence(operand, 'unique').filter((item) => {
    const digits = numberText(item);
    const folded = typeof item === 'string' && !isTrue(isCaseSensitive) ? item.toLowerCase() : item;
    const key = digits === null ? `${kindOf(item)} ${pythonText(folded, step)}` : `number ${digits}`;
    return keys.size < keys.add(key).size;
  });
  return new Iterator(items);
}

/** The texts of the items, with a separator between them. */
export function join(operand: Value, [separator = '']: readonly Value[], budget: Budget): Value {
  const between = pythonText(separator, budget.step);
  const texts = sequence(operand, 'join').map((item) => pythonText(item, budget.step));
  return joinedTexts(texts, between, budget);
}

/** An attribute of each item. A filter by its name is applied in `mapByFilter`. */
export function map(operand: Value, [attribute, otherwise]: readonly Value[]): Value {
  if (attribute === undefined) throw new UnknownJinja('Unknown argument of the filter map: no attribute');
  const valueOf = attributeOf(attribute);
  const values = itemsIfAny(operand, 'map').map(valueOf);
  return new Iterator(values.map((value) => (value === undefined ? otherwise : value)));
}

/** `select('equalto', 1)` keeps the items that pass a test, or that are true; `reject` the others. */
export function select(
  isSelecting: boolean,
  operand: Value,
  args: readonly Value[],
  { step }: Budget,
): Value {
  const isPassed = testOf(args, step);
  return new Iterator(
    itemsIfAny(operand, isSelecting ? 'select' : 'reject').filter((item) => isPassed(item) === isSelecting),
  );
}

/** As `select`, with an attribute of each item in place of the item. */
export function selectByAttribute(
  isSelecting: boolean,
  operand: Value,
  [attribute, ...args]: readonly Value[],
  { step }: Budget,
): Value {
  const valueOf = attributeOf(attribute);
  const isPassed = testOf(args, step);
  const items = itemsIfAny(operand, isSelecting ? 'selectattr' : 'rejectattr');
  return new Iterator(items.filter((item) => isPassed(valueOf(item)) === isSelecting));
}

/** The test that a filter names, with its argument; whether a value is true if it names none. */
function testOf([name, argument]: readonly Value[], step: Budget['step']): (value: Value) => boolean {
  if (name === undefined) return isTrue;
  const test = testNamed(textOf(name, 'the name of a test'));
  const args = argument === undefined ? [] : [argument];
  return (value) => test(value, args, step);
}

/** The sum of the items, or of an attribute of each. */
export function sum(operand: Value, [attribute, start = 0]: readonly Value[], { step }: Budget): Value {
  if (typeof start === 'string') throw new Error('the filter sum adds no strings');
  return sequence(operand, 'sum')
    .map(keyOf(attribute))
    .reduce((total, item) => operate('+', total, item, step), start);
}

/** The first of the smallest items (`sign` -1) or of the largest (1); undefined if there are none. */
export function extreme(sign: -1 | 1, operand: Value, [isCaseSensitive, attribute]: readonly Value[]): Value {
  const key = keyOf(attribute);
  const items = sequence(operand, sign < 0 ? 'min' : 'max');
  if (items.length === 0) return undefined;
  return items.reduce((best, item) =>
    sign * compareValues(key(item), key(best), isTrue(isCaseSensitive)) > 0 ? item : best,
  );
}

const keyOf = (attribute: Value): ((item: Value) => Value) =>
  attribute == null ? (item) => item : attributeOf(attribute);

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
