import type { Kernel } from '../ops/kernel.ts';
import type { Arrays } from '../arrays/array-view.ts';
import type { Op } from '../ops/op.ts';
import type { Memory } from '../memory/memory.ts';
import type { PageStore } from '../memory/page-store.ts';

/** Version of this contract; a backend built for another one is refused. */
export const CONTRACT_VERSION = 1;

/** One run of an op. */
export interface OpCall {
  readonly op: Op;
  readonly inputs: Arrays;
  readonly outputs: Arrays;
  readonly attributes: unknown;
}

/** A backend is memory + kernels, handed down as an argument. */
export interface Backend {
  readonly name: string;
  /**
   * Which of several sets of kernels runs, where these round differently: `avx512`. Equal names and levels
   * give equal bits.
   */
  readonly level?: string;
  readonly contractVersion: number;
  readonly memory: Memory;
  /** The backend's own body of the op, or undefined: then the reference runs where memory is host memory. */
  kernel(opName: string): Kernel | undefined;
  /**
   * How its kernels read packed weights fastest; left out = row-major, as files hold them. Both give the same
   * numbers.
   */
  readonly packedLayout?: 'tiles';
  /** Told each time that a reference runs in place of a kernel. */
  readonly onFallback?: (opName: string) => void;
  /**
   * Opens room for `byteLength` bytes of optimizer state beside a device. Left out where memory is the
   * host's: pages then rest in a file.
   */
  readonly openPageStore?: (byteLength: number) => PageStore;
  /** Called before each op, and before each replay of a recording: it throws to end the work (an abort). */
  readonly beforeCall?: () => void;
  /**
   * Runs each op in the backend's place by calling `run` once: for a profile. On a device `run` enqueues.
   * A backend that measures replays nothing, so that every op is seen.
   */
  readonly measure?: (call: OpCall, run: () => void) => void;
  /** Set by a recording's backend only: adds the call to the recording and runs it. */
  readonly recordCall?: (call: OpCall, run: () => void) => void;
  /** Begins a recording, where the backend can repeat calls faster than they are made (`repeatedCall`). */
  readonly record?: () => Recording;
}

/** Kernel calls that are remembered while they run, so that they can run again without JavaScript. */
export interface Recording extends Disposable {
  /** Ops run here at once, and again at each replay. Their results belong to the recording. */
  readonly backend: Backend;
  /**
   * Runs the calls again, in order, on the same arrays and attributes. The contents of arrays may have
   * changed (ids, positions, segments within the same arrays).
   *
   * @param beforePiece called before each piece of the replay (some tens of calls); it throws to end the work
   * @throws DisposedError if the recording, its backend or an array that it reads is gone
   */
  replay(beforePiece?: () => void): void;
  /**
   * Begins another recording, whose results lie in the same memory: for computations of which one never needs
   * a result of another.
   */
  another(): Recording;
  dispose(): void;
}

/** What `wrapBackend` adds to a backend or puts in place of its parts. */
export type BackendLayer = Partial<Omit<Backend, 'contractVersion' | 'recordCall'>>;

/**
 * The same backend with another layer around it. `beforeCall` and `measure` are added to those that are there
 * (the new layer's first, outside); everything else that the layer names takes the place of the backend's.
 *
 * @example
 * const abortable = wrapBackend(backend, { beforeCall: () => signal.throwIfAborted() });
 */
export function wrapBackend<B extends Backend>(backend: B, layer: BackendLayer): B {
  return {
    ...backend,
    ...layer,
    beforeCall: bothCalls(layer.beforeCall, backend.beforeCall),
    measure: bothMeasures(layer.measure, backend.measure),
  };
}

const bothCalls = (outer: Backend['beforeCall'], inner: Backend['beforeCall']): Backend['beforeCall'] =>
  outer && inner
    ? () => {
        outer();
        inner();
      }
    : (outer ?? inner);

const bothMeasures = (outer: Backend['measure'], inner: Backend['measure']): Backend['measure'] =>
  outer && inner ? (call, run) => outer(call, () => inner(call, run)) : (outer ?? inner);
