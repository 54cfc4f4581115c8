import { hostData } from '@qdylora/contract';
/**
 * What the trainer's promises cost, against a plain QLoRA step (r = 64, all linear layers, NF4 with double
 * quantization) of the same model in the same run.
 *
 *     npx tsx --conditions=source bench/trainer-costs.bench.ts --model ../smollm2 [--only
 *     ranks|states|paging|save|events] [--steps 7] [--micro-batch 4] [--seq 256] [--threads 2] [--all]
 *     [--each-rank] [--modes regexp] [--scratch folder]
 *
 * ranks: every way to draw ranks (`--all`: also schedule `all`; `--each-rank`: each rank by itself, and the
 * mean over the draws of each distribution instead of them; `--modes`: those whose names fit), the same
 * tokens in turn, step by step; states: AdamW with 8-bit states against 32-bit ones; paging: half of the
 * states on pages; save: a checkpoint against its own bytes in one file with one fsync; events: log,
 * TensorBoard and a reader, as the share of a run's wall time that lies outside of its steps. Each part
 * checks first that what it times is right.
 */
import {
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openCheckpoint, validateFolder } from '@qdylora/checkpoint';
import { createCpuBackend, fileReserver } from '@qdylora/cpu-kernels';
import { collate, type TokenBatch } from '@qdylora/data';
import {
  attachDyLora,
  RANK_DISTRIBUTIONS,
  rankProbabilities,
  rankSampler,
  type RankSampler,
  type RankSamplerOptions,
} from '@qdylora/lora-dynamic';
import { buildModel, type CausalLm } from '@qdylora/models';
import { createOptimizer, passesOfStep, runStep, saveState, type Optimizer } from '@qdylora/trainer';
import { finetune } from 'qdylora';
import { median } from './median.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    only: { type: 'string' },
    steps: { type: 'string', default: '7' },
    'micro-batch': { type: 'string', default: '4' },
    seq: { type: 'string', default: '256' },
    threads: { type: 'string', default: '2' },
    all: { type: 'boolean', default: false },
    'each-rank': { type: 'boolean', default: false },
    modes: { type: 'string', default: '' },
    'compute-dtype': { type: 'string', default: 'bf16' },
    scratch: { type: 'string', default: tmpdir() },
  },
});
const RANKS = [1, 2, 4, 8, 16, 32, 64];
const STEPS = Number(values.steps);
const ROWS = Number(values['micro-batch']);
const LENGTH = Number(values.seq);
const computeDtype = values['compute-dtype'] as 'f32' | 'bf16';
const milliseconds = (seconds: number): string => `${(1000 * seconds).toFixed(1)} ms`;

const ratiosOf = (own: readonly number[], plain: readonly number[]): number[] =>
  own.map((seconds, i) => seconds / plain[i]!);
const medianRatio = (own: readonly number[], plain: readonly number[]): number =>
  median(ratiosOf(own, plain));

/**
 * Ratios of each round, so that what others do on the machine hits both sides of one; the spread says how
 * much it did.
 */
function ratioLine(name: string, own: readonly number[], plain: readonly number[]): string {
  const ratios = ratiosOf(own, plain).sort((a, b) => a - b);
  return (
    `${name.padEnd(44)} ${milliseconds(median(own)).padStart(10)}  ${median(ratios).toFixed(3)}×  ` +
    `(${ratios[0]!.toFixed(2)}–${ratios.at(-1)!.toFixed(2)})`
  );
}

async function timed(run: () => Promise<unknown> | unknown): Promise<number> {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
}

function batchOf(model: CausalLm, step: number, rows = ROWS): TokenBatch {
  const example = (row: number): Int32Array =>
    Int32Array.from(
      { length: LENGTH },
      (_, t) => ((step + 2) * 7919 + row * 104729 + t * 31) % model.config.vocabularySize,
    );
  return collate(Array.from({ length: rows }, (_, row) => ({ ids: example(row), labels: example(row) })));
}

