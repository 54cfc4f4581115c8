/** What a group is for back-references: only a capture has a number. */
export type GroupKind = 'capture' | 'plain' | `${'' | 'negative '}${'lookahead' | 'lookbehind'}`;

interface Group {
  readonly kind: GroupKind;
  /** Null: the whole expression. */
  readonly outer: Group | null;
  /** The alternative of `outer` that the group is in. */
  readonly outerBranch: number;
  /** The last alternative of the group, from 0 on. */
  branch: number;
  isOpen: boolean;
  /** A quantifier follows the group. */
  isQuantified: boolean;
}

/**
 * Whether a group has matched exactly once wherever a reference to it is tried. Where it has not matched,
 * Python's reference fails and JavaScript's matches nothing; JavaScript also forgets a group in each
 * repetition around it, and ends repetitions without text at another place.
 */
export type Reference = 'matched' | 'unsure' | 'open' | 'missing';

/** Follows the groups of an expression from left to right. */
export class RegexGroups {
  #current: Group = newGroup('plain', null);
  /** The group that ended just before, which a quantifier would be for. */
  #last: Group | null = null;
  readonly #captures: Group[] = [];
  readonly #names = new Map<string, number>();

  open(kind: GroupKind, name?: string): void {
    this.#current = newGroup(kind, this.#current);
    this.#last = null;
    if (kind !== 'capture') return;
    this.#captures.push(this.#current);
    if (name !== undefined) this.#names.set(name, this.#captures.length);
  }

  /** A `)`; one too many is left to the engine, which refuses it. */
  close(): void {
    const { outer } = this.#current;
    if (outer === null) return;
    this.#current.isOpen = false;
    this.#last = this.#current;
    this.#current = outer;
  }

  /** A `|` */
  alternative(): void {
    this.#current.branch++;
    this.#last = null;
  }

  /** Any other part, which is no group. */
  atom(): void {
    this.#last = null;
  }

  /** A quantifier; returns the kind of the group that it is for, if it is for a group. */
  quantifier(): GroupKind | undefined {
    if (this.#last) this.#last.isQuantified = true;
    return this.#last?.kind;
  }

  /** A reference by number or name. */
  referenceTo(group: number | string): Reference {
    const number = typeof group === 'number' ? group : (this.#names.get(group) ?? 0);
    const target = this.#captures[number - 1];
    if (!target) return 'missing';
    if (target.isOpen) return 'open';
    return this.#hasMatched(target) ? 'matched' : 'unsure';
  }

  #hasMatched(target: Group): boolean {
    let group = target;
    let isShared = false; // `group` is around the reference too
    for (; group.outer !== null; group = group.outer) {
      isShared ||= group.isOpen;
      // in a lookbehind, JavaScript matches from the right to the left
      if (isShared ? group.kind.endsWith('lookbehind') : !isMatchedOnce(group)) return false;
      if (!isSameBranch(group)) return false;
    }
    return true;
  }
}

const newGroup = (kind: GroupKind, outer: Group | null): Group => ({
  kind,
  outer,
  outerBranch: outer?.branch ?? 0,
  branch: 0,
  isOpen: true,
  isQuantified: false,
});

const isMatchedOnce = ({ kind, isQuantified }: Group): boolean =>
  !isQuantified && !kind.startsWith('negative');

/**
 * True if the reference is in the same alternative of the group around, or if that group has only one and has
 * ended.
 */
const isSameBranch = ({ outer, outerBranch }: Group): boolean =>
  outer!.isOpen ? outer!.branch === outerBranch : outer!.branch === 0;
