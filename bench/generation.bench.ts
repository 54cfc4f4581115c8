/**
 * Tokens a second of a whole model that writes text: those of a prompt, then one after the other. Ours, and
 * llama.cpp's where a folder with node-llama-cpp and a GGUF file are given.
 *
 *     npm i --prefix ../peers node-llama-cpp@3.22.1
 *     npm run bench generation -- --model ../smollm2 [--llama-cpp ../peers --gguf ../smollm2.Q4_1.gguf]
 *     [--prompt 32,512] [--new 128] [--rounds 3] [--repeats 4] [--threads 2]
 *
 * Ours: NF4 with double quantization, head and embedding in bf16, computing in bf16, no adapter. Each
 * measurement is a process of its own that runs what was built (`node scripts/set-up.mjs` first); ours and
 * llama.cpp's alternate for some rounds, since cores may be shared. A process writes the same text again and
 * again: its first text warms up, its best of the others counts, and all must be equal.
 * Prints one JSON row each (`megabytes_per_token`: of weights that a new token reads; of a GGUF file: all of
 * it), then medians and their ratio.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from './median.ts';
import { rowOfProcess } from './row-of-process.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    'llama-cpp': { type: 'string' },
    gguf: { type: 'string' },
    prompt: { type: 'string', default: '32,512' },
    new: { type: 'string', default: '128' },
    rounds: { type: 'string', default: '3' },
    repeats: { type: 'string', default: '4' },
    threads: { type: 'string', default: '2' },
  },
});

interface Row {
  readonly who: string;
  readonly prompt: number;
  readonly prompt_tokens_per_second: number;
  readonly new_tokens_per_second: number;
  readonly megabytes_per_token: number;
}

function measure(script: string, prompt: number): Row {
  const order = {
    model: values.model,
    llamaCpp: values['llama-cpp'],
    gguf: values.gguf,
    prompt,
    count: Number(values.new),
    repeats: Number(values.repeats),
    threads: Number(values.threads),
  };
  const row = rowOfProcess<Row>(process.execPath, [
    fileURLToPath(new URL(script, import.meta.url)),
    JSON.stringify(order),
  ]);
  console.log(JSON.stringify(row));
  return row;
}

if (!values.model) throw new TypeError('expected --model with a folder or a GGUF file, got none');
const hasPeer = values['llama-cpp'] !== undefined && values.gguf !== undefined;
for (const prompt of values.prompt.split(',').map(Number)) {
  const own: Row[] = [];
  const peers: Row[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    own.push(measure('generation.worker.mjs', prompt));
    if (hasPeer) peers.push(measure('peers/llama-cpp-generation.mjs', prompt));
  }
  const of = (rows: readonly Row[], key: 'prompt_tokens_per_second' | 'new_tokens_per_second'): number =>
    median(rows.map((row) => row[key]));
  const ratio = (key: 'prompt_tokens_per_second' | 'new_tokens_per_second'): string =>
    hasPeer ? ` (${(of(own, key) / of(peers, key)).toFixed(2)}× ${peers[0]!.who})` : '';
  console.log(
    `prompt of ${prompt}: ${of(own, 'prompt_tokens_per_second').toFixed(0)} ` +
      `tokens/s${ratio('prompt_tokens_per_second')}; then ${of(own, 'new_tokens_per_second').toFixed(1)} ` +
      `tokens/s${ratio('new_tokens_per_second')}`,
  );
}
if (!hasPeer)
  console.log('llama.cpp skipped: --llama-cpp (a folder with node-llama-cpp) and --gguf were not both given');
