/**
 * A step of a program that matches text. Jumps count from the step itself, so programs can be joined and
 * copied. The end of the program is a match.
 */
export type Instruction =
  | { readonly op: 'character'; readonly matches: (character: string) => boolean }
  | { readonly op: 'assert'; readonly holds: Assertion }
  /** Continues in two places; a match by `first` wins. */
  | { readonly op: 'split'; readonly first: number; readonly second: number }
  | { readonly op: 'jump'; readonly by: number }
  /** An end of the named group. */
  | { readonly op: 'mark'; readonly edge: 'start' | 'end' };

export type Program = readonly Instruction[];

/** A condition on a place between two characters. */
export type Assertion = (text: readonly string[], at: number) => boolean;

/** One program or the other, the first preferred. */
export const either = (first: Program, second: Program): Program => [
  { op: 'split', first: 1, second: first.length + 2 },
  ...first,
  { op: 'jump', by: second.length + 1 },
  ...second,
];

/** How often a part occurs. A lazy repeat prefers fewer. */
export interface Repeat {
  readonly min: number;
  readonly max: number;
  readonly isLazy: boolean;
}

/** A program `min` to `max` times in a row. Its length is that of `min` and `max` copies. */
export function repeated(body: Program, { min, max, isLazy }: Repeat): Program {
  const enterOrSkip = (skip: number): Instruction =>
    isLazy ? { op: 'split', first: skip, second: 1 } : { op: 'split', first: 1, second: skip };
  const required = Array.from({ length: min }, () => body).flat();
  if (max === Infinity)
    return [...required, enterOrSkip(body.length + 2), ...body, { op: 'jump', by: -(body.length + 1) }];
  let optional: Program = [];
  for (let i = min; i < max; i++) {
    const inner: Program = [...body, ...optional];
    optional = [enterOrSkip(inner.length + 1), ...inner];
  }
  return [...required, ...optional];
}

/** Instructions of `repeated`, without making them. */
export const repeatedLength = (body: Program, { min, max }: Repeat): number =>
  (body.length + 2) * (max === Infinity ? min + 1 : max);

/** Characters of every match, or null where matches differ; null for a program that repeats without end. */
export function fixedWidth(program: Program): number | null {
  const widths: (number | null)[] = [0];
  const widthAt = (place: number): number | null => widths[program.length - place]!;
  for (let place = program.length - 1; place >= 0; place--) {
    const instruction = program[place]!;
    if (instruction.op === 'jump') {
      if (instruction.by < 0) return null;
      widths.push(widthAt(place + instruction.by));
    } else if (instruction.op === 'split') {
      const width = widthAt(place + instruction.first);
      widths.push(width === widthAt(place + instruction.second) ? width : null);
    } else {
      const rest = widthAt(place + 1);
      widths.push(rest === null ? null : rest + (instruction.op === 'character' ? 1 : 0));
    }
  }
  return widthAt(0);
}
