import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { hostData, createHostBackend } from '@qdylora/contract';
import { Parameter } from '@qdylora/tensor';
import { adamw } from '../src/index.ts';

// How much resident memory an optimizer takes besides gradients, in a process of its own: node …
// paged-memory.ts <folder> <budget in bytes, 0: not paged>. Prints growth, states and pages in bytes.
const [folder, budget] = process.argv.slice(2);
const ROWS = 4096;
const COLUMNS = 4096;

/**
 * Anonymous memory, swapped out or not, without JavaScript's heap: pages of Node's own files come and go as
 * the system likes, and the heap grows by megabytes at once.
 */
function residentBytes(): number {
  globalThis.gc!();
  const status = readFileSync('/proc/self/status', 'utf8');
  const field = (name: string): number =>
    1024 * Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
  return field('RssAnon') + field('VmSwap') - process.memoryUsage().heapTotal;
}

/** Buffers that nobody holds are given back by a thread of V8's own. */
async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc!();
    await setTimeout(100);
  }
}

function optimizerOver(
  rows: number,
  budgetBytes: number,
): { step(): void; dispose(): void; residentBytes: number; pagedBytes: number } {
  const backend = createHostBackend();
  const view = backend.memory.allocate('f32', [rows, COLUMNS]);
  backend.memory.persist(view);
  hostData(view).fill(1);
  const parameter = new Parameter('w', view);
  const optimizer = adamw([parameter], {
    learningRate: 1e-3,
    paging: budgetBytes > 0 ? { budgetBytes, folder: folder! } : undefined,
  });
  optimizer.prepare(backend);
  hostData(parameter.gradient!).fill(1);
  return {
    step: () => optimizer.step({ learningRate: 1e-3, gradientScale: 1, rows: null }),
    dispose: () => {
      optimizer.dispose();
      backend.memory.dispose();
    },
    get residentBytes() {
      return optimizer.ledger().residentBytes;
    },
    get pagedBytes() {
      return optimizer.ledger().pagedBytes;
    },
  };
}

// What is loaded and compiled once is there, the compiler's own memory included: as many steps over a
// sixteenth as V8 needs to find them hot.
const small = optimizerOver(ROWS / 16, Number(budget) / 16);
for (let i = 0; i < 6; i++) small.step();
small.dispose();
await settled();
const before = residentBytes();
const large = optimizerOver(ROWS, Number(budget));
large.step();
large.step();
await settled();
const weightsAndGradients = 2 * 4 * ROWS * COLUMNS;
process.stdout.write(
  JSON.stringify({
    grown: residentBytes() - before - weightsAndGradients,
    states: large.residentBytes,
    paged: large.pagedBytes,
  }),
);
