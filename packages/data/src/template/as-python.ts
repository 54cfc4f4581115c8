import type { Environment, Interpreter } from '@huggingface/jinja';
import { compareTexts } from './compare-texts.ts';
import { jsonText } from './json-text.ts';
import {
  capitalized,
  pythonText,
  stripped,
  titled,
  titledWords,
  wholeNumber,
  wordsOf,
  type RuntimeValue,
} from './python-text.ts';
import { floatValue, runtimeValue as valueOf } from './runtime-value.ts';

type Scope = Environment;
interface Node {
  readonly type: string;
}
interface Operation extends Node {
  readonly left: Node;
  readonly right: Node;
  readonly operator: { readonly value: string };
}
interface Filter extends Node {
  readonly value?: string;
  readonly callee?: { readonly value: string };
  readonly args?: readonly Node[];
}
interface Test extends Node {
  readonly operand: Node;
  readonly negate: boolean;
  readonly test: { readonly value: string };
}
interface Method {
  value: (args: readonly RuntimeValue[], scope: unknown) => RuntimeValue;
}
interface TextValue extends RuntimeValue {
  readonly value: string;
  readonly builtins: Map<string, Method>;
}

/** The parts of the library's interpreter that are replaced. */
interface Parts {
  evaluate(node: Node, scope: Scope): RuntimeValue;
  evaluateBlock(nodes: readonly Node[], scope: Scope): RuntimeValue;
  evaluateFor(node: Node & { readonly body: readonly Node[] }, scope: Scope): RuntimeValue;
  evaluateBinaryExpression(node: Operation, scope: Scope): RuntimeValue;
  evaluateTestExpression(node: Test, scope: Scope): RuntimeValue;
  evaluateArguments(args: readonly Node[], scope: Scope): [RuntimeValue[], Map<string, RuntimeValue>];
  applyFilter(operand: RuntimeValue, filter: Filter, scope: Scope): RuntimeValue;
}

/** What is there for its effect, and prints nothing. */
const STATEMENTS: ReadonlySet<string> = new Set([
  'Set',
  'If',
  'For',
  'Macro',
  'CallStatement',
  'FilterStatement',
  'Comment',
  'Break',
  'Continue',
]);

type Step = (count: number) => void;

/**
 * Makes an interpreter of @huggingface/jinja 0.5.11 compute what Python's Jinja computes, where it silently
 * does something else: what is printed (`None`, `True`, lists), `==` between unlike values, `in` with lists
 * inside, `+` of a text and what is none, `~`, `%` below zero, `strip` and its kin with characters and with
 * Python's white space, `capitalize`, `title`, `trim`, `string`, `int`, `join`, `length`, `unique`, `tojson`,
 * and the tests `iterable` and `number`.
 *
 * @param step told of what comparisons look at
 */
export function asPython(interpreter: Interpreter, step: Step): void {
  const parts = interpreter as unknown as Parts;
  const { applyFilter, evaluateTestExpression } = {
    applyFilter: parts.applyFilter.bind(parts),
    evaluateTestExpression: parts.evaluateTestExpression.bind(parts),
  };
  printAsPython(parts, step);
  parts.evaluateBinaryExpression = (node, scope) => {
    const left = parts.evaluate(node.left, scope);
    const operator = node.operator.value;
    if (operator === 'and') return isTrue(left) ? parts.evaluate(node.right, scope) : left;
    if (operator === 'or') return isTrue(left) ? left : parts.evaluate(node.right, scope);
    return operated(operator, left, parts.evaluate(node.right, scope), step);
  };
  parts.evaluateTestExpression = (node, scope) => {
    const types = TESTS.get(node.test.value);
    return types
      ? valueOf(types.has(parts.evaluate(node.operand, scope).type) !== node.negate)
      : evaluateTestExpression(node, scope);
  };
  parts.applyFilter = (operand, filter, scope) => {
    const name = filter.value ?? filter.callee?.value ?? '';
    const own = FILTERS.get(name);
    if (!own) return applyFilter(operand, filter, scope);
    const [args, named] = filter.args
      ? parts.evaluateArguments(filter.args, scope)
      : [[], new Map<string, RuntimeValue>()];
    return own(operand, args, named, step) ?? applyFilter(operand, filter, scope);
  };
}

