// Copies a run of `npm run demo` for the site: report, events, and the adapter up to rank 16 in bfloat16.
// node --conditions=source --import tsx generate/make-demo.ts ../runs/demo
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readPeftAdapter, writePeftAdapter, type TensorSource } from '@qdylora/checkpoint';
import { bfloat16Array } from '@qdylora/contract';
import { peftScaling, type RankScaling } from '@qdylora/lora-dynamic';

const LARGEST_RANK = 16;
const folder = fileURLToPath(new URL('../public/demo', import.meta.url));

interface Sidecar {
  readonly ranks: readonly number[];
  readonly lora_alpha: number;
  readonly lora_scaling: RankScaling;
}

async function makeDemo(run: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (const name of ['report.json', 'events.jsonl']) copyFileSync(join(run, name), join(folder, name));
  const { layers, sidecar } = readPeftAdapter(join(run, 'adapter'));
  const { lora_alpha: alpha, lora_scaling: scaling, ranks, ...rest } = sidecar as unknown as Sidecar;
  await writePeftAdapter(join(folder, 'adapter'), {
    layers: [...layers].map(([name, { a, b, rank, inFeatures, outFeatures }]) => ({
      name,
      a: halfSource([LARGEST_RANK, inFeatures], a.subarray(0, LARGEST_RANK * inFeatures)),
      b: halfSource([outFeatures, LARGEST_RANK], firstColumns(b, rank, outFeatures)),
    })),
    rank: LARGEST_RANK,
    ...peftScaling(scaling, alpha, LARGEST_RANK, ranks.at(-1)!),
    sidecar: {
      ...rest,
      lora_alpha: alpha,
      lora_scaling: scaling,
      ranks: ranks.filter((each) => each <= LARGEST_RANK),
    },
    replace: true,
  });
}

/** [out, rank] → [out, LARGEST_RANK] */
function firstColumns(b: Float32Array, rank: number, outFeatures: number): Float32Array {
  const cut = new Float32Array(outFeatures * LARGEST_RANK);
  for (let o = 0; o < outFeatures; o++)
    cut.set(b.subarray(o * rank, o * rank + LARGEST_RANK), o * LARGEST_RANK);
  return cut;
}

function halfSource(shape: readonly [number, number], values: Float32Array): TensorSource {
  const { buffer, byteOffset, byteLength } = bfloat16Array(values);
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  return {
    dtype: 'BF16',
    shape,
    byteLength,
    read: async (into, offset) => into.set(bytes.subarray(offset, offset + into.length)),
  };
}

await makeDemo(process.argv[2]);
