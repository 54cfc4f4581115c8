import { bindArguments } from './python/arguments.ts';
import { createBudget } from './budget.ts';
import { evaluate, evaluateArguments, evaluateMarked, evaluateFilter } from './evaluate.ts';
import { withoutMark, type Markup } from './python/markup.ts';
import { pythonText } from './python/python-text.ts';
import { readsName } from './reads-name.ts';
import { createScope, type Rendering, type Scope } from './scope.ts';
import type {
  CallStatement,
  Expression,
  For,
  Macro,
  Node,
  Parameter,
  Program,
  SetStatement,
  Statement,
  With,
} from './nodes.ts';
import {
  isTrue,
  iterated,
  nameOf,
  Namespace,
  Tuple,
  UnknownJinja,
  type CallArguments,
  type TemplateFunction,
  type Value,
} from './python/values.ts';
import { dict, namespace } from './namespace.ts';

/** Names that every template knows. */
const GLOBALS: Readonly<Record<string, Value>> = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  dict,
  namespace,
};

/** Steps per iteration of a loop: creating its scope takes this long. */
const STEPS_PER_TURN = 10;

/** An error of a template, with the innermost part that failed; null if there is none. */
export class TemplateFailure extends Error {
  readonly node: Node | null;

  constructor(cause: unknown, node: Node | null) {
    super((cause as Error).message, { cause });
    this.node = node;
  }
}

/**
 * Renders a parsed template as Python's Jinja does, within limits on steps and sizes: two nested `{% for i in
 * range(10 ** 5) %}`, or a text that is doubled repeatedly, end with `TemplateLimit` within a second.
 *
 * @param inputLength length of the template's inputs as text; the size limits are proportional to it
 * @param isStrict reading a name or an element that does not exist fails, except in `is defined` and
 * `default`
 * @throws TemplateFailure whose cause is an error of a function in `variables`, `UnknownJinja`,
 * `TemplateLimit` or an Error as Python raises it
 */
export function renderProgram(
  program: Program,
  variables: Readonly<Record<string, Value>>,
  inputLength: number,
  { isStrict = false }: { readonly isStrict?: boolean } = {},
): string {
  const rendering: Rendering = {
    budget: createBudget(inputLength),
    isStrict,
    leaving: null,
    failure: null,
  };
  const scope = createScope(rendering);
  for (const [name, value] of Object.entries({ ...GLOBALS, ...variables })) scope.set(name, value);
  try {
    return renderOutsideLoop(program.body, scope);
  } catch (error) {
    throw new TemplateFailure(error, failedNode(rendering, error));
  }
}

const failedNode = ({ failure }: Rendering, error: unknown): Node | null =>
  failure && failure.error === error ? failure.node : null;

/** Renders statements up to a `break` or a `continue`. */
function renderBlock(statements: readonly Statement[], scope: Scope): string {
  const { rendering } = scope;
  let text = '';
  for (const statement of statements) {
    text += textOfStatement(statement, scope);
    rendering.budget.size(text.length, 'text');
    if (rendering.leaving) break;
  }
  return text;
}

/** Renders statements outside of any loop. */
function renderOutsideLoop(statements: readonly Statement[], scope: Scope): string {
  const text = renderBlock(statements, scope);
  const { leaving } = scope.rendering;
  if (leaving) throw new Error(`${leaving.toLowerCase()} outside of a loop`);
  return text;
}

function textOfStatement(statement: Statement, scope: Scope): string {
  const { rendering } = scope;
  const { step } = rendering.budget;
  switch (statement.type) {
    case 'If':
      step(1);
      return renderBlock(
        isTrue(evaluate(statement.test, scope)) ? statement.body : statement.alternate,
        scope,
      );
    case 'For':
      return renderLoop(statement, scope);
    case 'Set':
      runSet(statement, scope);
      return '';
    case 'Macro':
      scope.set(statement.name.value, macro(statement, scope));
      return '';
    case 'CallStatement':
      return renderCallBlock(statement, scope);
    case 'With':
      return renderWith(statement, scope);
    case 'FilterStatement': {
      const text = renderBlock(statement.body, scope.inner());
      return rendering.leaving ? '' : pythonText(evaluateFilter(text, statement.filter, scope), step);
    }
    case 'Break':
    case 'Continue':
      rendering.leaving = statement.type;
      return '';
    case 'Comment':
      return '';
    default:
      return pythonText(evaluate(statement, scope), step);
  }
}

function renderLoop({ loopvar, iterable, body, defaultBlock }: For, scope: Scope): string {
  const { rendering } = scope;
  const [list, test] =
    iterable.type === 'SelectExpression' ? [iterable.lhs, iterable.test] : [iterable, null];
  const value = evaluate(list, scope);
  const all = iterated(value);
  if (!all) throw new Error(`for takes a list, not ${nameOf(value)}`);
  rendering.budget.step(STEPS_PER_TURN * all.length);
  const items = test ? all.filter((item) => passes(item, loopvar, test, scope)) : all;
  let text = '';
  let isAnyComplete = false;
  for (let i = 0; i < items.length; i++) {
    const turn = scope.inner();
    turn.set('loop', loopState(items, i));
    assign(loopvar, items[i], turn);
    text += renderBlock(body, turn);
    rendering.budget.size(text.length, 'text');
    const { leaving } = rendering;
    rendering.leaving = null;
    if (leaving === 'Break') break;
    isAnyComplete ||= leaving === null;
  }
  // As in Jinja: also if `break` or `continue` has ended every iteration early.
  return isAnyComplete ? text : text + renderBlock(defaultBlock, scope.inner());
}