/**
 * Blocks print what Python prints, also what stands before a `continue` or a `break`, which the library
 * drops.
 */
function printAsPython(parts: Parts, step: Step): void {
  const bodies = new Set<readonly Node[]>();
  const leaving = new Set<readonly Node[]>();
  const evaluateFor = parts.evaluateFor.bind(parts);
  parts.evaluateFor = (node, scope) => {
    bodies.add(node.body);
    try {
      return evaluateFor(node, scope);
    } finally {
      leaving.delete(node.body);
    }
  };
  parts.evaluateBlock = (nodes, scope) => {
    // the turn before this one has ended the loop
    if (leaving.has(nodes)) parts.evaluate({ type: 'Break' }, scope);
    let text = '';
    try {
      for (const node of nodes) {
        if (node.type === 'Break' || node.type === 'Continue') throw new LoopControl(node.type);
        const value = parts.evaluate(node, scope);
        text += STATEMENTS.has(node.type)
          ? value.type === 'StringValue'
            ? (value.value as string)
            : ''
          : pythonText(value, step);
      }
    } catch (error) {
      if (!(error instanceof LoopControl)) throw error;
      error.text = text + error.text;
      if (!bodies.has(nodes)) throw error;
      if (error.kind === 'Break') leaving.add(nodes);
      return valueOf(error.text);
    }
    return valueOf(text);
  };
}

/** Ends a turn of the innermost loop, or the loop. */
class LoopControl extends Error {
  readonly kind: 'Break' | 'Continue';
  /** What the turn has printed. */
  text = '';

  constructor(kind: 'Break' | 'Continue') {
    super(`${kind.toLowerCase()} outside of a loop`);
    this.kind = kind;
  }
}

/** Gives a text that was computed Python's methods; done once for each. */
export function withPythonMethods(text: TextValue): void {
  const { builtins, value } = text;
  for (const side of ['strip', 'lstrip', 'rstrip'] as const)
    builtins.get(side)!.value = ([characters]) =>
      valueOf(stripped(value, side, characters ? textOf(characters, `${side}()`) : null));
  builtins.get('capitalize')!.value = () => valueOf(capitalized(value));
  builtins.get('title')!.value = () => valueOf(titled(value));
  const split = builtins.get('split')!;
  const bySeparator = split.value;
  split.value = (args, scope) =>
    args[0] && args[0].type !== 'NullValue'
      ? bySeparator(args, scope)
      : valueOf(wordsOf(value, (args[1]?.value as number | undefined) ?? -1));
}

/** Types of values that pass a test. */
const TESTS: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['iterable', new Set(['ArrayValue', 'TupleValue', 'StringValue', 'ObjectValue', 'UndefinedValue'])],
  ['number', new Set(['IntegerValue', 'FloatValue', 'BooleanValue'])],
]);

/** Undefined: the library knows better. */
const FILTERS: ReadonlyMap<
  string,
  (
    operand: RuntimeValue,
    args: readonly RuntimeValue[],
    named: ReadonlyMap<string, RuntimeValue>,
    step: Step,
  ) => RuntimeValue | undefined
