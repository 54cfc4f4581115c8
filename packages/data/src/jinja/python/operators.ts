import { ExactNumber } from '../../rows/json/exact-number.ts';
import { compareNumbers } from './compare-numbers.ts';
import { compareTexts } from './compare-texts.ts';
import { pythonText, type Step } from './python-text.ts';
import {
  isTrue,
  itemsOf,
  Iterator,
  kindOf,
  nameOf,
  Namespace,
  numberOf,
  PythonFloat,
  textOf,
  Tuple,
  UnknownJinja,
  wholeNumber,
  type Dict,
  type Value,
} from './values.ts';

/**
 * `left operator right` as Python computes it. `and` and `or` are in the evaluator, because they may skip the
 * right side. Calls `step` for every part that a comparison visits.
 *
 * @throws Error for operands that Python refuses; UnknownJinja for an operator that is not implemented here,
 * and for whole numbers beyond 2^53, except to compare them
 */
export function operate(operator: string, left: Value, right: Value, step: Step): Value {
  switch (operator) {
    case '==':
      return areEqual(left, right, step);
    case '!=':
      return !areEqual(left, right, step);
    case 'in':
      return isIn(left, right, step);
    case 'not in':
      return !isIn(left, right, step);
    case '~':
      return pythonText(left, step) + pythonText(right, step);
    default:
  }
  const difference = compareNumbers(left, right);
  if (difference !== null) return ordered(operator, difference) ?? calculate(operator, left, right);
  if (operator === '+') {
    const sum = concatenated(left, right);
    if (sum !== undefined) return sum;
  } else if (operator === '*') {
    const product = repeated(left, right, step);
    if (product !== undefined) return product;
  } else if (operator === '%' && typeof left === 'string') {
    throw new UnknownJinja('Unknown operator: % after a string');
  } else if (typeof left === 'string' && typeof right === 'string') {
    const order = ordered(operator, compareTexts(left, right));
    if (order !== undefined) return order;
  }
  const problem = `${nameOf(left)} ${operator} ${nameOf(right)}`;
  if (isOnlyInPython(operator, left, right)) throw new UnknownJinja(`Unknown operator: ${problem}`);
  throw new Error(`cannot compute ${problem}`);
}

/** True for operands that Python computes, but this implementation does not. */
function isOnlyInPython(operator: string, left: Value, right: Value): boolean {
  const kinds = [kindOf(left), kindOf(right)];
  if (operator === '*') return kinds.includes('tuple') && kinds.includes('integer');
  const isOrder = ordered(operator, 0) !== undefined;
  return isOrder && kinds[0] === kinds[1] && itemsOf(left) !== null;
}

/** Concatenates two strings, lists or tuples; undefined for other operands. */
function concatenated(left: Value, right: Value): Value {
  if (typeof left === 'string' && typeof right === 'string') return left + right;
  if (left instanceof Tuple && right instanceof Tuple) return new Tuple([...left.items, ...right.items]);
  return Array.isArray(left) && Array.isArray(right)
    ? [...(left as readonly Value[]), ...(right as readonly Value[])]
    : undefined;
}

/** Number of characters of a repeated string that take a step together: they are copied at once. */
const CHARACTERS_PER_STEP = 64;

/**
 * Repeats a string or a list: `'-' * 20`, `2 * [0]`; undefined for other operands. Calls `step` before the
 * result is made.
 */
function repeated(left: Value, right: Value, step: Step): Value {
  const [sequence, times] = numberOf(left) === null ? [left, right] : [right, left];
  if (kindOf(times) !== 'integer' && kindOf(times) !== 'boolean') return undefined;
  const count = Math.max(0, numberOf(times)!);
  if (typeof sequence === 'string') {
    step(Math.ceil((sequence.length * count) / CHARACTERS_PER_STEP));
    return sequence.repeat(count);
  }
  if (!Array.isArray(sequence)) return undefined;
  const items = sequence as readonly Value[];
  step(items.length * count);
  return Array.from({ length: items.length * count }, (_, i) => items[i % items.length]);
}

/** Applies a comparison operator to `order`, the sign of left − right; undefined for another operator. */
function ordered(operator: string, order: number): boolean | undefined {
  switch (operator) {
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
    default:
      return undefined;
  }
}

