/**
 * Number of nodes that one rendering may evaluate. A turn of a real template takes about 50, so this is a
 * conversation of 20,000 turns. A million take about half a second.
 */
const MAX_STEPS = 1_000_000;

/**
 * Texts and lists made by a template may be this many times as long as its inputs, plus `ROOM`. Without this
 * limit, doubling a text 30 times would fill memory.
 */
const GROWTH = 16;
const ROOM = 2 ** 16;

/** A template exceeded its limit of steps or memory. */
export class TemplateLimit extends Error {}

/** Counts the steps and sizes of one rendering. Each method throws `TemplateLimit` above the limit. */
export interface Budget {
  step(count: number): void;
  /** Checks the length of a text or a list; call it before making the value if possible. */
  size(length: number, kind: 'text' | 'list'): void;
}

/** The budget of one rendering; `inputLength` is the length of the template's inputs as text. */
export function createBudget(inputLength: number): Budget {
  const maxLength = ROOM + GROWTH * inputLength;
  let steps = 0;
  return {
    step(count) {
      steps += count;
      if (steps > MAX_STEPS) throw new TemplateLimit(`more than ${MAX_STEPS} steps`);
    },
    size(length, kind) {
      if (length > maxLength) throw new TemplateLimit(`a ${kind} of more than ${maxLength} elements`);
    },
  };
}
