import { Environment, Interpreter, type parse } from '@huggingface/jinja';
import { asPython, withPythonMethods } from './as-python.ts';

type Program = ReturnType<typeof parse>;
type Evaluate = Interpreter['evaluate'];
type Node = NonNullable<Parameters<Evaluate>[0]>;

/**
 * Nodes that one rendering may evaluate: a turn of a real template takes some 50, so this is a conversation
 * of 20,000 turns. A million take about half a second.
 */
const MAX_STEPS = 1_000_000;

/**
 * A turn of a loop makes a scope of its own, which takes as long as so many steps: a million empty turns took
 * 10 s.
 */
const STEPS_PER_TURN = 10;

/**
 * Texts and lists that a template makes may be so many times as long as what it was given, and this much
 * more: doubling a text 30 times would fill memory.
 */
const GROWTH = 16;
const ROOM = 2 ** 16;

/** A template that asks for more than it may have. */
export class TemplateLimit extends Error {}

/** An error of a template, and the innermost part of it that failed; null where none did. */
export interface TemplateFailure {
  readonly error: unknown;
  readonly node: Node | null;
}

/**
 * Runs a template with limits on steps and sizes: `{% for i in range(10 ** 5) %}` twice inside each other, or
 * a text that is doubled again and again, end with `TemplateLimit` within a second. `givenLength` is the
 * length of the template's inputs as text.
 *
 * @throws TemplateFailure whatever the template throws, with the place
 */
export function interpretTemplate(program: Program, environment: Environment, givenLength: number): string {
  const interpreter = new Interpreter(environment);
  const evaluate: Evaluate = interpreter.evaluate.bind(interpreter);
  const methods = new WeakSet<object>();
  const maxLength = ROOM + GROWTH * givenLength;
  // what a loop goes over: each turn counts, also where the loop's body is empty
  const walked = new WeakSet<object>();
  let steps = 0;
  let failure: TemplateFailure = { error: null, node: null };
  const step = (count: number): void => {
    steps += count;
    if (steps > MAX_STEPS) throw new TemplateLimit(`more than ${MAX_STEPS} steps`);
  };
  asPython(interpreter, step);
  interpreter.evaluate = (node, scope) => {
    step(1);
    try {
      noteLoop(node, walked);
      const result = evaluate(node, scope);
      const value = result?.value as { length?: unknown; builtins?: unknown } | string | null | undefined;
      if (node && walked.has(node)) step(STEPS_PER_TURN * turnsOver(value));
      if (typeof value === 'string' || Array.isArray(value)) {
        if (value.length > maxLength)
          throw new TemplateLimit(
            `a ${typeof value === 'string' ? 'text' : 'list'} of more than ${maxLength} elements`,
          );
        if (typeof value === 'string' && !methods.has(result)) {
          methods.add(result);
          withPythonMethods(result as unknown as Parameters<typeof withPythonMethods>[0]);
          limitReplace(result, value, maxLength);
        }
      }
      return result;
    } catch (error) {
      if (failure.error !== error) failure = { error, node: node ?? null };
      throw error;
    }
  };
  try {
    return (interpreter.run(program) as { value: string }).value;
  } catch (error) {
    throw failure.error === error ? failure : ({ error, node: null } satisfies TemplateFailure);
  }
}

function noteLoop(node: Node | undefined, walked: WeakSet<object>): void {
  if (node?.type !== 'For') return;
  const { iterable } = node as unknown as { iterable: object & { lhs?: object } };
  walked.add(iterable.lhs ?? iterable); // `for x in list if test` has the list inside a selection
}

const turnsOver = (value: unknown): number =>
  typeof value === 'string' || Array.isArray(value) ? value.length : value instanceof Map ? value.size : 0;

interface Builtins {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
}
interface Callable {
  value: (args: readonly { value?: unknown }[], scope: unknown) => unknown;
}

/** `replace` is the one step that can multiply a text by a text: it is measured before it is done. */
function limitReplace(result: unknown, text: string, maxLength: number): void {
  const { builtins } = result as { builtins: Builtins };
  const replace = builtins.get('replace') as Callable | undefined;
  if (!replace) return;
  const run = replace.value;
  replace.value = (args, scope) => {
    const [old, fresh] = args.map(({ value }) => value);
    if (typeof old === 'string' && typeof fresh === 'string' && fresh.length > old.length) {
      const times = old === '' ? text.length + 1 : text.length / old.length;
      if (
        text.length + times * (fresh.length - old.length) > maxLength &&
        text.split(old).length * (fresh.length - old.length) > maxLength
      )
        throw new TemplateLimit(`a text of more than ${maxLength} elements`);
    }
    return run(args, scope);
  };
}