/** `left operator right` of two numbers. */
function calculate(operator: string, left: Value, right: Value): Value {
  const isFloat = left instanceof PythonFloat || right instanceof PythonFloat;
  const operand = (value: Value): number => (isFloat ? numberOf(value)! : wholeNumber(numberOf(value)!));
  const a = operand(left);
  const b = operand(right);
  const result = (value: number, float = isFloat): Value =>
    float ? new PythonFloat(value) : wholeNumber(value);
  if (b === 0 && ['/', '//', '%'].includes(operator)) throw new Error('division by zero');
  switch (operator) {
    case '+':
      return result(a + b);
    case '-':
      return result(a - b);
    case '*':
      return result(a * b);
    case '/':
      return result(a / b, true);
    case '//':
      return result(floorQuotient(a, b));
    case '%':
      return result(remainder(a, b));
    case '**':
      if (!Number.isFinite(a ** b)) throw new Error(`cannot compute ${a} ** ${b}`);
      return result(a ** b, isFloat || b < 0);
    default:
      throw new Error(`Unknown operator "${operator}" between numbers`);
  }
}

/** `a // b`: (a − remainder) / b, since a / b may be rounded up. 1 // 0.1 is 9, but 1 / 0.1 is 10. */
function floorQuotient(a: number, b: number): number {
  const rest = a % b;
  const quotient = Math.round((a - rest) / b) - (rest !== 0 && rest < 0 !== b < 0 ? 1 : 0);
  return quotient === 0 && a / b < 0 ? -0 : quotient;
}

/** `a % b`, which has the sign of b. */
function remainder(a: number, b: number): number {
  const rest = a % b;
  if (rest === 0) return b < 0 ? -0 : 0;
  return rest < 0 === b < 0 ? rest : rest + b;
}

/** `a == b` */
export function areEqual(a: Value, b: Value, step: Step): boolean {
  step(1);
  const difference = compareNumbers(a, b);
  if (difference !== null) return difference === 0;
  if (kindOf(a) !== kindOf(b)) return false;
  const items = itemsOf(a);
  if (items) {
    const others = itemsOf(b)!;
    return items.length === others.length && items.every((item, i) => areEqual(item, others[i], step));
  }
  if (!(a instanceof Map)) return a === b;
  const left = a as Dict;
  const right = b as Dict;
  return (
    left.size === right.size &&
    [...left].every(([key, item]) => right.has(key) && areEqual(item, right.get(key), step))
  );
}

/** `item in container` */
export function isIn(item: Value, container: Value, step: Step): boolean {
  if (container instanceof Iterator) return isInIterator(item, container, step);
  const items = itemsOf(container);
  if (items) return items.some((other) => areEqual(item, other, step));
  if (typeof container === 'string') return container.includes(textOf(item, 'in'));
  if (container instanceof Map) return typeof item === 'string' && container.has(item);
  if (container instanceof Namespace) return typeof item === 'string' && container.entries.has(item);
  if (container === undefined) return false;
  throw new Error(`cannot look for something in ${nameOf(container)}`);
}

/** Takes items up to the one that is looked for, as Python does. */
function isInIterator(item: Value, iterator: Iterator, step: Step): boolean {
  for (let taken = iterator.take(1); taken.length > 0; taken = iterator.take(1))
    if (areEqual(item, taken[0], step)) return true;
  return false;
}

/**
 * Compares two values as `sort` does: numbers with numbers, strings with strings.
 *
 * @throws Error for values that Python does not order
 */
export function compareValues(a: Value, b: Value, isCaseSensitive: boolean): number {
  const difference = compareNumbers(a, b);
  if (difference !== null) return difference;
  if (typeof a !== 'string' || typeof b !== 'string')
    throw new Error(`cannot compare ${nameOf(a)} with ${nameOf(b)}`);
  return isCaseSensitive ? compareTexts(a, b) : compareTexts(a.toLowerCase(), b.toLowerCase());
}

/** `+value`, `-value` and `not value` */
export function operateOnOne(operator: string, value: Value): Value {
  if (operator === 'not') return !isTrue(value);
  const number = numberOf(value);
  if (number === null || (operator !== '+' && operator !== '-'))
    throw new Error(`cannot compute ${operator} ${nameOf(value)}`);
  if (value instanceof ExactNumber) return operator === '-' ? negated(value) : value;
  if (value instanceof PythonFloat) return new PythonFloat(operator === '-' ? -number : number);
  return operator === '-' && number !== 0 ? -number : number; // Python's int has no -0
}

/** `-value` of a whole number beyond 2^53. */
export const negated = ({ digits }: ExactNumber): ExactNumber =>
  new ExactNumber(digits.startsWith('-') ? digits.slice(1) : `-${digits}`);
