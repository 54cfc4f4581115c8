/** A kernel's PTX with one of its safeguards taken away. */
export interface Mutant {
  readonly kind: 'barrier' | 'mask' | 'wait' | 'bound';
  readonly kernel: string;
  /** The instruction that was changed. */
  readonly instruction: string;
  /** The whole module with that change, made when it is asked for: some have a million characters. */
  readonly ptx: () => string;
}

interface Mutation {
  readonly kind: Mutant['kind'];
  readonly pattern: RegExp;
  readonly change: (line: string) => string;
}

const remove = (): string => '';

/**
 * - `barrier`: `bar.sync` and `bar.warp.sync` removed.
 * - `mask`: a shuffle or vote that names lane 0 only.
 * - `wait`: a wait for asynchronous copies removed.
 * - `bound`: a conditional branch removed, so that the code it skips always runs.
 */
const MUTATIONS: readonly Mutation[] = [
  { kind: 'barrier', pattern: /^\s*bar(rier)?(\.warp)?\.sync/, change: remove },
  {
    kind: 'mask',
    pattern: /^\s*(shfl|vote)\.sync/,
    change: (line) => line.replace(/,[^,;]*;/, ', 1;'),
  },
  { kind: 'wait', pattern: /^\s*cp\.async\.wait/, change: remove },
  { kind: 'bound', pattern: /^\s*@!?%p\d+ bra/, change: remove },
];

/** Every mutant of a module: each line that a mutation fits, changed alone. */
export function mutantsOf(ptx: string): Mutant[] {
  const lines = ptx.split('\n');
  const mutants: Mutant[] = [];
  let kernel = '';
  for (const [index, line] of lines.entries()) {
    kernel = /\.entry (\w+)/.exec(line)?.[1] ?? kernel;
    const mutation = MUTATIONS.find(({ pattern }) => pattern.test(line));
    if (!mutation) continue;
    const ptx = (): string => lines.with(index, mutation.change(line)).join('\n');
    mutants.push({ kind: mutation.kind, kernel, instruction: line.trim(), ptx });
  }
  return mutants;
}
