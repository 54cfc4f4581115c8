import { NO_ARGUMENTS } from './python/arguments.ts';
import { applyFilter } from './filters.ts';
import { markedSum, Markup, withoutMark } from './python/markup.ts';
import { operate, operateOnOne } from './python/operators.ts';
import type { Scope } from './scope.ts';
import type {
  Argument,
  Binary,
  Call,
  ComparisonChain,
  Expression,
  FilterOrTest,
  Member,
  Slice,
  TestExpression,
} from './nodes.ts';
import { testNamed } from './tests.ts';
import { DICT_METHODS, LIST_METHODS, TEXT_METHODS } from './python/methods.ts';
import {
  integerOf,
  isTrue,
  iterated,
  itemsOf,
  kindOf,
  nameOf,
  Namespace,
  numberOf,
  PythonFloat,
  Tuple,
  UnknownJinja,
  wholeNumber,
  type CallArguments,
  type Dict,
  type Value,
} from './python/values.ts';

/**
 * The value of an expression, as Python's Jinja computes it. Each node takes one step of the budget, and the
 * size of each string and list is checked.
 *
 * @throws UnknownJinja, TemplateLimit, Error; `scope.rendering.failure` then names the node.
 */
export const evaluate = (node: Expression, scope: Scope): Value => withoutMark(evaluateMarked(node, scope));

/** As `evaluate`, with the mark of a string that is safe. */
export function evaluateMarked(node: Expression, scope: Scope): Value | Markup {
  const { rendering } = scope;
  const { budget } = rendering;
  budget.step(1);
  try {
    const marked = evaluateNode(node, scope);
    const value = withoutMark(marked);
    if (value === undefined && rendering.isStrict) assertExists(node);
    if (typeof value === 'string') budget.size(value.length, 'text');
    else if (Array.isArray(value)) budget.size(value.length, 'list');
    return marked;
  } catch (error) {
    if (rendering.failure?.error !== error) rendering.failure = { error, node };
    throw error;
  }
}

/**
 * An `if` without `else` may be nothing: Jinja never makes that an error.
 *
 * @throws Error if the node reads something that does not exist, where that is an error (`isStrict`)
 */
function assertExists(node: Expression): void {
  if (node.type === 'Identifier') throw new Error(`'${node.value}' is undefined`);
  if (node.type === 'MemberExpression') throw new Error('there is no such attribute or element');
}

/** The operand of `is defined` or `default`, which may not exist. */
const evaluateLeniently = (node: Expression, scope: Scope): Value =>
  node.type === 'Identifier' || node.type === 'MemberExpression'
    ? withoutMark(evaluateNode(node, scope))
    : evaluate(node, scope);

const LENIENT_FILTERS: ReadonlySet<string> = new Set(['default', 'd']);
const LENIENT_TESTS: ReadonlySet<string> = new Set(['defined', 'undefined']);

function operandOf(operand: Expression, name: string, lenient: ReadonlySet<string>, scope: Scope): Value {
  return lenient.has(name) ? evaluateLeniently(operand, scope) : evaluate(operand, scope);
}

function evaluateNode(node: Expression, scope: Scope): Value | Markup {
  switch (node.type) {
    case 'StringLiteral':
      return node.value;
    case 'IntegerLiteral':
      return wholeNumber(node.value);
    case 'FloatLiteral':
      return new PythonFloat(node.value);
    case 'ArrayLiteral':
      return node.value.map((item) => evaluate(item, scope));
    case 'TupleLiteral':
      return new Tuple(node.value.map((item) => evaluate(item, scope)));
    case 'ObjectLiteral':
      return dictOf(node.value, scope);
    case 'Identifier':
      return scope.get(node.value);
    case 'MemberExpression':
      return memberOf(node, scope);
    case 'CallExpression':
      return evaluateCall(node, scope);
    case 'UnaryExpression':
      return operateOnOne(node.operator.value, evaluate(node.argument, scope));
    case 'BinaryExpression':
      return evaluateBinary(node, scope);
    case 'FilterExpression': {
      const name = calledName(node.filter);
      const value = evaluateFilter(operandOf(node.operand, name, LENIENT_FILTERS, scope), node.filter, scope);
      return name === 'safe' ? new Markup(value as string) : value;
    }
    case 'ComparisonChain':
      return evaluateChain(node, scope);
    case 'TestExpression':
      return evaluateTest(node, scope);
    case 'SelectExpression':
      return isTrue(evaluate(node.test, scope)) ? evaluateMarked(node.lhs, scope) : undefined;
    case 'Ternary':
      return evaluateMarked(isTrue(evaluate(node.condition, scope)) ? node.trueExpr : node.falseExpr, scope);
    default:
      throw new UnknownJinja(`Unknown expression: ${(node as { type: string }).type}`);
  }
}

