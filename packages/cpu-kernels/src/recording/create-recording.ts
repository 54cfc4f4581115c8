import {
  createHostMemory,
  DisposedError,
  kernelTable,
  scratchIn,
  type Backend,
  type Memory,
  type Recording,
} from '@qdylora/contract';
import type { NativeFunction, NativeRecord } from '../addon/addon-functions.ts';
import { isList } from '../addon/flatten-arguments.ts';
import { cpuKernels } from '../kernel-table.ts';
import { createLentArrays } from './lent-arrays.ts';
import { functionOf, nativeError, type OpenLevel } from '../addon/open-level.ts';
import { reserveRegions } from '../memory/reserve-regions.ts';

/** Calls of a replay between two questions whether to go on: a layer of a model is about 22. */
const PIECE_CALLS = 32;

export interface RecordingOptions {
  readonly poison?: boolean;
  /** Smallest region of the memory of temporaries, in bytes. */
  readonly regionBytes: number;
  /** @throws DisposedError where the backend is gone */
  assertLive(): void;
}

/** A JavaScript call (an op without a kernel) that ran before the native call of that number. */
interface Between {
  readonly at: number;
  readonly run: () => void;
}

/** Memory of temporaries, which several recordings share. The last one to leave frees it. */
interface SharedMemory {
  readonly arena: Memory;
  isOwnBuffer(buffer: ArrayBufferLike): boolean;
  enter(): void;
  leave(): void;
}

/** Native calls with their arguments, kept so that C++ can repeat them. */
interface NativeProgram {
  /** Passes calls on, and keeps the arrays of their arguments alive: C++ holds their addresses. */
  keeping(call: NativeFunction): NativeFunction;
  /** Runs `body`, whose native calls become part of the program. Returns whether there were any. */
  extend(body: () => void): boolean;
  callCount(): number;
  replay(from: number, to: number): void;
  dispose(): void;
}

/**
 * Records what runs on its backend: the native calls with their arguments, which C++ then repeats in one go,
 * and JavaScript of ops without a kernel in between.
 * A binding's arguments may depend on sizes and attributes only, never on contents: C++ looks at those
 * itself.
 */
export function createRecording(backend: Backend, open: OpenLevel, options: RecordingOptions): Recording {
  return recordingIn(sharedMemory(open, options), backend, open, options);
}

function recordingIn(
  shared: SharedMemory,
  backend: Backend,
  open: OpenLevel,
  options: RecordingOptions,
): Recording {
  options.assertLive();
  shared.enter();
  const program = createProgram(open);
  const between: Between[] = [];
  const lent = createLentArrays(backend.memory, (buffer) => shared.isOwnBuffer(buffer));
  let disposed = false;
  const assertUsable = (): void => {
    if (disposed) throw new DisposedError('recording');
    options.assertLive();
  };
  const dispose = (): void => {
    if (disposed) return;
    disposed = true;
    program.dispose();
    lent.clear();
    shared.leave();
  };
  // The program writes again where released arrays lay: their regions stay until all of it ends.
  const memory: Memory = { ...shared.arena, trim() {}, dispose, [Symbol.dispose]: dispose };
  return {
    backend: recordingBackend(backend, open, { memory, keeping: program.keeping }, (call, run) => {
      assertUsable();
      lent.add(call.inputs);
      lent.add(call.outputs);
      if (!program.extend(run)) between.push({ at: program.callCount(), run });
    }),
    replay(beforePiece) {
      assertUsable();
      lent.assertThere();
      let from = 0;
      for (const { at, run } of between) {
        replayInPieces(program, from, at, beforePiece);
        beforePiece?.();
        run();
        from = at;
      }
      replayInPieces(program, from, program.callCount(), beforePiece);
    },
    another: () => recordingIn(shared, backend, open, options),
    dispose,
    [Symbol.dispose]: dispose,
  };
}

/** The backend that ops are recorded on: the kernels of `backend`, on memory of the recording. */
function recordingBackend(
  { name, level, contractVersion, floatDtypes, packedLayout, onFallback }: Backend,
  open: OpenLevel,
  { memory, keeping }: { readonly memory: Memory; readonly keeping: NativeProgram['keeping'] },
  recordCall: Backend['recordCall'],
): Backend {
  const native = (functionName: string): NativeFunction => keeping(functionOf(open, functionName));
  const kernels = kernelTable(cpuKernels({ native, withScratch: scratchIn(memory) }));
  return {
    name,
    level,
    contractVersion,
    floatDtypes,
    packedLayout,
    onFallback,
    memory,
    kernel: (opName) => kernels.get(opName)?.run,
    recordCall,
  };
}

function sharedMemory(open: OpenLevel, { poison, regionBytes }: RecordingOptions): SharedMemory {
  const regions = reserveRegions(open.addon);
  const buffers = new Set<ArrayBufferLike>();
  const reserve = (bytes: number): ArrayBuffer => {
    const buffer = regions.reserve(bytes);
    buffers.add(buffer);
    return buffer;
  };
  const arena = createHostMemory({ ...regions, reserve, name: 'cpu recording', regionBytes, poison });
  let users = 0;
  return {
    arena,
    isOwnBuffer: (buffer) => buffers.has(buffer),
    enter() {
      users++;
    },
    leave() {
      users--;
      if (users === 0) arena.dispose();
    },
  };
}

function createProgram({ native }: OpenLevel): NativeProgram {
  const program = native.createProgram();
  const arrays = new Set<object>();
  const keepFields = (record: NativeRecord): void => {
    for (const name in record) {
      const value = record[name];
      if (typeof value === 'object') arrays.add(value);
    }
  };
  let calls = 0;
  return {
    keeping:
      (call) =>
      (...parameters) => {
        for (const parameter of parameters)
          if (isList(parameter)) parameter.forEach(keepFields);
          else if (typeof parameter === 'object') arrays.add(parameter);
        return call(...parameters);
      },
    extend(body) {
      const before = calls;
      native.startRecording(program);
      try {
        body();
      } finally {
        calls = native.stopRecording();
      }
      return calls > before;
    },
    callCount: () => calls,
    replay(from, to) {
      try {
        native.replay(program, from, to);
      } catch (cause) {
        throw nativeError('replay', cause);
      }
    },
    dispose() {
      native.dropProgram(program);
      arrays.clear();
    },
  };
}

/** Replays calls from…to, and asks `beforePiece` every PIECE_CALLS calls. */
function replayInPieces(
  program: NativeProgram,
  from: number,
  to: number,
  beforePiece: (() => void) | undefined,
): void {
  const step = beforePiece ? PIECE_CALLS : Infinity;
  for (let at = from; at < to; at += step) {
    beforePiece?.();
    program.replay(at, Math.min(at + step, to));
  }
}
