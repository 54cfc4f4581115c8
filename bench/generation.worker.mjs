// One measurement of generation.bench.ts: the order comes as JSON, one row of JSON goes to standard output.
import { openCheckpoint } from '@qdylora/checkpoint';
import { createCpuBackend } from '@qdylora/cpu-kernels';
import { buildModel, generate } from '@qdylora/models';
import { isPacked, Linear, modulesOf } from '@qdylora/tensor';
import { timeTexts } from './time-texts.mjs';

const { model: path, prompt, count, repeats, threads } = JSON.parse(process.argv[2]);

const backend = await createCpuBackend({ threads }), checkpoint = await openCheckpoint(path), model = await buildModel(checkpoint, { backend });
checkpoint.dispose();
const bytesOf = (weight) => (isPacked(weight) ? weight.byteLength : weight.view.data.byteLength);
const layers = modulesOf(model.modules.layers).filter((module) => module instanceof Linear), bytes = [...layers.map(({ weight }) => weight), model.modules.head.weight].reduce((sum, weight) => sum + bytesOf(weight), 0);
const speeds = await timeTexts((ids) => generate({ model, active: null }, ids, { maxNewTokens: count, temperature: 0, computeDtype: 'bf16' }), { prompt, vocabularySize: model.config.vocabularySize, repeats });
console.log(JSON.stringify({ who: `qdylora ${backend.level}`, prompt, ...speeds, megabytes_per_token: bytes / 1e6 }));