/** A model's adapter and optimizer of their own, over the same base, and a step of them. */
function runner(
  model: CausalLm,
  optimizerOf: (parameters: ReturnType<ReturnType<typeof attachDyLora>['parameters']>) => Optimizer,
) {
  const adapted = attachDyLora(model, { ranks: RANKS, seed: 7 });
  const optimizer = optimizerOf(adapted.parameters());
  const step = async (
    at: number,
    batches: readonly TokenBatch[],
    sampler: RankSampler | null,
  ): Promise<number> => {
    const { passes, rows } = passesOfStep(at, batches, adapted, sampler);
    return (await runStep(passes, optimizer, { rows, learningRate: 1e-4, computeDtype, recompute: true }))
      .loss;
  };
  return { adapted, optimizer, step };
}

const adamw = (parameters: Parameters<typeof createOptimizer>[1]): Optimizer =>
  createOptimizer('adamw_32bit', parameters, { learningRate: 1e-4 });

const QLORA = 'QLoRA at r = 64';

type Mode = readonly [name: string, microBatches: 1 | 2, sampler: RankSampler | null];

const nameOfRank = (rank: number): string => `rank ${rank} alone`;

async function benchRanks(model: CausalLm): Promise<void> {
  const { adapted, step } = runner(model, adamw);
  const of = (options: Omit<RankSamplerOptions, 'seed'>): RankSampler =>
    rankSampler(adapted.ranks, { seed: 3, ...options });
  const every: readonly Mode[] = values['each-rank']
    ? [
        [QLORA, 1, null],
        ...RANKS.map((rank): Mode => [
          nameOfRank(rank),
          1,
          of({ schedule: 'one', distribution: RANKS.map((other) => (other === rank ? 1 : 0)) }),
        ]),
      ]
    : [
        [QLORA, 1, null],
        [QLORA, 2, null],
        ['one, uniform', 1, of({ schedule: 'one' })],
        ['one, geometric', 1, of({ schedule: 'one', distribution: 'geometric' })],
        ['one, tail_heavy', 1, of({ schedule: 'one', distribution: 'tail_heavy' })],
        ['each, 2 segments', 1, of({ schedule: 'each' })],
        ['stratified, 2 segments', 1, of({ schedule: 'stratified' })],
        [`stratified, ${ROWS} segments`, 1, of({ schedule: 'stratified', segments: ROWS })],
        ['sandwich, 2 segments', 1, of({ schedule: 'sandwich' })],
        [
          'sandwich, weights by rank',
          1,
          of({ schedule: 'sandwich', lossWeights: RANKS.map((rank) => 1 / rank) }),
        ],
        ['sandwich, uncut: in turns', 1, of({ schedule: 'sandwich', segments: 1 })],
        ['each', 2, of({ schedule: 'each' })],
        ['stratified', 2, of({ schedule: 'stratified' })],
        ['sandwich (the default)', 2, of({ schedule: 'sandwich' })],
        ...(values.all ? [['all: every rank on every token', 1, of({ schedule: 'all' })] as const] : []),
      ];
  const modes = every.filter(([name]) => name === QLORA || new RegExp(values.modes!).test(name));
  const seconds = modes.map((): number[] => []);
  for (let at = -1; at < STEPS; at++) {
    // the first round makes room
    for (const [i, [, microBatches, sampler]] of modes.entries()) {
      const batches =
        microBatches === 1
          ? [batchOf(model, at)]
          : [0, 1].map((half) => batchOf(model, 2 * at + half, ROWS / 2));
      const took = await timed(async () => {
        if (!Number.isFinite(await step(at + 1, batches, sampler))) throw new Error('expected a finite loss');
      });
      if (at >= 0) seconds[i]!.push(took);
    }
  }
  console.log(
    `\nranks: ${ROWS} × ${LENGTH} tokens a step, ${STEPS} steps in turn; ratio to ${QLORA}, on the same ` +
      `micro batches of the same step`,
  );
  modes.forEach(([name, microBatches], i) => {
    console.log(
      ratioLine(
        `${microBatches === 1 ? '1 micro batch, ' : '2 micro batches, '}${name}`,
        seconds[i]!,
        seconds[microBatches - 1]!,
      ),
    );
  });
  if (values['each-rank'] && !values.modes)
    for (const line of meanLines(
      RANKS.map((_, i) => medianRatio(seconds[i + 1]!, seconds[0]!)),
      adapted.ranks,
    ))
      console.log(line);
}

/**
 * What the steps of one random rank cost in the mean: the median step of `tail_heavy`, whose every other draw
 * is the largest rank, says nothing of its cheap ones.
 */
