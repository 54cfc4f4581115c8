import { readFileSync } from 'node:fs';
import { checkKernel } from '@qdylora/testing';
import { expect, test } from 'vitest';
import { openCubins } from '../src/index.ts';
import { tileCalls } from './attention-calls.ts';
import { createEmulatedBackend } from './emulated-backend.ts';
import { openEmulator } from './emulator.ts';
import { mutantsOf } from './mutants-of.ts';
import { deepCalls, edgeCalls, halvedCall, smallCalls, wideCalls, type SmallCall } from './small-calls.ts';

/** QDYLORA_DEEP=1: the bounds of all kernels too; prints what was caught, for mutants.tsv. */
const isDeep = process.env.QDYLORA_DEEP === '1';
const emulator = await openEmulator();
const cubins = await openCubins();
const ptxOf = (source: string): string => Buffer.from(cubins.image(source, 'compute_80')).toString('utf8');

/** Ends a mutant that never ends by itself; the calls run a tenth of that. */
const MOST_INSTRUCTIONS = 3e6;

/** The sources, with the ops that run their kernels. */
const SOURCES: Readonly<Record<string, readonly string[]>> = {
  activation: ['activation', 'activation-backward'],
  'activation-gate': ['activation-gate', 'activation-gate-backward'],
  'adamw-8bit-step': ['adamw-8bit-step'],
  'adamw-step': ['adamw-step'],
  'adapted-linear': ['adapted-linear', 'adapted-linear-backward'],
  add: ['add', 'add-into'],
  'append-rows': ['append-rows'],
  'causal-attention': ['causal-attention'],
  'causal-attention.backward': ['causal-attention-backward'],
  'causal-attention.tensor': ['causal-attention', 'causal-attention-backward'],
  copy: ['copy'],
  'dequantize-blockwise': ['dequantize-blockwise'],
  'dequantize-ggml': ['dequantize-ggml'],
  dropout: ['dropout'],
  embedding: ['embedding', 'embedding-backward'],
  fill: ['fill'],
  'layer-norm': ['layer-norm', 'layer-norm-backward'],
  // the second pair of factors of a product is the adapter's
  linear: [
    'linear',
    'linear-input-gradient',
    'linear-weight-gradient',
    'adapted-linear',
    'adapted-linear-backward',
  ],
  'linear-argmax': ['linear-argmax'],
  'linear-cross-entropy': ['linear-cross-entropy'],
  'linear-cross-entropy-top-k': ['linear-cross-entropy-top-k'],
  'linear-distillation': ['linear-distillation'],
  'lion-8bit-step': ['lion-8bit-step'],
  'lion-step': ['lion-step'],
  'matmul-nf4': ['matmul-nf4'],
  'quantize-blockwise': ['quantize-blockwise'],
  'quantize-rows': ['quantize-rows'],
  'quantize-scales': ['quantize-scales'],
  'rms-norm': ['rms-norm', 'residual-norm', 'rms-norm-backward'],
  rope: ['rope', 'rope-table'],
  'scale-by': ['scale-by'],
  'soft-cap': ['soft-cap', 'soft-cap-backward'],
  'split-columns': ['split-columns', 'join-columns'],
  'sum-of-squares': ['sum-of-squares'],
};
/** A choice of those with barriers, whose small calls notice each of them. The deep run has all. */
const WITH_BARRIERS = ['adamw-8bit-step', 'dequantize-blockwise', 'quantize-rows', 'rms-norm'];
/** The same templates as their small tiles, in calls that are too large for this test. */
const NOT_CALLED = /^largeProduct/;

/**
 * Mutants that change nothing. The second pair of factors of a product is the adapter's: float32, which is
 * never copied by `cp.async`.
 */
const HARMLESS: Readonly<Record<string, readonly string[]>> = {
  linear: ['wait productNtBf16: cp.async.wait_group 1;', 'wait productNtF16: cp.async.wait_group 1;'],
};

/**
 * Source → survivors that no call could show, from mutants.tsv: lines of source, mutants, caught, explained
 * survivors, and why they survive.
 */
