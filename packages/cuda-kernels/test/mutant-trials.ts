import { checkKernel } from '@qdylora/testing';
import { createEmulatedBackend } from './emulated-backend.ts';
import type { EmulatedArgument, EmulatedLaunch, Emulator } from './emulator.ts';
import { mutantsOf, type Mutant } from './mutants-of.ts';
import type { SmallCall } from './small-calls.ts';

interface TrialOptions {
  readonly emulator: Emulator;
  readonly ptxOf: (source: string) => string;
  readonly source: string;
  /** Instructions of the launches that are tried: some seconds of a mutant that none of them shows. */
  readonly mostTried?: number;
}

/** Another launch in the place of one that a binding makes. */
export type Replace = (launch: EmulatedLaunch) => EmulatedLaunch;

/** Runs mutants of a source in calls of its ops. */
export interface MutantTrials {
  /**
   * Adds a call, and records the launches that it makes of the source's kernels.
   *
   * @throws Error where the call does not pass on the PTX as it is.
   */
  add(call: SmallCall, replace?: Replace): Promise<void>;
  /**
   * The launches that can show a mutant. A branch that is removed changes nothing where no thread takes it.
   */
  countLaunches(mutant: Mutant): number;
  /** What is wrong with the mutant, in words, or null where all calls pass. */
  problemOf(mutant: Mutant): Promise<string | null>;
}

/** A mutant that runs for ever is ended after this many times the instructions of the kernel as it is. */
const MOST_SLOWDOWN = 10;
/** Of short kernels, whose mutants may do a bit more. */
const FREE_INSTRUCTIONS = 1e5;
const MOST_TRIED = 4e7;
/** Calls that are judged where a launch makes other results, within the bounds of the calls. */
const MOST_JUDGED = 10;

interface TracedCall {
  readonly call: SmallCall;
  readonly replace: Replace;
}

/** A launch of the PTX as it is: the arrays before it, and after it. */
interface TracedLaunch {
  readonly of: TracedCall;
  readonly launch: EmulatedLaunch;
  readonly after: readonly EmulatedArgument[];
  readonly instructions: number;
  /** For each conditional branch of the kernel, 1 where a thread took it. */
  readonly taken: Uint8Array;
}

/** The same numbers at an address of the same alignment. */
function copyOf(bytes: Uint8Array): Uint8Array {
  const skew = bytes.byteOffset % 256;
  const copy = new Uint8Array(new ArrayBuffer(bytes.length + skew), skew);
  copy.set(bytes);
  return copy;
}

/** Copies of all arrays; two arguments that are one array stay one. */
function copyArguments(list: readonly EmulatedArgument[]): EmulatedArgument[] {
  const copies: { readonly from: Uint8Array; readonly bytes: Uint8Array; readonly written: Uint8Array }[] =
    [];
  return list.map((argument) => {
    if (!('bytes' in argument)) return argument;
    const { bytes: from, written } = argument;
    let copy = copies.find(
      (one) => one.from.buffer === from.buffer && one.from.byteOffset === from.byteOffset,
    );
    if (!copy) {
      copy = { from, bytes: copyOf(from), written: written.slice() };
      copies.push(copy);
    }
    return { ...argument, bytes: copy.bytes, written: copy.written };
  });
}

const areEqual = (first: readonly EmulatedArgument[], second: readonly EmulatedArgument[]): boolean =>
  first.every((argument, place) => {
    const other = second[place];
    if (!('bytes' in argument) || !('bytes' in other)) return true;
    return (
      Buffer.compare(argument.bytes, other.bytes) === 0 &&
      Buffer.compare(argument.written, other.written) === 0
    );
  });

/** The conditional branches of each kernel of a module. */
function countBranches(mutants: readonly Mutant[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { kind, kernel } of mutants)
    if (kind === 'bound') counts.set(kernel, (counts.get(kernel) ?? 0) + 1);
  return counts;
}

/** The launches that were added first, as many as may be tried; of these the quickest first. */
function choose(launches: readonly TracedLaunch[], mostTried: number): TracedLaunch[] {
  let sum = 0;
  return launches
    .filter(({ instructions }) => {
      sum += instructions;
      return sum <= mostTried;
    })
    .toSorted((first, second) => first.instructions - second.instructions);
}

const canShow =
  ({ kernel, branch }: Mutant) =>
  ({ launch, taken }: TracedLaunch): boolean =>
    launch.kernel === kernel && (branch === undefined || taken[branch] === 1);

/** Loads each text once: the PTX as it is, which most calls need. */
function loadOnce(emulator: Emulator): Emulator['load'] {
  const modules = new Map<string, object>();
  return (ptx) => {
    const module = modules.get(ptx) ?? emulator.load(ptx);
    modules.set(ptx, module);
    return module;
  };
}

export function createMutantTrials(options: TrialOptions): MutantTrials {
  const { emulator, ptxOf, source, mostTried = MOST_TRIED } = options;
  const load = loadOnce(emulator);
  const original = load(ptxOf(source));
  const branchCounts = countBranches(mutantsOf(ptxOf(source)));
  const traced: TracedLaunch[] = [];

  /** The call on two backends, whose arrays are at aligned and at unaligned addresses. */
  const check = ({ call: { op, call }, replace }: TracedCall, run: Emulator['run']): Promise<void> => {
    const backends = [false, true].map((isSkewed) =>
      createEmulatedBackend({
        emulator: { load, run: (module, launch) => run(module, replace(launch)) },
        ptxOf,
        seed: 11,
        isSkewed,
      }),
    );
    return checkKernel(op, [{ label: source, backends }], call);
  };

  return {
    countLaunches: (mutant) => traced.filter(canShow(mutant)).length,
    add(call, replace = (launch) => launch) {
      const of = { call, replace };
      return check(of, (module, launch) => {
        if (module !== original) return emulator.run(module, launch);
        const before = copyArguments(launch.arguments);
        const taken = new Uint8Array(branchCounts.get(launch.kernel) ?? 0);
        const instructions = emulator.run(module, { ...launch, taken });
        const after = copyArguments(launch.arguments);
        traced.push({ of, launch: { ...launch, arguments: before }, after, instructions, taken });
        return instructions;
      });
    },
    async problemOf(mutant) {
      const changed = emulator.load(mutant.ptx());
      const passed = new Set<TracedCall>();
      for (const { of, launch, after, instructions } of choose(traced.filter(canShow(mutant)), mostTried)) {
        const mostInstructions = MOST_SLOWDOWN * instructions + FREE_INSTRUCTIONS;
        const args = copyArguments(launch.arguments);
        try {
          emulator.run(changed, { ...launch, arguments: args, mostInstructions });
          // Where the arrays are the same the call goes on as it did. Else its results are judged.
          if (areEqual(args, after) || passed.has(of)) continue;
          if (passed.size === MOST_JUDGED) return null;
          await check(of, (module, one) =>
            module === original && one.kernel === mutant.kernel
              ? emulator.run(changed, { ...one, mostInstructions })
              : emulator.run(module, one),
          );
          passed.add(of);
        } catch (error) {
          return (error as Error).message;
        }
      }
      return null;
    },
  };
}
