import { areEqual, isIn, operate } from './python/operators.ts';
import { pythonText, type Step } from './python/python-text.ts';
import { isTrue, kindOf, UnknownJinja, type Kind, type Value } from './python/values.ts';

type Test = (value: Value, argument: Value, step: Step) => boolean;

const isOneOf =
  (...kinds: readonly Kind[]): Test =>
  (value) =>
    kinds.includes(kindOf(value));

const isOdd: Test = (value, _, step) => areEqual(operate('%', value, 2, step), 1, step);

/** Jinja's tests (`value is odd`). The argument is what the value is compared with. */
const TESTS: ReadonlyMap<string, Test> = new Map<string, Test>([
  ['defined', (value) => value !== undefined],
  ['undefined', isOneOf('undefined')],
  ['none', isOneOf('none')],
  ['boolean', isOneOf('boolean')],
  ['true', (value) => value === true],
  ['false', (value) => value === false],
  ['string', isOneOf('text')],
  ['number', isOneOf('integer', 'float', 'boolean')],
  ['integer', isOneOf('integer')],
  ['float', isOneOf('float')],
  ['mapping', isOneOf('dict')],
  ['iterable', isOneOf('list', 'tuple', 'iterator', 'text', 'dict', 'undefined')],
  ['sequence', isOneOf('list', 'tuple', 'text', 'dict', 'undefined')],
  ['callable', isOneOf('function', 'undefined')],
  ['odd', isOdd],
  ['even', (value, _, step) => areEqual(operate('%', value, 2, step), 0, step)],
  ['lower', (value, _, step) => hasCase(pythonText(value, step), 'toLowerCase')],
  ['upper', (value, _, step) => hasCase(pythonText(value, step), 'toUpperCase')],
]);

/** Tests that compare a value with another one. */
const COMPARISONS: ReadonlyMap<string, Test> = new Map<string, Test>([
  ['in', isIn],
  ['divisibleby', (value, divisor, step) => areEqual(operate('%', value, divisor, step), 0, step)],
  ['sameas', isSame],
  ...['eq', 'equalto', '=='].map((name): [string, Test] => [name, areEqual]),
  ...['ne', '!='].map((name): [string, Test] => [name, (a, b, step) => !areEqual(a, b, step)]),
  ...comparisons(),
]);

/** `a is b` in Python, which keeps one `None`, one `True`, and small whole numbers and equal strings once. */
function isSame(a: Value, b: Value, step: Step): boolean {
  return kindOf(a) === kindOf(b) && (Object(a) === a ? a === b : areEqual(a, b, step));
}

/** True if a text has cased letters, and all are of this case. */
const hasCase = (text: string, change: 'toLowerCase' | 'toUpperCase'): boolean =>
  text === text[change]() && text.toLowerCase() !== text.toUpperCase();

function comparisons(): [string, Test][] {
  const names: readonly [operator: string, ...names: string[]][] = [
    ['<', 'lt', 'lessthan'],
    ['<=', 'le'],
    ['>', 'gt', 'greaterthan'],
    ['>=', 'ge'],
  ];
  return names.flatMap(([operator, ...words]) =>
    [operator, ...words].map((name): [string, Test] => [
      name,
      (a, b, step) => isTrue(operate(operator, a, b, step)),
    ]),
  );
}

/**
 * The test of a name, for a value and the arguments of the test.
 *
 * @throws UnknownJinja for a test that is not implemented here
 */
export function testNamed(name: string): (value: Value, args: readonly Value[], step: Step) => boolean {
  const test = TESTS.get(name) ?? COMPARISONS.get(name);
  if (!test) throw new UnknownJinja(`Unknown test: ${name}`);
  const count = COMPARISONS.has(name) ? 1 : 0;
  return (value, args, step) => {
    if (args.length !== count)
      throw new Error(`the test ${name} takes ${count === 1 ? 'one argument' : 'no argument'}`);
    return test(value, args[0], step);
  };
}