function dictOf(entries: ReadonlyMap<Expression, Expression>, scope: Scope): Dict {
  const dict = new Map<string, Value>();
  for (const [key, value] of entries) {
    const name = evaluate(key, scope);
    if (typeof name !== 'string')
      throw new UnknownJinja(`The key of a mapping must be a string, not ${nameOf(name)}`);
    dict.set(name, evaluate(value, scope));
  }
  return dict;
}

function evaluateBinary({ operator, left, right }: Binary, scope: Scope): Value | Markup {
  if (operator.value === '+') return sum(evaluateMarked(left, scope), evaluateMarked(right, scope), scope);
  const first = evaluate(left, scope);
  if (operator.value === 'and') return isTrue(first) ? evaluate(right, scope) : first;
  if (operator.value === 'or') return isTrue(first) ? first : evaluate(right, scope);
  return operate(operator.value, first, evaluate(right, scope), scope.rendering.budget.step);
}

function evaluateChain({ first, others }: ComparisonChain, scope: Scope): boolean {
  let left = evaluate(first, scope);
  for (const { operator, operand } of others) {
    const right = evaluate(operand, scope);
    if (!isTrue(operate(operator.value, left, right, scope.rendering.budget.step))) return false;
    left = right;
  }
  return true;
}

const sum = (left: Value | Markup, right: Value | Markup, { rendering: { budget } }: Scope): Value | Markup =>
  markedSum(left, right) ?? operate('+', withoutMark(left), withoutMark(right), budget.step);

/** `operand is test`, or `is not` */
function evaluateTest({ operand, negate, test }: TestExpression, scope: Scope): boolean {
  const name = calledName(test);
  const isPassed = testNamed(name);
  const value = operandOf(operand, name, LENIENT_TESTS, scope);
  const { positional, named } = calledArguments(test, scope);
  if (named.size > 0) throw new UnknownJinja(`Unknown argument of the test ${name}`);
  return isPassed(value, positional, scope.rendering.budget.step) !== negate;
}

/** `operand | filter` */
export const evaluateFilter = (operand: Value, filter: FilterOrTest, scope: Scope): Value =>
  applyFilter(operand, calledName(filter), calledArguments(filter, scope), scope.rendering.budget);

const calledName = (called: FilterOrTest): string =>
  called.type === 'Identifier' ? called.value : called.callee.value;

const calledArguments = (called: FilterOrTest, scope: Scope): CallArguments =>
  called.type === 'Identifier' ? NO_ARGUMENTS : evaluateArguments(called.args, scope);

function evaluateCall({ callee, args }: Call, scope: Scope): Value {
  const callable = evaluate(callee, scope);
  const values = evaluateArguments(args, scope);
  if (typeof callable === 'function') return callable(values);
  throw new UnknownJinja(`Cannot call something that is not a function: ${nameOf(callable)}`);
}