const EXPLAINED = new Map(
  readFileSync(new URL('mutants.tsv', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'))
    .map(([source, , , explained]) => [source, Number(explained)] as const),
);
/** Of the mutants that are not explained. */
const LEAST_SHARE = 0.95;

/** Calls of each case that may be tried, and of each kernel that are. */
const CALLS_OF_CASE = 12;
const CALLS_OF_KERNEL = 20;

/** The first thing that is wrong with the PTX, or null where all calls pass. */
async function problemOf(
  source: string,
  ptx: string,
  calls: readonly SmallCall[],
  onLaunch?: (kernel: string) => void,
): Promise<string | null> {
  const backends = [false, true].map((isSkewed) =>
    createEmulatedBackend({
      emulator: emulator!,
      ptxOf: (name) => (name === source ? ptx : ptxOf(name)),
      seed: 11,
      isSkewed,
      mostInstructions: MOST_INSTRUCTIONS,
      onLaunch,
    }),
  );
  try {
    for (const { op, call } of calls) await checkKernel(op, [{ label: source, backends }], call);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Kernel → a few calls that launch it, all of which pass on the PTX as it is. */
async function callsOfKernels(source: string): Promise<ReadonlyMap<string, readonly SmallCall[]>> {
  const ops = SOURCES[source];
  const plain = [
    ...deepCalls(ops, CALLS_OF_CASE),
    ...wideCalls(ops, 3),
    ...edgeCalls(ops, 2),
    ...smallCalls(ops, CALLS_OF_CASE),
    ...smallCalls(ops, CALLS_OF_CASE, { half: 'f16' }),
    ...(source.endsWith('.tensor') ? (['bf16', 'f16'] as const) : (['f32'] as const))
      .flatMap(tileCalls)
      .filter(({ op }) => ops.includes(op.name)),
  ];
  const calls = plain.flatMap((call) =>
    call.op.halves?.length ? [call, halvedCall(call, 'bf16'), halvedCall(call, 'f16')] : [call],
  );
  const byKernel = new Map<string, SmallCall[]>();
  for (const call of calls) {
    const launched = new Set<string>();
    const problem = await problemOf(source, ptxOf(source), [call], (kernel) => launched.add(kernel));
    expect(problem).toBe(null);
    for (const kernel of launched) byKernel.set(kernel, [...(byKernel.get(kernel) ?? []), call]);
  }
  return new Map([...byKernel].map(([kernel, list]) => [kernel, ofEachOp(list)]));
}

/** Some calls of a kernel: the first of each op, then the second of each. */
function ofEachOp(calls: readonly SmallCall[]): SmallCall[] {
  const places = new Map<string, number>();
  const ordered = calls.map((call) => {
    const place = places.get(call.op.name) ?? 0;
    places.set(call.op.name, place + 1);
    return { call, place };
  });
  ordered.sort((first, second) => first.place - second.place);
  return ordered.slice(0, CALLS_OF_KERNEL).map(({ call }) => call);
}

test.skipIf(!emulator).each(isDeep ? Object.keys(SOURCES) : WITH_BARRIERS)(
  'every barrier, mask and wait that is taken from %s is caught',
  async (source) => {
    const calls = await callsOfKernels(source);
    const survivors: string[] = [];
    const counts: Record<string, { caught: number; all: number }> = {};
    for (const { kind, kernel, instruction, ptx } of mutantsOf(ptxOf(source))) {
      if ((kind === 'bound' && !isDeep) || NOT_CALLED.test(kernel)) continue;
      const count = (counts[kind] ??= { caught: 0, all: 0 });
      count.all++;
      if (await problemOf(source, ptx(), calls.get(kernel) ?? [])) count.caught++;
      else survivors.push(`${kind} ${kernel}: ${instruction}`);
    }
    if (isDeep) console.log(source, counts, survivors);
    const unexplained = survivors.filter((survivor) => !survivor.startsWith('bound'));
    for (const harmless of HARMLESS[source] ?? []) {
      const place = unexplained.indexOf(harmless);
      if (place >= 0) unexplained.splice(place, 1);
    }
    expect(unexplained).toEqual([]);
    const explained = EXPLAINED.get(source);
    if (!isDeep || explained === undefined) return;
    const all = Object.values(counts).reduce((sum, count) => sum + count.all, 0);
    expect(survivors.length - explained, survivors.join('\n')).toBeLessThanOrEqual((1 - LEAST_SHARE) * all);
  },
);
