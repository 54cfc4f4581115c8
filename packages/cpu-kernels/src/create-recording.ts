import { createHostMemory, DisposedError, kernelTable, QdyloraError, type ArrayView, type Backend, type DataOf, type DType, type Recording } from '@qdylora/contract';
import type { NativeFunction } from './addon-functions.ts';
import { cpuKernels } from './kernel-table.ts';
import { functionOf, type OpenLevel } from './open-level.ts';
import { reserveRegions } from './reserve-regions.ts';
import { scratchIn } from './scratch-in.ts';

/** Smallest region of a recording's own memory: a token's temporaries are a few hundred kilobytes. */
const REGION_BYTES = 2 ** 20;

/** What ran as JavaScript (an op without a kernel) before the native call of that number. */
interface Between { readonly at: number; readonly run: () => void }

/**
 * Records what runs on its backend: the native calls with their arguments, which C++ then repeats in one go, and JavaScript of ops without a kernel in between.
 * A binding's arguments may depend on sizes and attributes only, never on contents: C++ looks at those itself.
 */
export function createRecording(backend: Backend, open: OpenLevel, poison?: boolean): Recording {
  const { name, level, contractVersion, packedLayout, onFallback } = backend, { native } = open, regions = reserveRegions(open.addon), ownBuffers = new Set<ArrayBufferLike>();
  const reserve = (bytes: number): ArrayBuffer => {
    const buffer = regions.reserve(bytes);
    ownBuffers.add(buffer);
    return buffer;
  };
  const memory = createHostMemory({ ...regions, reserve, name: 'cpu recording', regionBytes: REGION_BYTES, poison });
  const program = native.createProgram(), between: Between[] = [], lent = new Map<DataOf[DType], ArrayView>(), held = new Set<object>();
  let calls = 0, disposed = false;
  // C++ keeps addresses: whatever crosses the door has to stay alive as long as the program.
  const holding = (call: NativeFunction): NativeFunction => (...parameters) => {
    for (const parameter of parameters) if (typeof parameter === 'object') held.add(parameter);
    return call(...parameters);
  };
  const kernels = kernelTable(cpuKernels({ native: (wanted) => holding(functionOf(open, wanted)), withScratch: scratchIn(memory) }));
  const lend = (views: Readonly<Record<string, ArrayView | undefined>>): void => {
    for (const array in views) {
      const view = views[array];
      if (view && view.data.length > 0 && !ownBuffers.has(view.data.buffer)) lent.set(view.data, view);
    }
  };
  const replayCalls = (from: number, to: number): void => {
    try { native.replay(program, from, to); } catch (cause) { throw new QdyloraError('NATIVE', { where: 'replay', problem: (cause as Error).message, cause }); }
  };
  const dispose = (): void => {
    if (disposed) return;
    disposed = true;
    native.dropProgram(program);
    held.clear();
    lent.clear();
    memory.dispose();
  };
  return {
    backend: {
      name, level, contractVersion, packedLayout, onFallback, memory, kernel: (opName) => kernels.get(opName)?.run,
      aroundCall({ inputs, outputs }, run) {
        lend(inputs);
        lend(outputs);
        const before = calls;
        native.startRecording(program);
        try { run(); } finally { calls = native.stopRecording(); }
        if (calls === before) between.push({ at: calls, run });
      },
    },
    replay() {
      if (disposed) throw new DisposedError('recording');
      for (const view of lent.values()) if (view.data.length === 0 || backend.memory.isReleased?.(view)) throw new DisposedError('array of a recording');
      let from = 0;
      for (const { at, run } of between) {
        replayCalls(from, at);
        run();
        from = at;
      }
      replayCalls(from, calls);
    },
    dispose, [Symbol.dispose]: dispose,
  };
}
