// What generation.worker.mjs measures, by llama.cpp: node-llama-cpp out of the folder `llamaCpp` of the
// order, its prebuilt CPU library, weights from the file `gguf`.
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { timeTexts } from '../time-texts.mjs';

const { llamaCpp, gguf, prompt, count, repeats, threads } = JSON.parse(process.argv[2]);
const { getLlama } = await import(
  pathToFileURL(resolve(llamaCpp, 'node_modules/node-llama-cpp/dist/index.js')).href
);

const llama = await getLlama({ gpu: false, build: 'never', maxThreads: threads, logLevel: 'error' });
const model = await llama.loadModel({ modelPath: resolve(gguf), gpuLayers: 0 });
async function* write(ids) {
  const context = await model.createContext({ contextSize: prompt + count + 8, batchSize: 512, threads });
  const sequence = context.getSequence();
  let written = 0;
  for await (const id of sequence.evaluate(ids, { temperature: 0, yieldEogToken: true })) {
    yield id;
    if (++written === count) break;
  }
  await context.dispose();
}
const speeds = await timeTexts(write, {
  prompt,
  vocabularySize: model.fileInfo.metadata.tokenizer.ggml.tokens.length,
  repeats,
});
console.log(
  JSON.stringify({ who: 'llama.cpp', prompt, ...speeds, megabytes_per_token: statSync(gguf).size / 1e6 }),
);
process.exit(0); // its threads keep the process alive
