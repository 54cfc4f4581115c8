import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  hostData,
  createHostBackend,
  createRng,
  QdyloraError,
  viewOf,
  type ArrayView,
} from '@qdylora/contract';
import { temporaryFolder, withSmallDisk } from '@qdylora/testing/node';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parameterOf } from '../../../test/tiny-model.ts';
import { adamw, type AdamwOptions } from '../adamw.ts';
import type { Optimizer, RowRange } from '../optimizer.ts';
import { float32Layout, layoutBytes } from '../states/state-layout.ts';
import { openPageFile } from './page-file.ts';
import type { PageStore } from '@qdylora/contract';
import { planPages } from './plan-pages.ts';

const SHAPES = [[64, 96], [7, 300], [5], [64, 64], [3, 2, 5]] as const;
const parameters = (seed: number) =>
  SHAPES.map((shape, at) => {
    const rng = createRng(seed).named(`p${at}`);
    const count = shape.reduce((product: number, size) => product * size, 1);
    return parameterOf(
      `p${at}`,
      shape,
      Float32Array.from({ length: count }, (_, i) => rng.normal(i)),
    );
  });
const totalBytes = parameters(1).reduce((sum, parameter) => {
  const layout = float32Layout(['m', 'v'])(parameter);
  return sum + layoutBytes(layout, layout.rows);
}, 0);

interface Run {
  readonly seed: number;
  readonly bits: 8 | 32;
  readonly updates: readonly (readonly RowRange[] | null)[];
}

/** Some updates with gradients by seed: the weights and the whole state afterwards. */
function afterUpdates({ seed, bits, updates }: Run, paging: AdamwOptions['paging']) {
  const own = parameters(seed);
  const optimizer: Optimizer = adamw(own, { learningRate: 0.1, weightDecay: 0.1, bits, paging });
  optimizer.prepare(createHostBackend({ poison: true }));
  updates.forEach((rows, step) => {
    for (const { name, gradient } of own) {
      const rng = createRng(seed).named(`${name} ${step}`);
      hostData(gradient!).forEach((_, i, data) => {
        data[i] = rng.normal(i);
      });
    }
    optimizer.step({ learningRate: 0.1, gradientScale: 0.5, rows });
  });
  const state = new Map([...optimizer.state().arrays].map(([name, array]) => [name, array.peek()!.slice()]));
  const ledger = optimizer.ledger();
  optimizer.dispose();
  return { weights: own.map(({ view }) => hostData(view)), state, ledger };
}

const anyUpdates = fc.array(
  fc.option(
    fc
      .tuple(fc.integer({ min: 0, max: 64 }), fc.integer({ min: 0, max: 64 }))
      .map(([a, b]) => [[Math.min(a, b), Math.max(a, b)] as RowRange]),
    { nil: null },
  ),
  { minLength: 1, maxLength: 4 },
);

