import type { Kernel } from '../ops/kernel.ts';
import type { Arrays } from '../arrays/array-view.ts';
import type { FloatDType } from '../arrays/dtype.ts';
import type { Op } from '../ops/op.ts';
import type { Memory } from '../memory/memory.ts';
import type { PageStore } from '../memory/page-store.ts';

/** Version of this contract: each backend names the version that it was written for. */
export const CONTRACT_VERSION = 1;

/** One run of an op. */
export interface OpCall {
  readonly op: Op;
  readonly inputs: Arrays;
  readonly outputs: Arrays;
  readonly attributes: unknown;
}

/** Memory and kernels. A backend is passed as an argument; there is no default one. */
export interface Backend {
  readonly name: string;
  /**
   * The set of kernels, where several sets round differently: `avx512`. Equal names and levels give equal
   * bits.
   */
  readonly level?: string;
  /** `CONTRACT_VERSION` when it was written; `assertContractVersion` refuses another one. */
  readonly contractVersion: number;
  readonly memory: Memory;
  /**
   * Float types of arrays and of `computeDtype` that the kernels take; `runOp` refuses others. Default: f32
   * and bf16.
   */
  readonly floatDtypes?: readonly FloatDType[];
  /** The kernel of an op, or undefined: then the reference runs, where memory is host memory. */
  kernel(opName: string): Kernel | undefined;
  /**
   * The layout of packed weights that the kernels read fastest. Default: row-major, as in files. Results are
   * the same.
   */
  readonly packedLayout?: 'tiles';
  /** Called each time a reference runs in place of a kernel. */
  readonly onFallback?: (opName: string) => void;
  /**
   * Opens a store of `byteLength` bytes beside a device, for pages of optimizer state and for activations.
   * Absent for host memory, where a file is used.
   */
  readonly openPageStore?: (byteLength: number) => PageStore;
  /** Called before each op, and before each replay of a recording. It throws to end the work (abort). */
  readonly beforeCall?: () => void;
  /**
   * Called in place of each op, for profiles; it calls `run` once. On a device `run` enqueues. A backend that
   * measures replays nothing, so that every op is seen.
   */
  readonly measure?: (call: OpCall, run: () => void) => void;
  /** Set by a recording's backend only: adds the call to the recording and runs it. */
  readonly recordCall?: (call: OpCall, run: () => void) => void;
  /** Begins a recording, where the backend can repeat calls faster than they are made (`repeatedCall`). */
  readonly record?: (options?: RecordOptions) => Recording;
}

/** Options of `Backend.record`: how much memory a recording reserves at a time. */
export interface RecordOptions {
  /** True for megabytes of temporaries: their memory is reserved in larger pieces. False by default. */
  readonly isLarge?: boolean;
}

/** Recorded kernel calls, which can run again without JavaScript. */
export interface Recording extends Disposable {
  /** Ops on this backend run at once, and again at each replay. Their results belong to the recording. */
  readonly backend: Backend;
  /**
   * Runs the calls again, in order, on the same arrays and attributes. The contents of arrays may have
   * changed (ids, positions). If segments have changed, attention must not need more scratch than when it was
   * recorded.
   *
   * @param beforePiece called before each piece of the replay (some tens of calls); it throws to end the work
   * @throws DisposedError if the recording, its backend or an array that it reads was disposed
   */
  replay(beforePiece?: () => void): void;
  /**
   * Begins another recording whose results share this one's memory: for computations that never need each
   * other's results.
   */
  another(): Recording;
  dispose(): void;
}

/** Members that `wrapBackend` adds to a backend or replaces. */
export type BackendLayer = Partial<Omit<Backend, 'contractVersion' | 'recordCall'>>;

/**
 * Wraps a backend in a layer. `beforeCall` and `measure` are combined with those of the backend, the layer's
 * outside. All other members of the layer replace the backend's. A layer with kernels of its own is not
 * recorded, since a recording holds the backend's kernels.
 *
 * The result calls the backend's methods on the backend, so that may be an object of a class. Members that
 * `Backend` does not have are kept where they are own properties.
 *
 * @example
 * const abortable = wrapBackend(backend, { beforeCall: () => signal.throwIfAborted() });
 */
export function wrapBackend<B extends Backend>(backend: B, layer: BackendLayer): B {
  const members = membersOf(backend);
  return {
    ...backend,
    ...members,
    ...(layer.kernel && { record: undefined }),
    ...layer,
    beforeCall: bothCalls(layer.beforeCall, members.beforeCall),
    measure: bothMeasures(layer.measure, members.measure),
  };
}

/** All members of a backend as own properties. A copy of an object has only its own: none of its class. */
const membersOf = (backend: Backend): Backend => ({
  name: backend.name,
  level: backend.level,
  contractVersion: backend.contractVersion,
  memory: backend.memory,
  floatDtypes: backend.floatDtypes,
  kernel: (opName) => backend.kernel(opName),
  packedLayout: backend.packedLayout,
  onFallback: backend.onFallback?.bind(backend),
  openPageStore: backend.openPageStore?.bind(backend),
  beforeCall: backend.beforeCall?.bind(backend),
  measure: backend.measure?.bind(backend),
  recordCall: backend.recordCall?.bind(backend),
  record: backend.record?.bind(backend),
});

const bothCalls = (outer: Backend['beforeCall'], inner: Backend['beforeCall']): Backend['beforeCall'] =>
  outer && inner
    ? () => {
        outer();
        inner();
      }
    : (outer ?? inner);

const bothMeasures = (outer: Backend['measure'], inner: Backend['measure']): Backend['measure'] =>
  outer && inner ? (call, run) => outer(call, () => inner(call, run)) : (outer ?? inner);
