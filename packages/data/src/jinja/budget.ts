/**
 * Nodes that one rendering may evaluate: a turn of a real template takes some 50, so this is a conversation
 * of 20,000 turns. A million take about half a second.
 */
const MAX_STEPS = 1_000_000;

/**
 * Texts and lists that a template makes may be this many times as long as its inputs, and `ROOM` more:
 * doubling a text 30 times would fill memory.
 */
const GROWTH = 16;
const ROOM = 2 ** 16;

/** A template that asks for more steps or memory than it may have. */
export class TemplateLimit extends Error {}

/** What one rendering has used so far. Each method throws `TemplateLimit` where that is too much. */
export interface Budget {
  step(count: number): void;
  /** Checks the length of a text or a list, best before it is made. */
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
