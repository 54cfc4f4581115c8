import type { Budget } from './budget.ts';
import type { Markup } from './python/markup.ts';
import type { Value } from './python/values.ts';
import type { Node } from './nodes.ts';

/** One rendering of a template. */
export interface Rendering {
  readonly budget: Budget;
  /** Reading a name or an element that does not exist fails, as with Jinja's `StrictUndefined`. */
  readonly isStrict: boolean;
  /** Set by `{% break %}` and `{% continue %}` until the innermost loop handles it. */
  leaving: 'Break' | 'Continue' | null;
  /** The latest error, and the innermost part of the template that it comes from. */
  failure: { readonly error: unknown; readonly node: Node } | null;
}

/** The names that a part of a template can see: its own, then those of the enclosing scopes. */
export interface Scope {
  readonly rendering: Rendering;
  /** The value of a name; undefined if it is not set. */
  get(name: string): Value | Markup;
  set(name: string, value: Value | Markup): void;
  inner(): Scope;
}

class NestedScope implements Scope {
  readonly rendering: Rendering;
  readonly #outer: Scope | null;
  readonly #values = new Map<string, Value | Markup>();

  constructor(rendering: Rendering, outer: Scope | null) {
    this.rendering = rendering;
    this.#outer = outer;
  }

  get(name: string): Value | Markup {
    const value = this.#values.get(name);
    return value === undefined && !this.#values.has(name) ? this.#outer?.get(name) : value;
  }

  set(name: string, value: Value | Markup): void {
    this.#values.set(name, value);
  }

  inner(): Scope {
    return new NestedScope(this.rendering, this);
  }
}

export const createScope = (rendering: Rendering): Scope => new NestedScope(rendering, null);