> = new Map([
  [
    'trim',
    (operand, [characters], named, step) => {
      const given = characters ?? named.get('chars');
      return valueOf(
        stripped(
          pythonText(operand, step),
          'strip',
          given && given.type !== 'NullValue' ? textOf(given, 'trim') : null,
        ),
      );
    },
  ],
  [
    'tojson',
    (operand, args, named, step) => {
      const [ensureAscii, indent, separators, sortKeys] = [
        'ensure_ascii',
        'indent',
        'separators',
        'sort_keys',
      ].map((name, i) => args[i] ?? named.get(name));
      return valueOf(
        jsonText(
          operand,
          {
            ensureAscii: ensureAscii && isTrue(ensureAscii),
            indent: indentOf(indent),
            separators: separatorsOf(separators),
            sortKeys: sortKeys && isTrue(sortKeys),
          },
          step,
        ),
      );
    },
  ],
  ['string', (operand, _args, _named, step) => valueOf(pythonText(operand, step))],
  ['capitalize', (operand, _args, _named, step) => valueOf(capitalized(pythonText(operand, step)))],
  ['title', (operand, _args, _named, step) => valueOf(titledWords(pythonText(operand, step)))],
  [
    'int',
    (operand, args, named) => {
      if (isNumeric(operand)) return valueOf(Math.trunc(Number(operand.value)));
      return operand.type === 'StringValue'
        ? valueOf(wholeNumber(operand.value as string) ?? (args[0] ?? named.get('default'))?.value ?? 0)
        : undefined;
    },
  ],
  [
    'unique',
    (operand, [sensitive], named, step) => {
      if (!isList(operand) || named.has('attribute')) return undefined;
      const isSensitive = isTrue(sensitive ?? named.get('case_sensitive') ?? valueOf(false));
      const seen = new Set<string>();
      const kept = operand.value.filter((item) => {
        const key =
          item.type === 'StringValue' && !isSensitive ? valueOf((item.value as string).toLowerCase()) : item;
        const word = isNumeric(key) ? `number ${Number(key.value)}` : `${key.type} ${pythonText(key, step)}`;
        return seen.size < seen.add(word).size;
      });
      return new (operand.constructor as new (value: unknown) => RuntimeValue)(kept);
    },
  ],
  [
    'length',
    ({ type, value }) => (type === 'StringValue' ? valueOf(Array.from(value as string).length) : undefined),
  ],
  [
    'join',
    (operand, [separator], named, step) => {
      if (named.has('attribute')) throw new Error('Unknown argument of the filter join: attribute');
      const given = separator ?? named.get('d') ?? named.get('separator');
      const between = given ? pythonText(given, step) : '';
      if (operand.type === 'UndefinedValue') return valueOf('');
      if (operand.type === 'StringValue') return valueOf(Array.from(operand.value as string).join(between));
      return isList(operand)
        ? valueOf(operand.value.map((item) => pythonText(item, step)).join(between))
        : undefined;
    },
  ],
]);

interface List extends RuntimeValue {
  readonly value: RuntimeValue[];
}

const isList = (value: RuntimeValue): value is List =>
  value.type === 'ArrayValue' || value.type === 'TupleValue';
const isTrue = (value: RuntimeValue): boolean =>
  (value as unknown as { __bool__(): { value: boolean } }).__bool__().value;
const isNumeric = ({ type }: RuntimeValue): boolean =>
  type === 'IntegerValue' || type === 'FloatValue' || type === 'BooleanValue';

function textOf({ type, value }: RuntimeValue, where: string): string {
  if (type === 'StringValue') return value as string;
  throw new Error(`${where} takes text, not ${NAMES[type] ?? type}`);
}

function indentOf(given: RuntimeValue | undefined): number | string | null {
  if (!given || given.type === 'NullValue') return null;
  return given.type === 'StringValue'
    ? (given.value as string)
    : isNumeric(given)
      ? Number(given.value)
      : textOf(given, 'tojson(indent)');
}

function separatorsOf(given: RuntimeValue | undefined): [string, string] | null {
  if (!given || given.type === 'NullValue') return null;
  if (!isList(given) || given.value.length !== 2) throw new Error('tojson(separators) takes two texts');
  return given.value.map((one) => textOf(one, 'tojson(separators)')) as [string, string];
}

/** How Python calls them. */
const NAMES: Readonly<Record<string, string>> = {
  StringValue: 'text',
  NullValue: 'None',
  UndefinedValue: 'what is not defined',
  BooleanValue: 'a boolean',
  IntegerValue: 'a number',
  FloatValue: 'a number',
  ArrayValue: 'a list',
  TupleValue: 'a tuple',
  ObjectValue: 'a mapping',
};

