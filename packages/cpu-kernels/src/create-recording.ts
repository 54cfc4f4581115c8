import {
  createHostMemory,
  DisposedError,
  kernelTable,
  type Backend,
  type Memory,
  type Recording,
} from '@qdylora/contract';
import type { NativeFunction } from './addon-functions.ts';
import { isList } from './flatten-arguments.ts';
import { cpuKernels } from './kernel-table.ts';
import { createLentArrays } from './lent-arrays.ts';
import { functionOf, nativeError, type OpenLevel } from './open-level.ts';
import { reserveRegions } from './reserve-regions.ts';
import { scratchIn } from './scratch-in.ts';

/** Calls of a replay between two questions whether to go on: a layer of a model is about 22. */
const PIECE_CALLS = 32;

/** Smallest region of a recording's own memory: a token's temporaries are a few hundred kilobytes. */
const REGION_BYTES = 2 ** 20;

export interface RecordingOptions {
  readonly poison?: boolean;
  /** @throws DisposedError where the backend is gone */
  assertLive(): void;
}

/** What ran as JavaScript (an op without a kernel) before the native call of that number. */
interface Between {
  readonly at: number;
  readonly run: () => void;
}

/**
 * Records what runs on its backend: the native calls with their arguments, which C++ then repeats in one go,
 * and JavaScript of ops without a kernel in between.
 * A binding's arguments may depend on sizes and attributes only, never on contents: C++ looks at those
 * itself.
 */
export function createRecording(
  backend: Backend,
  open: OpenLevel,
  { poison, assertLive }: RecordingOptions,
): Recording {
  assertLive();
  const { name, level, contractVersion, packedLayout, onFallback } = backend;
  const { native } = open;
  const regions = reserveRegions(open.addon);
  const ownBuffers = new Set<ArrayBufferLike>();
  const reserve = (bytes: number): ArrayBuffer => {
    const buffer = regions.reserve(bytes);
    ownBuffers.add(buffer);
    return buffer;
  };
  const arena = createHostMemory({
    ...regions,
    reserve,
    name: 'cpu recording',
    regionBytes: REGION_BYTES,
    poison,
  });
  const program = native.createProgram();
  const between: Between[] = [];
  const lent = createLentArrays(backend.memory, (buffer) => ownBuffers.has(buffer));
  const held = new Set<object>();
  let calls = 0;
  let disposed = false;
  const assertUsable = (): void => {
    if (disposed) throw new DisposedError('recording');
    assertLive();
  };
  const dispose = (): void => {
    if (disposed) return;
    disposed = true;
    native.dropProgram(program);
    held.clear();
    lent.clear();
    arena.dispose();
  };
  // The program writes again where arrays lay that nobody holds any more: their regions stay until all of it
  // ends.
  const memory: Memory = { ...arena, trim() {}, dispose, [Symbol.dispose]: dispose };
  // C++ keeps addresses: whatever crosses the door has to stay alive as long as the program.
  const holding =
    (call: NativeFunction): NativeFunction =>
    (...parameters) => {
      for (const parameter of parameters) {
        const arrays = isList(parameter) ? parameter.flatMap((record) => Object.values(record)) : [parameter];
        for (const array of arrays) if (typeof array === 'object') held.add(array);
      }
      return call(...parameters);
    };
  const kernels = kernelTable(
    cpuKernels({ native: (wanted) => holding(functionOf(open, wanted)), withScratch: scratchIn(memory) }),
  );
  const replayCalls = (from: number, to: number): void => {
    try {
      native.replay(program, from, to);
    } catch (cause) {
      throw nativeError('replay', cause);
    }
  };
  return {
    backend: {
      name,
      level,
      contractVersion,
      packedLayout,
      onFallback,
      memory,
      kernel: (opName) => kernels.get(opName)?.run,
      recordCall({ inputs, outputs }, run) {
        assertUsable();
        lent.add(inputs);
        lent.add(outputs);
        const before = calls;
        native.startRecording(program);
        try {
          run();
        } finally {
          calls = native.stopRecording();
        }
        if (calls === before) between.push({ at: calls, run });
      },
    },
    replay(beforePiece) {
      assertUsable();
      lent.assertThere();
      const replayPieces = (from: number, to: number): void => {
        const step = beforePiece ? PIECE_CALLS : Infinity;
        for (let at = from; at < to; at += step) {
          beforePiece?.();
          replayCalls(at, Math.min(at + step, to));
        }
      };
      let from = 0;
      for (const { at, run } of between) {
        replayPieces(from, at);
        beforePiece?.();
        run();
        from = at;
      }
      replayPieces(from, calls);
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}
