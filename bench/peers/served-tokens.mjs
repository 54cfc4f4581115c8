// Tokens a second that servers write for several clients at once: `qdylora serve`, and llama.cpp's
// `llama-server` where one is named, in turn, on the same prompts and threads.
//
//   node bench/peers/served-tokens.mjs --model DIR --adapter DIR [--rank 8] [--clients 1,8,32] [--new 64]
//       [--rounds 3] [--threads 2] [--compute-dtype bf16] [--batch-invariant true] [--draft-tokens 3]
//       [--questions FILE.jsonl]
//       [--llama-server PROGRAM --gguf FILE]
//
// In each round every client sends one request, and the next round begins when all have answered. Each
// request has a text of its own, so that no server has its prompt from before: a line of prose, or with
// --questions the next row's `question`, written as the task gsm8k writes it. Prints one JSON row for each
// server and number of clients: the tokens of all rounds over their time, after a round that warms up, and
// the CPU time of the server for a token (Linux), which other processes change less than wall time.
// llama-server has no adapter, so the comparison favours it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    adapter: { type: 'string' },
    rank: { type: 'string', default: '8' },
    clients: { type: 'string', default: '1,8,32' },
    new: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    'compute-dtype': { type: 'string', default: 'bf16' },
    'batch-invariant': { type: 'string', default: 'true' },
    'draft-tokens': { type: 'string', default: '3' },
    questions: { type: 'string' },
    'llama-server': { type: 'string' },
    gguf: { type: 'string' },
  },
});
const root = fileURLToPath(new URL('../../', import.meta.url));
const clientCounts = values.clients.split(',').map(Number);
const most = Math.max(...clientCounts);
const newTokens = Number(values.new);
const questions = values.questions
  ? readFileSync(values.questions, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line).question)
  : null;
const CONTEXT = questions ? 512 : 256;
const promptOf = (number) =>
  questions
    ? `Question: ${questions[number % questions.length]}\nAnswer:`
    : `${number} is the letter about the history of the river and of the people who live beside it, which is`;

async function complete(url, model, number) {
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, prompt: promptOf(number), max_tokens: newTokens, temperature: 0 }),
  });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return (await response.json()).usage.completion_tokens;
}

const hasProc = existsSync('/proc/self/stat');
/** User and system time of a process so far, in milliseconds; 0 where the system has no /proc. */
function cpuOf(pid) {
  if (!hasProc) return 0;
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
  const TICK_MS = 10;
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

const round1 = (x) => Number(x.toFixed(1));
const round2 = (x) => Number(x.toFixed(2));

async function measure(who, { url, pid }, model) {
  let next = 0;
  for (const clients of clientCounts) {
    const all = { tokens: 0, ms: 0, cpuMs: 0 };
    for (let round = 0; round <= Number(values.rounds); round++) {
      const began = performance.now();
      const cpuBefore = cpuOf(pid);
      const counts = await Promise.all(Array.from({ length: clients }, () => complete(url, model, next++)));
      if (round === 0) continue;
      all.tokens += counts.reduce((sum, count) => sum + count, 0);
      all.ms += performance.now() - began;
      all.cpuMs += cpuOf(pid) - cpuBefore;
    }
    const row = {
      who,
      clients,
      new_tokens: newTokens,
      tokens_per_second: round1((1000 * all.tokens) / all.ms),
    };
    console.log(
      JSON.stringify({ ...row, cpu_ms_per_token: hasProc ? round2(all.cpuMs / all.tokens) : null }),
    );
  }
}

/** Runs a server for as long as `use` lasts. */
async function withServer(program, words, urlOf, use) {
  const child = spawn(program, words, { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] });
  const exit = once(child, 'exit');
  const early = exit.then(([status]) => {
    throw new Error(`${program} ended with status ${status} before it was measured`);
  });
  const ignored = () => {};
  early.catch(ignored); // after the measurement the end is wanted
  try {
    await Promise.race([early, urlOf(child).then((url) => use({ url, pid: child.pid }))]);
  } finally {
    child.kill('SIGTERM');
    await exit.catch(ignored);
  }
}

const ours = [
  ...['--conditions=source', '--import', 'tsx', join(root, 'packages/qdylora/src/main.ts'), 'serve'],
  ...[`peer=${resolve(values.adapter)}`, '--model', resolve(values.model), '--port', '0'],
  ...['--num-threads', values.threads, '--compute-dtype', values['compute-dtype']],
  ...['--batch-invariant', values['batch-invariant'], '--draft-tokens', values['draft-tokens']],
  ...['--max-concurrency', String(most)],
  ...['--max-queue', String(most), '--context', String(CONTEXT), '--quantization', 'nf4'],
];
const firstLine = async (child) =>
  (await once(child.stdout, 'data'))[0].toString().trim().replace(/\/v1$/, '');
await withServer(process.execPath, ours, firstLine, (server) =>
  measure('qdylora', server, `peer:r${values.rank}`),
);

/** A port that no program listens on. */
async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return String(port);
}

const llamaPort = await freePort();
async function whenHealthy() {
  const url = `http://127.0.0.1:${llamaPort}`;
  for (let i = 0; i < 600; i++) {
    const response = await fetch(`${url}/health`).catch(() => null);
    if (response?.ok) return url;
    await sleep(100);
  }
  throw new Error('llama-server does not answer');
}
const theirs = [
  ...['-m', values.gguf && resolve(values.gguf), '--port', llamaPort, '-t', values.threads],
  ...['-np', String(most), '-c', String(CONTEXT * most)],
];
if (values['llama-server'])
  await withServer(values['llama-server'], theirs, whenHealthy, (server) =>
    measure('llama-server', server, 'any'),
  );
