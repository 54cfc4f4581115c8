/**
 * How far every family is from transformers: worst absolute and relative error of logits, loss and gradients
 * over the tiny checkpoints of packages/models/fixtures.
 *
 *     npm run bench parity                      # pure TypeScript, and the kernels of this processor in f32
 *     npm run bench parity -- --level avx2      # another level of the kernels
 *
 * `logits`: largest |got − expected|, and that over the largest |expected|. `gradients`: largest difference
 * of a weight's gradient over its own largest entry.
 * `of tolerance`: the largest of a family's errors over what the manifest allows for that case; above 1 the
 * command fails.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openCheckpoint } from '@qdylora/checkpoint';
import { createHostBackend, type Backend } from '@qdylora/contract';
import { createCpuBackend } from '@qdylora/cpu-kernels';
import { buildModel, FAMILIES } from '@qdylora/models';
import {
  goldenTokens,
  gradientsOf,
  logitsOf,
  modelCases,
  worstGradientError,
  worstLogitError,
  type ModelCase,
} from '@qdylora/testing';
import { recordRows } from '@qdylora/testing/bench';

const { values } = parseArgs({ options: { level: { type: 'string' } } });
const FOLDER = fileURLToPath(new URL('../packages/models/fixtures/', import.meta.url));
const CASES = modelCases((file) => readFileSync(`${FOLDER}${file}`));

interface Errors {
  readonly logits: number;
  readonly relative: number;
  readonly loss: number;
  readonly gradients: number;
  readonly ofTolerance: number;
}

async function errorsOf(
  { name, isPacked, tolerance, tensors }: ModelCase,
  backend: Backend,
): Promise<Errors> {
  const expected = tensors();
  const { rows, ...tokens } = goldenTokens(expected);
  const build = async (trainable: boolean) => {
    using checkpoint = await openCheckpoint(`${FOLDER}${name}`);
    return await buildModel(checkpoint, { backend, quantization: { kind: 'none' }, trainable });
  };
  const logits = worstLogitError(logitsOf(await build(false), tokens), expected, rows);
  const largest = expected
    .get('logits_f64')!
    .f64()
    .reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const back = isPacked ? null : gradientsOf(await build(true), tokens, { recompute: false });
  const loss = back ? Math.abs(back.loss - expected.get('loss_f64')!.f64()[0]) : 0;
  const gradients = back ? worstGradientError(back.gradients, expected).error : 0;
  return {
    logits,
    relative: logits / largest,
    loss,
    gradients,
    ofTolerance: Math.max(
      logits / tolerance.logits,
      loss / tolerance.loss,
      back ? gradients / tolerance.gradient : 0,
    ),
  };
}

async function report(label: string, createBackend: () => Backend | Promise<Backend>): Promise<boolean> {
  const number = (x: number): string => x.toExponential(1).padStart(9);
  console.log(
    `\n${label}\n${'family'.padEnd(14)}cases    logits  relative      loss  gradients  of tolerance`,
  );
  let isWithin = true;
  for (const modelType of FAMILIES.keys()) {
    const errors: Errors[] = [];
    for (const own of CASES.filter((one) => one.modelType === modelType))
      errors.push(await errorsOf(own, await createBackend()));
    const worst = (key: keyof Errors): number => Math.max(...errors.map((error) => error[key]));
    const columns = (['logits', 'relative', 'loss', 'gradients'] as const).map((key) => number(worst(key)));
    console.log(
      `${modelType.padEnd(14)}${String(errors.length).padStart(5)} ${columns.join(' ')} ` +
        worst('ofTolerance').toFixed(2).padStart(13),
    );
    recordRows([
      {
        backend: label,
        family: modelType,
        cases: errors.length,
        logits: worst('logits'),
        'logits, relative': worst('relative'),
        loss: worst('loss'),
        'gradients, relative': worst('gradients'),
        'of tolerance': worst('ofTolerance'),
      },
    ]);
    isWithin &&= worst('ofTolerance') <= 1;
  }
  return isWithin;
}

const host = await report('pure TypeScript (float64 inside ops)', createHostBackend);
const withoutKernel = new Set<string>();
const cpu = await createCpuBackend({
  numThreads: 2,
  level: values.level,
  onFallback: (op) => withoutKernel.add(op),
});
const kernels = await report(`kernels, ${cpu.level}, f32`, () => cpu);
console.log(`\nops without a kernel: ${[...withoutKernel].join(', ') || 'none'}`);
process.exitCode = host && kernels && withoutKernel.size === 0 ? 0 : 1;
