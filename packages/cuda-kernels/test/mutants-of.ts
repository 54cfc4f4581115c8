/** A kernel's PTX with one of its safeguards taken away. */
export interface Mutant {
  readonly kind: 'barrier' | 'mask' | 'wait' | 'bound';
  readonly kernel: string;
  /** The instruction that was changed. */
  readonly instruction: string;
  /** Its line in the PTX of the source. */
  readonly line: number;
  /** Of a bound: its place among the conditional branches of the kernel. */
  readonly branch?: number;
  /** A module with this kernel alone and that change, made when it is asked for. */
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

/** Lines of a module, from `begin` up to but not including `end`. */
interface KernelText {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
}

const ENTRY = /\.entry (\w+)/;

function kernelsOf(lines: readonly string[]): KernelText[] {
  const begins = [...lines.keys()].filter((index) => ENTRY.test(lines[index]));
  return begins.map((begin, place) => ({
    name: ENTRY.exec(lines[begin])![1],
    begin,
    end: begins[place + 1] ?? lines.length,
  }));
}

/** Every mutant of a module: each line that a mutation fits, changed alone. */
export function mutantsOf(ptx: string): Mutant[] {
  const lines = ptx.split('\n');
  const kernels = kernelsOf(lines);
  const header = lines.slice(0, kernels[0].begin);
  return kernels.flatMap(({ name: kernel, begin, end }) => {
    const mutants: Mutant[] = [];
    let branches = 0;
    for (let index = begin; index < end; index++) {
      const line = lines[index];
      const mutation = MUTATIONS.find(({ pattern }) => pattern.test(line));
      if (!mutation) continue;
      const { kind, change } = mutation;
      mutants.push({
        kind,
        kernel,
        instruction: line.trim(),
        line: index + 1,
        ...(kind === 'bound' && { branch: branches++ }),
        ptx: () =>
          [...header, ...lines.slice(begin, index), change(line), ...lines.slice(index + 1, end)].join('\n'),
      });
    }
    return mutants;
  });
}