describe('a paged optimizer', () => {
  it('computes what an unpaged one does, bit for bit, under any budget and any rows', () => {
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.integer({ min: 0, max: 99 }),
          bits: fc.constantFrom(8 as const, 32 as const),
          updates: anyUpdates,
        }),
        fc.integer({ min: 3000, max: totalBytes }),
        fc.boolean(),
        (run, bytes, isDoubleBuffered) => {
          const budgetBytes = isDoubleBuffered ? 2 * bytes : bytes;
          const plain = afterUpdates(run, undefined);
          const paged = afterUpdates(run, { budgetBytes, isDoubleBuffered, folder: temporaryFolder() });
          expect(paged.weights).toEqual(plain.weights);
          expect(paged.state).toEqual(plain.state);
          expect(paged.ledger.residentBytes).toBeLessThanOrEqual(budgetBytes);
          if (paged.ledger.pagedBytes > 0)
            expect(paged.ledger.pagedBytes).toBeLessThanOrEqual(plain.ledger.residentBytes);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('rests wherever it is told to, with the same bits', () => {
    const run: Run = { seed: 3, bits: 8, updates: [null, [[0, 9]]] };
    const kept = new Map<number, Uint8Array[]>();
    const copies = (arrays: readonly ArrayView[]): Uint8Array[] =>
      arrays.map((view) => new Uint8Array(hostData(view).slice().buffer));
    const store = (byteLength: number): PageStore => ({
      byteLength,
      dispose: () => {},
      [Symbol.dispose]: () => {},
      write: (offset, arrays) => {
        kept.set(offset, copies(arrays));
        return { wait() {} };
      },
      read: (offset, arrays) => {
        arrays.forEach((view, i) => {
          const own = kept.get(offset)?.[i];
          new Uint8Array(hostData(view).buffer, hostData(view).byteOffset, hostData(view).byteLength).set(
            own ?? new Uint8Array(hostData(view).byteLength),
          );
        });
        return { wait() {} };
      },
    });
    const paged = afterUpdates(run, { budgetBytes: 4096, folder: '/nowhere', open: store });
    const plain = afterUpdates(run, undefined);
    expect([paged.weights, paged.state, kept.size > 3]).toEqual([plain.weights, plain.state, true]);
  });

  it('opens no file where everything fits', () => {
    const folder = join(temporaryFolder(), 'never-made');
    const { ledger } = afterUpdates(
      { seed: 1, bits: 32, updates: [null] },
      { budgetBytes: totalBytes, folder },
    );
    expect(ledger).toEqual({ residentBytes: totalBytes, pagedBytes: 0, pageIns: 0, waitSeconds: 0 });
    expect(() => readdirSync(folder)).toThrow(/ENOENT/);
  });

  it('brings in only pages with rows to train', () => {
    const of = (updates: Run['updates']) =>
      afterUpdates({ seed: 1, bits: 32, updates }, { budgetBytes: 2400, folder: temporaryFolder() }).ledger
        .pageIns;
    const reading = of([]); // what peeking at the state costs
    expect(of([[[0, 1]]]) - reading).toBeLessThan(6);
    expect(of([[[0, 0]]]) - reading).toBe(0);
    expect(of([null]) - reading).toBeGreaterThan(100);
  });
});

describe('a plan of pages', () => {
  it('covers every row once, in order of offsets, within the budget', () => {
    const layouts = parameters(1).map(float32Layout(['m', 'v']));
    fc.assert(
      fc.property(fc.integer({ min: 2400, max: totalBytes }), (budget) => {
        const { pages, residentBytes, pagedBytes, fileBytes } = planPages(layouts, budget);
        const bytes = (page: (typeof pages)[number]) => layoutBytes(layouts[page.owner], page.to - page.from);
        const rows = layouts.map(() => 0);
        let end = 0;
        for (const page of pages) {
          expect(page.from).toBe(rows[page.owner]);
          rows[page.owner] = page.to;
          if (page.offset === null) expect(end).toBe(0);
          else {
            expect(page.offset).toBeGreaterThanOrEqual(end);
            end = page.offset + bytes(page);
          }
        }
        expect(rows).toEqual(layouts.map((layout) => layout.rows));
        expect(
          pages.filter(({ offset }) => offset !== null).reduce((sum, page) => sum + bytes(page), 0),
        ).toBe(pagedBytes);
        expect(residentBytes).toBeLessThanOrEqual(budget);
        expect(end).toBeLessThanOrEqual(fileBytes);
      }),
    );
  });

  it('names the least budget that works, and works with it', () => {
    const layouts = parameters(1).map(float32Layout(['m', 'v']));
    const least = (() => {
      try {
        planPages(layouts, 100);
      } catch (error) {
        return (error as QdyloraError).details.leastBytes as number;
      }
      return 0;
    })();
    expect(() => planPages(layouts, least - 1)).toThrow(
      new RegExp(`at least one page, ${least} bytes \\(got ${least - 1}\\)`),
    );
    expect(planPages(layouts, least).residentBytes).toBe(least);
  });
});

const view = (values: number[]) => viewOf('f32', [values.length], Float32Array.from(values));

describe('a page file', () => {
  it('gives back what was written, over several arrays, and has no name', () => {
    const folder = temporaryFolder();
    const store = openPageFile({ folder, byteLength: 8192 });
    const [a, b] = [view([0, 0, 0]), view([0, 0])];
    expect(readdirSync(folder)).toEqual([]);
    store.read(4096, [a, b]);
    expect([...hostData(a), ...hostData(b)]).toEqual([0, 0, 0, 0, 0]);
    store.write(4096, [view([1, 2, 3]), view([4, 5])]);
    store.read(4096, [b, a]);
    expect([...hostData(b), ...hostData(a)]).toEqual([1, 2, 3, 4, 5]);
    store.dispose();
    expect(() => store.read(0, [a])).toThrow(/disposed/);
  });

  it('leaves nothing where its process is killed', () => {
    const folder = temporaryFolder();
    const script =
      `import { openPageFile } from ` +
      `${JSON.stringify(new URL('./page-file.ts', import.meta.url).href)}; openPageFile({ folder: ` +
      `${JSON.stringify(folder)}, byteLength: 1 << 20 }); process.kill(process.pid, 'SIGKILL');`;
    const { signal, stderr } = spawnSync(
      process.execPath,
      ['--conditions=source', '--import', 'tsx', '--input-type=module', '-e', script],
      { encoding: 'utf8' },
    );
    expect([signal, stderr]).toEqual(['SIGKILL', '']);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('leaves no folder that it had to make, and works without its name', () => {
    const parent = temporaryFolder();
    const store = openPageFile({ folder: join(parent, 'some', 'pages'), byteLength: 8 });
    const view = viewOf('f32', [2], Float32Array.of(1, 2));
    const back = viewOf('f32', [2], new Float32Array(2));
    expect(readdirSync(parent)).toEqual([]);
    store.write(0, [view]);
    store.read(0, [back]);
    expect([...hostData(back)]).toEqual([1, 2]);
    store.dispose();
    expect(() =>
      openPageFile({
        folder: join(parent, 'other', 'pages'),
        byteLength: 8,
        reserve: () => {
          throw Object.assign(new Error('full'), { code: 'ENOSPC' });
        },
      }),
    ).toThrow(/Free some space/);
    expect(readdirSync(parent)).toEqual([]);
  });

  it('says which folder cannot be written', () => {
    const file = join(temporaryFolder(), 'not-a-folder');
    writeFileSync(file, '');
    const noRoom = '1 bytes for optimizer state could not be reserved: ENOTDIR';
    expect(() => openPageFile({ folder: join(file, 'pages'), byteLength: 1 })).toThrow(
      new RegExp(`\\[page_dir\\] .*not-a-folder/pages: ${noRoom}[^]*Make the folder writable`),
    );
  });

  it('on a full disk is an error before anything has changed, whoever reserves', (context) => {
    withSmallDisk(context, (folder) => {
      const own = parameters(1);
      const optimizer = adamw(own, { learningRate: 1, paging: { budgetBytes: 4096, folder } });
      let failure: unknown;
      try {
        optimizer.prepare(createHostBackend());
      } catch (error) {
        failure = error;
      }
      expect(failure).toMatchObject({ code: 'WRITE_FAILED', details: { code: 'ENOSPC' } });
      expect((failure as Error).message).toMatch(
        /Free some space, choose another page_dir, or raise optimizer_memory_budget/,
      );
      expect(own.every(({ needsGradient }) => !needsGradient)).toBe(true);
      expect(readFileSync('/proc/mounts', 'utf8')).toContain(folder);
    });
  });
});
