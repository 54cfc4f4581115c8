/**
 * One layer of Falcon-40b's true shapes, of random weights, forward and backward on the CPU, against
 * transformers in float32: loss, logits, and the gradient of every weight.
 *
 *     npm run bench falcon-layer -- --peer-python .venv/bin/python [--tokens 32] [--threads 2]
 *         [--vocabulary 1024]
 *
 * Needs 3 GB of disk in the temporary folder and 7 GB of memory, first for Python, then for this process. The
 * config is that of the paper's model (packages/models/fixtures/families), with one layer and a small
 * vocabulary. Ends with 1 where something is further off than rounding explains.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openCheckpoint } from '@qdylora/checkpoint';
import { hostData, elementCount } from '@qdylora/contract';
import { createCpuBackend } from '@qdylora/cpu-kernels';
import { buildModel, type CausalLm } from '@qdylora/models';
import { backward, inferenceContext, Tape } from '@qdylora/tensor';
import { recordRows } from '@qdylora/testing/bench';

const { values } = parseArgs({
  options: {
    'peer-python': { type: 'string' },
    tokens: { type: 'string', default: '32' },
    threads: { type: 'string', default: '2' },
    vocabulary: { type: 'string', default: '1024' },
  },
});

interface Samples {
  readonly norm: number;
  readonly step: number;
  readonly values: readonly number[];
}
interface Expected {
  readonly transformers: string;
  readonly ids: readonly number[];
  readonly loss: number;
  readonly logits: Samples;
  readonly gradients: Readonly<Record<string, Samples>>;
}

/**
 * Products of up to 32,768 terms in float32 are off by at most about ε·√n = 1.1e-5 of their size; what was
 * measured is a tenth of it.
 * Relative to the whole, as differences of single entries stand beside entries near 0.
 */
const WITHIN = 3e-5;

/**
 * Root of squared differences over root of squares, of the samples; the larger of that and the error of the
 * norm.
 */
function relativeError(got: ArrayLike<number>, { norm, step, values: want }: Samples): number {
  let difference = 0;
  let size = 0;
  let whole = 0;
  want.forEach((value, i) => {
    difference += (got[i * step] - value) ** 2;
    size += value ** 2;
  });
  for (let i = 0; i < got.length; i++) whole += got[i] ** 2;
  return Math.max(Math.sqrt(difference / size), Math.abs(Math.sqrt(whole) / norm - 1));
}

/** Loss, and gradients in `parameter.gradient`. */
function forwardAndBackward(
  model: CausalLm,
  ids: readonly number[],
): { readonly loss: number; readonly logits: Float32Array } {
  const { backend } = model;
  const { memory } = backend;
  const count = ids.length;
  const targets = Int32Array.from(ids, (_, t) => (t + 1 < count ? ids[t + 1] : -100));
  const batch = {
    ids: Int32Array.from(ids),
    targets,
    positions: Int32Array.from(ids, (_, t) => t),
    segments: Int32Array.of(0, count),
  };
  const logits = memory.scoped(() =>
    (hostData(model.logits(inferenceContext(backend), batch).view) as Float32Array).slice(),
  );
  for (const parameter of model.parameters()) {
    parameter.makeTrainable(memory);
    hostData(parameter.gradient!).fill(0);
  }
  const loss = memory.scoped(() => {
    const tape = new Tape(backend);
    const root = model.loss({ ...inferenceContext(backend), tape, recompute: true }, batch, {
      lossScale: 1 / (count - 1),
    }).loss;
    const mean = hostData(root.view)[0];
    backward(tape, root);
    return mean;
  });
  return { loss, logits };
}

const python = values['peer-python'];
const folder = mkdtempSync(join(tmpdir(), 'qdylora-falcon-'));
try {
  if (!python) throw new Error('name a Python with torch and transformers: --peer-python .venv/bin/python');
  const { models } = JSON.parse(
    readFileSync(
      fileURLToPath(new URL('../packages/models/fixtures/families/paper-models.json', import.meta.url)),
      'utf8',
    ),
  ) as { models: Record<string, { config: Record<string, unknown> }> };
  const {
    torch_dtype: _,
    architectures: __,
    ...config
  } = {
    ...models['falcon-40b'].config,
    num_hidden_layers: 1,
    vocab_size: Number(values.vocabulary),
  } as Record<string, unknown>;
  execFileSync(
    python,
    [
      fileURLToPath(new URL('peers/falcon-layer.py', import.meta.url)),
      '--config',
      JSON.stringify(config),
      '--tokens',
      values.tokens,
      '--threads',
      values.threads,
      '--out',
      folder,
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Expected;

  using backend = await createCpuBackend({ numThreads: Number(values.threads) });
  using checkpoint = await openCheckpoint(folder);
  const model = await buildModel(checkpoint, { backend, quantization: { kind: 'none' }, trainable: true });
  const start = performance.now();
  const { loss, logits } = forwardAndBackward(model, expected.ids);
  console.log(
    `transformers ${expected.transformers} against ${backend.level}: ` +
      `${model.parameterCount.toLocaleString('en-US')} parameters, ${expected.ids.length} tokens, forward ` +
      `twice and backward in ${((performance.now() - start) / 1000).toFixed(1)} s`,
  );
  const gradients = new Map(model.parameters().map(({ name, gradient }) => [name, gradient!]));
  const missing = Object.keys(expected.gradients).filter((name) => !gradients.has(name));
  const rows: [string, number][] = [
    ['loss', Math.abs(loss / expected.loss - 1)],
    ['logits', relativeError(logits, expected.logits)],
  ];
  for (const [name, samples] of Object.entries(expected.gradients))
    if (gradients.has(name))
      rows.push([
        `gradient of ${name}, ${elementCount(gradients.get(name)!.shape).toLocaleString('en-US')} entries`,
        relativeError(hostData(gradients.get(name)!), samples),
      ]);
  for (const [name, error] of rows) console.log(`${error.toExponential(1)}  ${name}`);
  const worst = Math.max(...rows.map(([, error]) => error));
  recordRows(rows.map(([name, error]) => ({ 'relative error of': name, error })));
  console.log(
    missing.length > 0
      ? `no gradient for ${missing.join(', ')}`
      : `the worst is off by ${worst.toExponential(1)}, allowed are ${WITHIN.toExponential(0)}`,
  );
  if (missing.length > 0 || !(worst <= WITHIN)) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
