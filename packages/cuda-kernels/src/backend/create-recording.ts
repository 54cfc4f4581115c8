import {
  DisposedError,
  kernelTable,
  scratchIn,
  type Arrays,
  type ArrayView,
  type Backend,
  type Memory,
  type Recording,
  type Storage,
} from '@qdylora/contract';
import type { CudaDoor } from '../launch/launch.ts';
import type { Handle } from '../addon/addon-functions.ts';
import { ignoringFailures, type DeviceContext } from '../driver/device-context.ts';
import { cudaKernels } from '../kernel-table.ts';
import type { Launcher } from '../launch/launcher.ts';
import type { OpenLibrary } from '../products/open-library.ts';

export interface RecordingParts {
  readonly context: DeviceContext;
  readonly launcher: Launcher;
  /** cuBLASLt, where it is used. */
  readonly library: OpenLibrary | null;
  /** The backend's recordings, which end with it. */
  readonly recordings: Set<Disposable>;
  /** A memory for temporaries. */
  createMemory(): Memory;
  /** @throws DisposedError where the backend is gone */
  assertLive(): void;
}

/** Other threads of this process may call the driver meanwhile. */
const CAPTURE_MODE_THREAD_LOCAL = 1;

/**
 * Records the launches of ops on its backend, and replays them as one graph. The graph is made at the first
 * replay, from the launches as they were.
 */
export const createRecording = (backend: Backend, parts: RecordingParts): Recording =>
  recordingIn(sharedMemory(parts.createMemory()), backend, parts);

/** Memory of temporaries, which several recordings share. The last one to leave frees it. */
interface SharedMemory {
  readonly memory: Memory;
  /** True for an array of this memory, and for a part of one. */
  isOwn(view: ArrayView): boolean;
  enter(): void;
  leave(): void;
}

function sharedMemory(memory: Memory): SharedMemory {
  const storages = new WeakSet<Storage>();
  let users = 0;
  return {
    memory: {
      ...memory,
      allocate(dtype, shape) {
        const view = memory.allocate(dtype, shape);
        storages.add(view.storage);
        return view;
      },
    },
    isOwn: ({ storage }) => storages.has(storage),
    enter() {
      users++;
    },
    leave() {
      users--;
      if (users === 0) memory.dispose();
    },
  };
}

function recordingIn(shared: SharedMemory, backend: Backend, parts: RecordingParts): Recording {
  parts.assertLive();
  const launches: (() => void)[] = [];
  const lent = new Map<Storage, ArrayView>();
  let graph: Handle | undefined;
  let isDisposed = false;
  const assertUsable = (): void => {
    if (isDisposed) throw new DisposedError('recording');
    parts.assertLive();
  };
  const dropGraph = (): void => {
    if (graph !== undefined) parts.context.driver.cuGraphExecDestroy(graph);
    graph = undefined;
  };
  const lend = (arrays: Arrays): void => {
    for (const view of Object.values(arrays)) if (view && !shared.isOwn(view)) lent.set(view.storage, view);
  };
  const dispose = (): void => {
    if (isDisposed) return;
    isDisposed = true;
    parts.recordings.delete(recording);
    ignoringFailures(dropGraph);
    lent.clear();
    shared.leave();
  };
  // The graph writes again where released arrays were: their regions stay until all of it ends.
  const memory: Memory = { ...shared.memory, trim() {}, dispose, [Symbol.dispose]: dispose };
  const recording: Recording = {
    backend: recordingBackend(backend, { memory, launches, parts }, (call, run) => {
      assertUsable();
      dropGraph();
      lend(call.inputs);
      lend(call.outputs);
      run();
    }),
    replay(beforePiece) {
      assertUsable();
      for (const view of lent.values())
        if (backend.memory.isReleased?.(view)) throw new DisposedError('array of a recording');
      beforePiece?.();
      if (launches.length === 0) return;
      graph ??= createGraph(parts, launches);
      parts.context.driver.cuGraphLaunch(graph, parts.context.stream);
    },
    another: () => recordingIn(shared, backend, parts),
    dispose,
    [Symbol.dispose]: dispose,
  };
  shared.enter();
  parts.recordings.add(recording);
  return recording;
}

/** The backend that ops are recorded on: the same kernels, on memory of the recording. */
function recordingBackend(
  { name, level, contractVersion, floatDtypes, memory: outer }: Backend,
  {
    memory,
    launches,
    parts: { launcher, library },
  }: { readonly memory: Memory; readonly launches: (() => void)[]; readonly parts: RecordingParts },
  recordCall: Backend['recordCall'],
): Backend {
  const door: CudaDoor = {
    launch(launch) {
      const kept = launcher.launchAndKeep(launch);
      launches.push(() => launcher.launchAgain(kept));
    },
    withScratch: scratchIn(memory),
    library: library?.recorded((enqueueAgain) => launches.push(enqueueAgain)),
  };
  const kernels = kernelTable(cudaKernels(door));
  return {
    name,
    level,
    contractVersion,
    floatDtypes,
    // constants outlive the recording, and a replay must find them written
    memory: { ...memory, constant: outer.constant },
    kernel: (opName) => kernels.get(opName)?.run,
    recordCall,
  };
}

/** Captures the launches on the stream, which runs none of them meanwhile. @returns the graph to launch */
function createGraph({ context }: RecordingParts, launches: readonly (() => void)[]): Handle {
  const { driver, stream } = context;
  driver.cuStreamBeginCapture(stream, CAPTURE_MODE_THREAD_LOCAL);
  let captured: Handle | undefined;
  try {
    for (const launchAgain of launches) launchAgain();
    captured = driver.cuStreamEndCapture(stream);
    return driver.cuGraphInstantiate(captured, 0);
  } catch (error) {
    // a capture must end, also one that failed
    if (captured === undefined)
      ignoringFailures(() => {
        captured = driver.cuStreamEndCapture(stream);
      });
    throw error;
  } finally {
    const graph = captured;
    if (graph !== undefined)
      ignoringFailures(() => {
        driver.cuGraphDestroy(graph);
      });
  }
}
