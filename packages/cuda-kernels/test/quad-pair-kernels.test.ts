import { linear, linearInputGradient, linearWeightGradient } from '@qdylora/tensor';
import { checkKernel, magnitudeBound, normalHalfView, normalView } from '@qdylora/testing';
import { describe, expect, test } from 'vitest';
import { openCubins } from '../src/index.ts';
import { attentionCalls } from './attention-calls.ts';
import { createEmulatedBackend } from './emulated-backend.ts';
import { openEmulator } from './emulator.ts';
import type { SmallCall } from './small-calls.ts';

// The kernels that use mma.m8n8k4: products and attention in float16 on sm_70.

const emulator = await openEmulator();
const cubins = await openCubins();
const ptxOf = (source: string): string => Buffer.from(cubins.image(source, 'compute_70')).toString('utf8');

const check = ({ op, call }: SmallCall, change: (ptx: string) => string): Promise<void> =>
  checkKernel(
    op,
    [
      {
        label: 'compute_70',
        backends: [createEmulatedBackend({ emulator: emulator!, ptxOf: (source) => change(ptxOf(source)) })],
      },
    ],
    call,
  );

const half = (name: string, shape: readonly number[]) => normalHalfView('f16', 1, name, shape);
const f16 = { computeDtype: 'f16' } as const;
const [ROWS, COLUMNS, DEPTH] = [21, 19, 37]; // no multiples of what an instruction or a tile has

/** Each form of a product, and the layouts of its factors. */
function productCalls(): readonly (readonly [string, SmallCall])[] {
  const forward = { x: half('x', [ROWS, DEPTH]), weight: half('w', [COLUMNS, DEPTH]) };
  const backward = { dy: half('dy', [ROWS, DEPTH]), weight: half('w', [DEPTH, COLUMNS]) };
  const gradient = { dy: half('dy', [DEPTH, ROWS]), x: half('x', [DEPTH, COLUMNS]) };
  const suppliedOutputs = { dWeight: normalView(1, 'dw', [ROWS, COLUMNS]) };
  const once = { ...f16, accumulate: false };
  const terms = DEPTH + 4;
  const callOf = (op: unknown, call: object): SmallCall => ({ op, call }) as SmallCall;
  return [
    [
      'row.col',
      callOf(linear, {
        inputs: forward,
        attributes: f16,
        bound: magnitudeBound(linear, { inputs: forward, attributes: f16 }, terms),
      }),
    ],
    [
      'row.row',
      callOf(linearInputGradient, {
        inputs: backward,
        attributes: once,
        bound: magnitudeBound(linearInputGradient, { inputs: backward, attributes: once }, terms),
      }),
    ],
    [
      'col.row',
      callOf(linearWeightGradient, {
        inputs: gradient,
        attributes: f16,
        suppliedOutputs,
        bound: magnitudeBound(
          linearWeightGradient,
          { inputs: gradient, attributes: f16, suppliedOutputs },
          terms,
        ),
      }),
    ],
  ];
}

const instruction = (layouts: string): string => `mma.sync.aligned.m8n8k4.${layouts}.f32`;
const LAYOUTS = ['row.col', 'row.row', 'col.col', 'col.row'];

describe.skipIf(!emulator)('kernels of sm_70', () => {
  test('multiply float16 by tensor cores, and bfloat16 and float32 by multiply-adds', () => {
    for (const source of ['linear', 'causal-attention.tensor']) {
      const entries = ptxOf(source).split('.visible .entry ').slice(1);
      expect(entries.length).toBeGreaterThan(10);
      for (const entry of entries) {
        const name = /^\w+/.exec(entry)![0];
        expect(entry.includes('m8n8k4'), name).toBe(name.endsWith('F16'));
      }
    }
  });

  test('give the products of every form, and others where a factor has another layout', async () => {
    for (const [layouts, one] of productCalls()) {
      await check(one, (ptx) => ptx);
      for (const other of LAYOUTS.filter((name) => name !== layouts))
        await expect(
          check(one, (ptx) => ptx.replaceAll(instruction(layouts), instruction(other))),
          `${layouts} as ${other}`,
        ).rejects.toThrow(/compute_70/);
    }
  });

  test('give attention, and another one where a layout differs or lanes exchange nothing', async () => {
    const calls = attentionCalls({ queries: 21, keys: 21, headDim: 32, computeDtype: 'f16' });
    const exchange = /shfl\.sync\.bfly\.b32\s+(%r\d+)\|%p\d+, (%r\d+),[^;]+;/g;
    for (const one of calls) {
      await check(one, (ptx) => ptx);
      await expect(
        check(one, (ptx) => ptx.replaceAll(exchange, 'mov.b32 $1, $2;')),
        `${one.op.name}, without shuffles`,
      ).rejects.toThrow(/compute_70/);
      for (const layouts of ['row.col', 'row.row'])
        await expect(
          check(one, (ptx) => ptx.replaceAll(instruction(layouts), instruction('col.row'))),
          `${one.op.name}, ${layouts}`,
        ).rejects.toThrow(/compute_70/);
    }
  });
});