function operated(operator: string, left: RuntimeValue, right: RuntimeValue, step: Step): RuntimeValue {
  switch (operator) {
    case '==':
      return valueOf(areEqual(left, right, step));
    case '!=':
      return valueOf(!areEqual(left, right, step));
    case 'in':
      return valueOf(isIn(left, right, step));
    case 'not in':
      return valueOf(!isIn(left, right, step));
    case '~':
      return valueOf(pythonText(left, step) + pythonText(right, step));
    default:
  }
  if (isNumeric(left) && isNumeric(right)) return calculated(operator, left, right);
  if (left.type === 'StringValue' && right.type === 'StringValue') {
    const order = operator === '+' ? 0 : compareTexts(left.value as string, right.value as string);
    switch (operator) {
      case '+':
        return valueOf((left.value as string) + (right.value as string));
      case '<':
        return valueOf(order < 0);
      case '<=':
        return valueOf(order <= 0);
      case '>':
        return valueOf(order > 0);
      case '>=':
        return valueOf(order >= 0);
      default:
    }
  }
  if (operator === '+' && isList(left) && left.type === right.type)
    return new (left.constructor as new (value: unknown) => RuntimeValue)([
      ...left.value,
      ...(right as List).value,
    ]);
  throw new Error(
    `cannot compute ${NAMES[left.type] ?? left.type} ${operator} ${NAMES[right.type] ?? right.type}`,
  );
}

function calculated(operator: string, left: RuntimeValue, right: RuntimeValue): RuntimeValue {
  const a = Number(left.value);
  const b = Number(right.value);
  const isFloat = left.type === 'FloatValue' || right.type === 'FloatValue';
  const number = (value: number, float = isFloat): RuntimeValue =>
    float ? floatValue(value) : valueOf(Math.trunc(value));
  if (b === 0 && ['/', '//', '%'].includes(operator)) throw new Error('division by zero');
  switch (operator) {
    case '+':
      return number(a + b);
    case '-':
      return number(a - b);
    case '*':
      return number(a * b);
    case '/':
      return number(a / b, true);
    case '//':
      return number(Math.floor(a / b));
    case '%':
      return number(a - b * Math.floor(a / b));
    case '**':
      if (!Number.isFinite(a ** b)) throw new Error(`cannot compute ${a} ** ${b}`);
      return number(a ** b, isFloat || b < 0);
    case '<':
      return valueOf(a < b);
    case '<=':
      return valueOf(a <= b);
    case '>':
      return valueOf(a > b);
    case '>=':
      return valueOf(a >= b);
    default:
      throw new Error(`Unknown operator "${operator}" between numbers`);
  }
}

function areEqual(a: RuntimeValue, b: RuntimeValue, step: Step): boolean {
  step(1);
  if (isNumeric(a) && isNumeric(b)) return Number(a.value) === Number(b.value);
  if (a.type !== b.type) return false;
  if (isList(a))
    return (
      a.value.length === (b as List).value.length &&
      a.value.every((item, i) => areEqual(item, (b as List).value[i]!, step))
    );
  if (a.type !== 'ObjectValue') return a.value === b.value;
  const left = a.value as Map<string, RuntimeValue>;
  const right = b.value as Map<string, RuntimeValue>;
  return (
    left.size === right.size &&
    [...left].every(([key, item]) => right.has(key) && areEqual(item, right.get(key)!, step))
  );
}

function isIn(item: RuntimeValue, container: RuntimeValue, step: Step): boolean {
  if (isList(container)) return container.value.some((own) => areEqual(item, own, step));
  switch (container.type) {
    case 'StringValue':
      return (container.value as string).includes(textOf(item, 'in'));
    case 'ObjectValue':
    case 'NamespaceValue':
      return (
        item.type === 'StringValue' && (container.value as Map<string, unknown>).has(item.value as string)
      );
    case 'UndefinedValue':
      return false;
    default:
      throw new Error(`cannot look for something in ${NAMES[container.type] ?? container.type}`);
  }
}
