/**
 * Tokens a second and peak memory of a QLoRA training step: ours, and PEFT + bitsandbytes with the same shapes where a Python is given.
 *
 *     npx tsx --conditions=source bench/training-step.bench.ts --model ../smollm2 [--peer-python .venv/bin/python] [--peer-compute f32|bf16]
 *         [--rounds 3] [--only with|without] [--steps 3] [--micro-batch 4] [--seq 512] [--threads 2] [--compute-dtype f32|bf16]
 *
 * r = 64 on all linear layers, NF4 with double quantization, AdamW, random token ids, with and without gradient checkpointing. Each measurement
 * is a process of its own, so that its peak (VmHWM) is its own; ours and the peer's alternate for some rounds, since cores may be shared.
 * Prints one JSON row each, then the medians and their ratio.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openCheckpoint } from '@qdylora/checkpoint';
import { createCpuBackend } from '@qdylora/cpu-kernels';
import { collate } from '@qdylora/data';
import { attachDyLora } from '@qdylora/lora-dynamic';
import { buildModel } from '@qdylora/models';
import { adamw, trainStep } from '@qdylora/trainer';

const { values } = parseArgs({
  options: {
    model: { type: 'string' }, 'peer-python': { type: 'string' }, 'peer-compute': { type: 'string', default: 'bf16' }, rounds: { type: 'string', default: '3' }, only: { type: 'string' }, steps: { type: 'string', default: '3' }, 'micro-batch': { type: 'string', default: '4' },
    seq: { type: 'string', default: '512' }, threads: { type: 'string', default: '2' }, 'compute-dtype': { type: 'string', default: 'f32' }, worker: { type: 'boolean', default: false }, checkpointing: { type: 'boolean', default: false },
  },
});

interface Row { readonly who: string; readonly checkpointing: boolean; readonly tokens_per_second: number; readonly peak_gb: number; readonly loss?: number }

const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
const peakGigabytes = (): number => Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1e6;

async function ours(checkpointing: boolean): Promise<Row> {
  const backend = await createCpuBackend({ threads: Number(values.threads) });
  using checkpoint = await openCheckpoint(values.model!);
  const model = await buildModel(checkpoint, { backend }), adapted = attachDyLora(model, { ranks: [1, 2, 4, 8, 16, 32, 64], seed: 7 });
  const optimizer = adamw(adapted.parameters(), { learningRate: 2e-4 }), rows = Number(values['micro-batch']), length = Number(values.seq);
  const seconds: number[] = [];
  let loss = NaN;
  for (let step = 0; step <= Number(values.steps); step++) {
    const example = (row: number): Int32Array => Int32Array.from({ length }, (_, t) => (step * 7919 + row * 104729 + t * 31) % model.config.vocabularySize);
    const batch = collate(Array.from({ length: rows }, (_, row) => ({ ids: example(row), labels: example(row) })));
    const start = performance.now();
    ({ loss } = await trainStep(adapted.atRank(64), batch, optimizer, { recompute: checkpointing, computeDtype: values['compute-dtype'] as 'f32' }));
    if (step > 0) seconds.push((performance.now() - start) / 1000); // the first step makes room
  }
  return { who: `qdylora ${backend.level}`, checkpointing, tokens_per_second: (rows * length) / median(seconds), peak_gb: peakGigabytes(), loss };
}

/** Runs this file again for one measurement of ours. */
function measureOurs(checkpointing: boolean): Row {
  const own = process.argv.slice(2), output = execFileSync(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), ...own, '--worker', ...(checkpointing ? ['--checkpointing'] : [])], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  return JSON.parse(output.trim().split('\n').at(-1)!) as Row;
}

function measurePeer(python: string, checkpointing: boolean): Row {
  const script = fileURLToPath(new URL('peers/peft-step.py', import.meta.url));
  const output = execFileSync(python, [
    script, '--model', values.model!, '--steps', values.steps, '--micro-batch', values['micro-batch'], '--seq', values.seq, '--threads', values.threads, '--compute', values['peer-compute'],
    ...(checkpointing ? ['--gradient-checkpointing'] : []),
  ], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  const row = JSON.parse(output.trim().split('\n').at(-1)!) as { tokensPerSecond: number; peakGb: number };
  return { who: `PEFT + bitsandbytes, ${values['peer-compute']}`, checkpointing, tokens_per_second: row.tokensPerSecond, peak_gb: row.peakGb };
}

if (values.worker) console.log(JSON.stringify(await ours(values.checkpointing)));
else {
  const python = values['peer-python'], print = (row: Row): Row => { console.log(JSON.stringify(row)); return row; };
  for (const checkpointing of [true, false]) {
    const name = checkpointing ? 'with' : 'without', own: Row[] = [], peers: Row[] = [];
    if (values.only && values.only !== name) continue;
    for (let round = 0; round < Number(values.rounds); round++) {
      own.push(print(measureOurs(checkpointing)));
      if (python) peers.push(print(measurePeer(python, checkpointing)));
    }
    const of = (rows: readonly Row[], key: 'tokens_per_second' | 'peak_gb'): number => median(rows.map((row) => row[key]));
    console.log(`${name} checkpointing: ${of(own, 'tokens_per_second').toFixed(0)} tokens/s, ${Math.max(...own.map((row) => row.peak_gb)).toFixed(3)} GB${python
      ? `; ${(of(own, 'tokens_per_second') / of(peers, 'tokens_per_second')).toFixed(2)}× the speed, ${(of(own, 'peak_gb') / of(peers, 'peak_gb')).toFixed(2)}× the memory (rounds: ${own.map((row, i) => (row.tokens_per_second / peers[i]!.tokens_per_second).toFixed(2)).join(', ')})` : ''}`);
  }
  if (!values['peer-python']) console.log('peer skipped: no --peer-python was given (bench/peers/requirements.txt says what it needs)');
}