/** True if `for x in list if test` keeps an item. */
function passes(item: Value, loopvar: Expression, test: Expression, scope: Scope): boolean {
  const turn = scope.inner();
  assign(loopvar, item, turn);
  return isTrue(evaluate(test, turn));
}

/** Jinja's `loop` in iteration `i`. */
function loopState(items: readonly Value[], i: number): Value {
  const { length } = items;
  return new Map<string, Value>([
    ['index', i + 1],
    ['index0', i],
    ['revindex', length - i],
    ['revindex0', length - i - 1],
    ['first', i === 0],
    ['last', i === length - 1],
    ['length', length],
    ['depth', 1], // more only in a recursive loop
    ['depth0', 0],
    ['previtem', items[i - 1]],
    ['nextitem', items[i + 1]],
    ['cycle', ({ positional }: CallArguments) => cycled(positional, i)],
  ]);
}

/** `loop.cycle(…)`: the values in turn. */
function cycled(values: readonly Value[], i: number): Value {
  if (values.length === 0) throw new Error('loop.cycle() takes at least one value');
  return values[i % values.length];
}

function runSet({ assignee, value, body }: SetStatement, scope: Scope): void {
  const assigned = value ? evaluateMarked(value, scope) : renderBlock(body, scope.inner());
  if (!scope.rendering.leaving) assign(assignee, assigned, scope);
}

/** Assigns to a name, to an attribute of a namespace, or to several names at once. */
function assign(target: Expression, value: Value | Markup, scope: Scope): void {
  switch (target.type) {
    case 'Identifier':
      scope.set(target.value, value);
      return;
    case 'TupleLiteral':
      unpack(target.value, withoutMark(value), scope);
      return;
    case 'MemberExpression': {
      const owner = evaluate(target.object, scope);
      if (!(owner instanceof Namespace) || target.property.type !== 'Identifier')
        throw new Error(`cannot assign to an attribute of ${nameOf(owner)}, only to one of a namespace`);
      owner.entries.set(target.property.value, withoutMark(value));
      return;
    }
    default:
      throw new UnknownJinja(`Cannot assign to something that is not a name: ${target.type}`);
  }
}

function unpack(targets: readonly Expression[], value: Value, scope: Scope): void {
  const items = iterated(value);
  if (!items) throw new Error(`cannot unpack ${nameOf(value)}`);
  if (items.length !== targets.length)
    throw new Error(`cannot unpack ${items.length} items into ${targets.length} names`);
  targets.forEach((target, i) => {
    assign(target, items[i], scope);
  });
}

function macro({ name, args, body }: Macro, scope: Scope): TemplateFunction {
  return macroFunction(`the macro ${name.value}`, { parameters: args, body }, scope);
}

/** `{% call macro(…) %}body{% endcall %}`: the macro can call the body as `caller`. */
function renderCallBlock({ call, callerArgs, body }: CallStatement, scope: Scope): string {
  scope.rendering.budget.step(1);
  const callable = evaluate(call.callee, scope);
  const { positional, named } = evaluateArguments(call.args, scope);
  if (typeof callable !== 'function')
    throw new UnknownJinja(`Cannot call something that is not a function: ${nameOf(callable)}`);
  const caller = macroFunction('caller', { parameters: callerArgs ?? [], body }, scope);
  const value = callable({ positional, named: new Map([...named, ['caller', caller]]) });
  return pythonText(value, scope.rendering.budget.step);
}

/** The values see only the names around the block. */
function renderWith({ targets, values, body }: With, scope: Scope): string {
  const inside = scope.inner();
  const assigned = values.map((value) => evaluateMarked(value, scope));
  targets.forEach((target, i) => {
    assign(target, assigned[i], inside);
  });
  return renderBlock(body, inside);
}

interface MacroBody {
  readonly parameters: readonly Parameter[];
  readonly body: readonly Statement[];
}

/** Makes a macro callable. It sees the names around its definition, not those around its call. */
function macroFunction(callable: string, { parameters, body }: MacroBody, scope: Scope): TemplateFunction {
  const names = parameters.map((parameter) =>
    parameter.type === 'Identifier' ? parameter.value : parameter.key.value,
  );
  const takes = (name: string): boolean => readsName(body, name);
  const [takesPositional, takesNamed, takesCaller] = ['varargs', 'kwargs', 'caller'].map(takes);
  return (args) => {
    const inside = scope.inner();
    const { positional, named } = args;
    const others = [...named].filter(([name]) => !names.includes(name) && name !== 'caller');
    if (takesPositional) inside.set('varargs', new Tuple(positional.slice(names.length)));
    if (takesNamed) inside.set('kwargs', new Map(others));
    if (named.has('caller')) inside.set('caller', named.get('caller'));
    const taken: CallArguments = {
      positional: takesPositional ? positional.slice(0, names.length) : positional,
      named: new Map(
        [...named].filter(
          ([name]) => names.includes(name) || !(name === 'caller' ? takesCaller : takesNamed),
        ),
      ),
    };
    const values = bindArguments(taken, names, callable);
    names.forEach((name, i) => {
      inside.set(name, values[i]);
    });
    parameters.forEach((parameter, i) => {
      const isGiven = i < positional.length || named.has(names[i]); // an undefined value counts
      if (parameter.type === 'KeywordArgumentExpression' && !isGiven)
        inside.set(names[i], evaluate(parameter.value, inside));
    });
    return renderOutsideLoop(body, inside);
  };
}
