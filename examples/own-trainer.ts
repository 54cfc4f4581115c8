// A trainer of your own, from the packages. Put your own sampler, loss or stopping rule into the loop.
//   npx tsx examples/own-trainer.ts --model models/smollm2 --dataset gsm8k.jsonl --output-dir out/best
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { openCheckpoint, writePeftAdapter } from '@qdylora/checkpoint';
import type { Backend } from '@qdylora/contract';
import { createCpuBackend } from '@qdylora/cpu-kernels';
import { createBatches, loadDataset, loadTokenizer } from '@qdylora/data';
import { perplexity, sweepRanks, type RankReport } from '@qdylora/eval';
import { attachDyLora, rankSampler, rankSet, sliceRank } from '@qdylora/lora-dynamic';
import { buildModel } from '@qdylora/models';
import { adamw, adapterRowRates, trainStep } from '@qdylora/trainer';

export interface OwnTrainerOptions {
  readonly model: string;
  readonly dataset: string;
  readonly outputDir: string;
  readonly backend: Backend;
  readonly steps?: number;
  readonly heldOut?: number;
  readonly learningRate?: number;
}

export async function ownTrainer({
  model: path,
  dataset,
  outputDir,
  backend,
  steps = 200,
  heldOut: heldOutRows = 200,
  learningRate = 2e-4,
}: OwnTrainerOptions): Promise<RankReport> {
  using checkpoint = await openCheckpoint(path);
  const model = await buildModel(checkpoint, {
    backend,
    quantization: { kind: 'nf4', doubleQuantization: true },
  });
  const ranks = rankSet([1, 2, 4, 8, 16, 32, 64]);
  const adapted = attachDyLora(model, {
    ranks,
    alpha: 8,
    scaling: 'tapered', // a row counts nearly the same at every rank …
    targetModules: 'all-linear',
    seed: 7,
  });

  const { tokenizerFiles } = checkpoint;
  const tokenizer = tokenizerFiles.tokenizerJson ? loadTokenizer(tokenizerFiles) : null;
  const { training, heldOut } = await loadDataset(dataset, {
    tokenizer,
    maxSeqLength: 512,
    heldOut: heldOutRows,
    seed: 7,
  });
  const batches = createBatches(training, {
    microBatchSize: 4,
    gradientAccumulationSteps: 2,
    shuffle: true,
    seed: 7,
    packing: false,
    maxSeqLength: 512,
  });
  // … and the rows that large ranks add take smaller steps
  const rowRates = adapterRowRates(adapted, { rankRates: 'steep' });
  const optimizer = adamw(adapted.parameters(), { learningRate, rowRates });
  const sampler = rankSampler(ranks, { distribution: 'uniform', seed: 7 });

  for (let step = 0; step < steps; step++) {
    const rank = sampler.rankAt(step);
    const { loss } = await trainStep(adapted.atRank(rank), batches.batchAt(step), optimizer);
    if (loss > 20) break; // diverged
  }

  const report = await sweepRanks((rank) => adapted.atRank(rank), ranks, perplexity(heldOut));
  await writePeftAdapter(outputDir, {
    ...sliceRank(await adapted.state(), report.bestRank),
    baseModel: checkpoint.name,
  });
  return report;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { values } = parseArgs({
    options: { model: { type: 'string' }, dataset: { type: 'string' }, 'output-dir': { type: 'string' } },
  });
  using backend = await createCpuBackend();
  const { bestRank, ranks } = await ownTrainer({
    model: values.model!,
    dataset: values.dataset!,
    outputDir: values['output-dir']!,
    backend,
  });
  console.log(
    `best rank ${bestRank}`,
    ranks.map(({ rank, loss }) => `${rank}: ${loss.toFixed(3)}`).join('  '),
  );
}
