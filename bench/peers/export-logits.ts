/**
 * Exports an adapter at some ranks and writes what our model computes there, for `export-check.py` to compare
 * with PEFT.
 *
 *     npx tsx --conditions=source bench/peers/export-logits.ts --model DIR --adapter runs/x/adapter --ranks
 *     1,8,64 --output-dir out
 *     python bench/peers/export-check.py --model DIR --adapter out/r8 --logits out/logits-8.safetensors
 *     [--dequantized-base out/base.safetensors]
 *
 * The base is left unquantized unless `--quantization nf4`; then its decoded weights are written too. Logits
 * are float32: [tokens, vocabulary].
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openCheckpoint, readPeftAdapter, writeSafetensors } from '@qdylora/checkpoint';
import { hostData } from '@qdylora/contract';
import { createCpuBackend } from '@qdylora/cpu-kernels';
import { adapterStateOf, attachDyLora } from '@qdylora/lora-dynamic';
import { buildModel, oneSequence } from '@qdylora/models';
import { decodedWeight, inferenceContext, isPacked } from '@qdylora/tensor';
import { exportAdapter } from 'qdylora';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    adapter: { type: 'string' },
    ranks: { type: 'string', default: '1,8,64' },
    'output-dir': { type: 'string' },
    tokens: { type: 'string', default: '48' },
    quantization: { type: 'string', default: 'none' },
  },
});
const folder = values['output-dir']!;
const bytes = (data: ArrayBufferView): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
mkdirSync(folder, { recursive: true });

const backend = await createCpuBackend({ numThreads: 2 });
const checkpoint = await openCheckpoint(values.model!);
const model = await buildModel(checkpoint, {
  backend,
  quantization: { kind: values.quantization as 'none' },
});
const read = readPeftAdapter(values.adapter!);
const sidecar = read.sidecar as { ranks: number[]; lora_alpha: number; lora_scaling: 'sqrt' };
const nest = { ranks: sidecar.ranks, alpha: sidecar.lora_alpha, scaling: sidecar.lora_scaling };
const adapted = attachDyLora(model, { ...nest, targetModules: [...read.layers.keys()] });
await adapted.load(
  adapterStateOf(
    {
      rank: read.config.r,
      scale: 0,
      loraAlpha: 0,
      useRslora: false,
      layers: [...read.layers].map(([name, layer]) => ({ name, ...layer })),
    },
    nest,
  ),
);

const ids = Int32Array.from(
  { length: Number(values.tokens) },
  (_, t) => (t * 7919 + 11) % model.config.vocabularySize,
);
for (const rank of values.ranks.split(',').map(Number)) {
  await exportAdapter({ adapter: values.adapter!, rank, outputDir: join(folder, `r${rank}`) });
  const { view } = adapted
    .atRank(rank)
    .model.logits({ ...inferenceContext(backend), active: adapted.atRank(rank).active }, oneSequence(ids));
  writeSafetensors(join(folder, `logits-${rank}.safetensors`), [
    { name: 'input_ids', dtype: 'I32', shape: [ids.length], bytes: bytes(ids) },
    { name: 'logits', dtype: 'F32', shape: view.shape, bytes: bytes(hostData(view)) },
  ]);
  console.log(`rank ${rank}: ${join(folder, `r${rank}`)}, ${join(folder, `logits-${rank}.safetensors`)}`);
}
if (values.quantization !== 'none') {
  const packed = adapted.layers.filter(({ base }) => isPacked(base.weight));
  writeSafetensors(
    join(folder, 'base.safetensors'),
    await Promise.all(
      packed.map(async ({ base, outFeatures, inFeatures }) => ({
        name: `${base.name}.weight`,
        dtype: 'F32' as const,
        shape: [outFeatures, inFeatures],
        bytes: bytes(await decodedWeight(base.weight, backend)),
      })),
    ),
  );
}
