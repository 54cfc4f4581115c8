// Ten lines: one run produces adapters at every rank.
//   npx tsx examples/every-rank.ts --model models/smollm2 --dataset gsm8k.jsonl --output-dir runs/smol
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { finetune, type FinetuneOptions, type FinetuneResult } from 'qdylora';

export async function everyRank(
  options: FinetuneOptions,
  say: (...line: unknown[]) => void = console.log,
): Promise<FinetuneResult> {
  const run = finetune({ ranks: [1, 2, 4, 8, 16, 32, 64], ...options });
  for await (const event of run) {
    if (event.type === 'step') say(event.step, event.rank, event.loss);
  }
  const result = await run.result;
  const { report } = result;
  say(report.bestRank, report.smallestGoodRank, report.aurac);
  return result;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { values } = parseArgs({
    options: { model: { type: 'string' }, dataset: { type: 'string' }, 'output-dir': { type: 'string' } },
  });
  const { model = 'models/smollm2', dataset = 'gsm8k.jsonl', 'output-dir': outputDir = 'runs/smol' } = values;
  await everyRank({ model, dataset, valSetSize: 200, outputDir });
}