function meanLines(ratios: readonly number[], ranks: Parameters<typeof rankProbabilities>[0]): string[] {
  return RANK_DISTRIBUTIONS.map((distribution) => {
    const shares = rankProbabilities(ranks, distribution);
    const meanOf = (values: readonly number[]): number =>
      values.reduce((sum, value, i) => sum + shares[i]! * value, 0);
    return `${distribution}: mean rank ${meanOf(RANKS).toFixed(1)}, ${meanOf(ratios).toFixed(3)}× in the mean`;
  });
}

async function benchStates(model: CausalLm): Promise<void> {
  const plain = runner(model, adamw);
  const small = runner(model, (parameters) =>
    createOptimizer('adamw_8bit', parameters, { learningRate: 1e-4 }),
  );
  const own: number[] = [];
  const other: number[] = [];
  for (let at = -1; at < STEPS; at++) {
    const batch = batchOf(model, at);
    const took: number[] = [];
    for (const { step } of [plain, small])
      took.push(
        await timed(async () => {
          if (!Number.isFinite(await step(at + 1, [batch], null))) throw new Error('expected a finite loss');
        }),
      );
    if (at >= 0) {
      other.push(took[0]!);
      own.push(took[1]!);
    }
  }
  const [wide, narrow] = [plain, small].map(({ optimizer }) => optimizer.ledger().residentBytes) as [
    number,
    number,
  ];
  if (narrow > 0.3 * wide)
    throw new Error(`expected states of about a quarter, got ${narrow} of ${wide} bytes`);
  console.log(`\nstates: ${(narrow / 1e6).toFixed(0)} MB in 8 bits, ${(wide / 1e6).toFixed(0)} MB in 32`);
  console.log(ratioLine('adamw_8bit against adamw_32bit', own, other));
  plain.optimizer.dispose();
  small.optimizer.dispose();
}

async function benchPaging(model: CausalLm): Promise<void> {
  const plain = runner(model, adamw);
  const stateBytes = 2 * 4 * plain.adapted.report.trainableCount;
  const paged = runner(model, (parameters) =>
    createOptimizer('paged_adamw_32bit', parameters, {
      learningRate: 1e-4,
      paging: { budgetBytes: stateBytes / 2, folder: values.scratch!, reserve: fileReserver() },
    }),
  );
  const own: number[] = [];
  const other: number[] = [];
  for (let at = -1; at < STEPS; at++) {
    const batch = batchOf(model, at);
    const took = [
      await timed(() => plain.step(at + 1, [batch], null)),
      await timed(() => paged.step(at + 1, [batch], null)),
    ];
    if (at >= 0) {
      other.push(took[0]!);
      own.push(took[1]!);
    }
  }
  const isSame = plain.adapted
    .parameters()
    .every(
      ({ view }, p) =>
        Buffer.compare(
          Buffer.from(hostData(view).buffer, hostData(view).byteOffset, hostData(view).byteLength),
          Buffer.from(
            hostData(paged.adapted.parameters()[p]!.view).buffer,
            hostData(paged.adapted.parameters()[p]!.view).byteOffset,
            hostData(view).byteLength,
          ),
        ) === 0,
    );
  if (!isSame) throw new Error('expected the same bits with and without pages');
  const { residentBytes, pagedBytes, pageIns } = paged.optimizer.ledger();
  console.log(
    `\npaging: ${(pagedBytes / 1e6).toFixed(0)} MB of states on pages, ${(residentBytes / 1e6).toFixed(0)} ` +
      `MB in memory, ${Math.round(pageIns / (STEPS + 1))} pages a step; weights bit-equal to unpaged after ` +
      `${STEPS + 1} steps`,
  );
  console.log(ratioLine('paged_adamw_32bit against adamw_32bit', own, other));
  plain.optimizer.dispose();
  paged.optimizer.dispose();
}