/** Arguments of a call, positional ones first, in Python's order of evaluation. */
export function evaluateArguments(args: readonly Argument[], scope: Scope): CallArguments {
  const positional: Value[] = [];
  const named = new Map<string, Value>();
  const add = (name: string, value: Value): void => {
    if (named.has(name)) throw new Error(`Got multiple values for keyword argument '${name}'`);
    named.set(name, value);
  };
  for (const arg of args) {
    if (arg.type === 'KeywordArgumentExpression' || arg.type === 'KeywordSpreadExpression') continue;
    if (arg.type === 'SpreadExpression') positional.push(...spreadItems(evaluate(arg.argument, scope)));
    else positional.push(evaluate(arg, scope));
  }
  for (const arg of args) {
    if (arg.type === 'KeywordArgumentExpression') add(arg.key.value, evaluate(arg.value, scope));
    if (arg.type !== 'KeywordSpreadExpression') continue;
    const dict = evaluate(arg.argument, scope);
    if (!(dict instanceof Map)) throw new Error(`Argument after ** must be a mapping, not ${nameOf(dict)}`);
    for (const [name, value] of dict as Dict) add(name, value);
  }
  return { positional, named };
}

function spreadItems(value: Value): readonly Value[] {
  const items = iterated(value);
  if (!items) throw new Error(`Argument after * must be a list, not ${nameOf(value)}`);
  return items;
}

/** `object.property` looks for a method first, `object[property]` for an entry, as Jinja does. */
function memberOf({ object, property, computed: isComputed }: Member, scope: Scope): Value {
  const owner = evaluate(object, scope);
  if (owner === undefined) throw new Error('an undefined value has no attributes or elements');
  if (property.type === 'SliceExpression') return evaluateSlice(owner, property, scope);
  if (!isComputed && property.type === 'Identifier') {
    const name = property.value;
    return methodOf(owner, name, scope) ?? entryOf(owner, name);
  }
  const key = evaluate(property, scope);
  const entry = entryOf(owner, key);
  return entry === undefined && typeof key === 'string' ? methodOf(owner, key, scope) : entry;
}

function methodOf(owner: Value, name: string, { rendering: { budget } }: Scope): Value {
  if (typeof owner === 'string') {
    const method = TEXT_METHODS.get(name);
    return method && ((args) => method(owner, args, budget));
  }
  if (Array.isArray(owner)) {
    const method = LIST_METHODS.get(name);
    return method && ((args) => method(owner as readonly Value[], args, budget));
  }
  if (!(owner instanceof Map)) return undefined;
  const method = DICT_METHODS.get(name);
  return method && ((args) => method(owner as Dict, args, budget));
}

function entryOf(owner: Value, key: Value): Value {
  if (typeof key === 'string') {
    if (owner instanceof Map) return (owner as Dict).get(key);
    return owner instanceof Namespace ? owner.entries.get(key) : undefined;
  }
  if (kindOf(key) !== 'integer' && kindOf(key) !== 'boolean') return undefined;
  const items = typeof owner === 'string' ? Array.from(owner) : itemsOf(owner);
  return items?.at(numberOf(key)!);
}

function evaluateSlice(owner: Value, slice: Slice, scope: Scope): Value {
  const bound = (part: Expression | undefined): number | undefined => {
    const value = part && evaluate(part, scope);
    return value == null ? undefined : integerOf(value, 'a slice');
  };
  const bounds = [bound(slice.start), bound(slice.stop), bound(slice.step)] as const;
  if (typeof owner === 'string') return slicedItems(Array.from(owner), ...bounds).join('');
  if (owner instanceof Tuple) return new Tuple(slicedItems(owner.items, ...bounds));
  if (Array.isArray(owner)) return slicedItems(owner as readonly Value[], ...bounds);
  throw new Error(`cannot slice ${nameOf(owner)}`);
}

/** `items[start:stop:step]` */
function slicedItems<T>(items: readonly T[], start?: number, stop?: number, step = 1): T[] {
  const { length } = items;
  if (step === 0) throw new Error('slice step cannot be zero');
  const [least, most] = step > 0 ? [0, length] : [-1, length - 1];
  const clamped = (index: number): number =>
    Math.min(Math.max(index < 0 ? index + length : index, least), most);
  const first = start === undefined ? (step > 0 ? least : most) : clamped(start);
  const end = stop === undefined ? (step > 0 ? most : least) : clamped(stop);
  const picked: T[] = [];
  for (let i = first; step > 0 ? i < end : i > end; i += step) picked.push(items[i]!);
  return picked;
}
