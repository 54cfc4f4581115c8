// One measurement of generation.bench.ts: the order comes as JSON, one row of JSON goes to standard output.
import { openCheckpoint } from '@qdylora/checkpoint';
import { DTYPE_BYTES, elementCount } from '@qdylora/contract';
import { createCpuBackend } from '@qdylora/cpu-kernels';
import { groupFrozenLayers } from '@qdylora/lora-dynamic';
import { buildModel, generate } from '@qdylora/models';
import { isPacked, Linear, modulesOf } from '@qdylora/tensor';
import { timeTexts } from './time-texts.mjs';

const { model: path, prompt, count, repeats, threads, batchInvariant } = JSON.parse(process.argv[2]);

const backend = await createCpuBackend({ numThreads: threads, batchInvariant });
const checkpoint = await openCheckpoint(path);
const model = await buildModel(checkpoint, { backend });
checkpoint.dispose();
const bytesOf = (weight) =>
  isPacked(weight) ? weight.byteLength : elementCount(weight.view.shape) * DTYPE_BYTES[weight.view.dtype];
// Of the head a new token reads 8-bit codes, a scale for each row, and the few rows that can win.
const [rows, columns] = model.modules.head.weight.view.shape;
const headBytes = rows * (columns + 4);
const layers = modulesOf(model.modules.layers).filter((module) => module instanceof Linear);
const bytes = layers.reduce((sum, { weight }) => sum + bytesOf(weight), headBytes);
const speeds = await timeTexts(
  (ids) =>
    generate({ model: groupFrozenLayers(model), active: null }, ids, {
      maxNewTokens: count,
      temperature: 0,
      computeDtype: 'bf16',
    }),
  { prompt, vocabularySize: model.config.vocabularySize, repeats },
);
const who = `qdylora ${backend.level}${batchInvariant ? ', batch invariant' : ''}`;
console.log(JSON.stringify({ who, prompt, ...speeds, megabytes_per_token: bytes / 1e6 }));