async function benchSave(model: CausalLm): Promise<void> {
  const { adapted, optimizer, step } = runner(model, adamw);
  const folder = mkdtempSync(join(values.scratch!, 'qdylora-save-'));
  const own: number[] = [];
  const other: number[] = [];
  await step(0, [batchOf(model, 0)], null);
  const progress = {
    step: 1,
    epoch: 0,
    tokens: 0,
    finalLoss: 1,
    skippedSteps: 0,
    badInARow: 0,
    evaluatedAt: 0,
    best: null,
    earlyStopping: null,
    events: 0,
  };
  try {
    for (let round = -1; round < STEPS; round++) {
      const path = join(folder, `step-${round + 2}`);
      const single = join(folder, 'one-file');
      const took = await timed(() =>
        saveState(path, { backend: adapted.model.backend, optimizer, progress, identity: {} }, {}),
      );
      const bytes = Buffer.concat(
        readdirSync(path)
          .sort()
          .map((name) => readFileSync(join(path, name))),
      );
      const plain = await timed(() => writeWithOneSync(single, bytes));
      if (!validateFolder(path).isValid) throw new Error('expected a whole checkpoint');
      if (round >= 0) {
        own.push(took);
        other.push(plain);
      } else
        console.log(
          `\nsave: ${(bytes.length / 1e6).toFixed(0)} MB in ${readdirSync(path).length} files, with ` +
            `SHA-256, an fsync of each file and folder, and a rename`,
        );
      rmSync(path, { recursive: true });
      rmSync(single);
      settle(folder);
    }
    console.log(ratioLine('a save against its bytes with one fsync', own, other));
  } finally {
    rmSync(folder, { recursive: true, force: true });
    optimizer.dispose();
  }
}

/**
 * Lets the disk forget what was removed, which the next fsync would wait for: where blocks are discarded at
 * once, longer than for its own bytes.
 */
function settle(folder: string): void {
  const at = openSync(folder, 'r');
  fsyncSync(at);
  closeSync(at);
}

function writeWithOneSync(path: string, bytes: Buffer): void {
  const file = openSync(path, 'w');
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
  fsyncSync(file);
  closeSync(file);
  if (statSync(path).size !== bytes.length) throw new Error('expected all bytes');
}

async function benchEvents(): Promise<void> {
  const folder = mkdtempSync(join(values.scratch!, 'qdylora-events-'));
  const dataset = join(folder, 'rows.jsonl');
  const ends: number[] = [];
  const inSteps: number[] = [];
  const steps = 3 * STEPS;
  writeFileSync(
    dataset,
    Array.from(
      { length: 64 },
      (_, row) =>
        `${JSON.stringify({ input_ids: Array.from({ length: LENGTH }, (_, t) => 3 + ((row * 131 + t * 31) % 4000)) })}\n`,
    ).join(''),
  );
  try {
    let read = 0;
    const run = finetune({
      model: values.model!,
      dataset,
      outputDir: join(folder, 'run'),
      maxSteps: steps,
      microBatchSize: ROWS,
      gradientAccumulationSteps: 1,
      maxSeqLength: LENGTH,
      saveSteps: 0,
      reportTo: ['tensorboard'],
      numThreads: Number(values.threads),
      onStep({ stepSeconds }) {
        ends.push(performance.now() / 1000);
        inSteps.push(stepSeconds);
      },
    });
    for await (const event of run) if (event.type === 'step') read++;
    await run.result;
    const lines = readFileSync(join(folder, 'run', 'events.jsonl'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{"type":"step"')).length;
    if (read !== steps || lines !== steps)
      throw new Error(`expected ${steps} steps read and logged, got ${read} and ${lines}`);
    const outside = ends.slice(1).map((end, i) => end - ends[i]! - inSteps[i + 1]!);
    const step = median(inSteps.slice(1));
    console.log(
      `\nevents: ${steps} steps with events.jsonl, TensorBoard, callbacks and a reader; between two steps ` +
        `${milliseconds(median(outside))} (worst ${milliseconds(Math.max(...outside))}) in steps of ` +
        `${milliseconds(step)}: ${((100 * median(outside)) / step).toFixed(3)} %`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const backend = await createCpuBackend({ threads: Number(values.threads) });
console.log(`${values.model}, ${backend.name} ${backend.level}, ${values.threads} threads, ${computeDtype}`);
{
  using checkpoint = await openCheckpoint(values.model!);
  const model = await buildModel(checkpoint, { backend });
  const wants = (part: string): boolean => !values.only || values.only === part;
  if (wants('ranks')) await benchRanks(model);
  if (wants('states')) await benchStates(model);
  if (wants('paging')) await benchPaging(model);
  if (wants('save')) await benchSave(model);
}
if (!values.only || values.only === 'events') await benchEvents();
