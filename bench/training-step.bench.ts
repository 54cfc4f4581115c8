/**
 * Tokens a second and peak memory of a QLoRA training step: ours, and PEFT + bitsandbytes with the same
 * shapes where a Python is given.
 *
 *     npx tsx --conditions=source bench/training-step.bench.ts --model ../smollm2 [--peer-python
 *     .venv/bin/python] [--peer-compute f32|bf16]
 *         [--rounds 3] [--only with|without] [--steps 3] [--micro-batch 4] [--seq 512] [--threads 2]
 *         [--compute-dtype f32|bf16]
 *
 * r = 64 on all linear layers, NF4 with double quantization, AdamW, random token ids, with and without
 * gradient checkpointing. Each measurement is a process of its own that runs the built packages (`node
 * scripts/set-up.mjs` first), so that its peak (VmHWM, in 10⁶ kB) is its own; ours and the peer's alternate
 * for some rounds, since cores may be shared.
 * Prints one JSON row each, then the medians and their ratio.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from './median.ts';
import { rowOfProcess } from './row-of-process.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    'peer-python': { type: 'string' },
    'peer-compute': { type: 'string', default: 'bf16' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
    steps: { type: 'string', default: '3' },
    'micro-batch': { type: 'string', default: '4' },
    seq: { type: 'string', default: '512' },
    threads: { type: 'string', default: '2' },
    'compute-dtype': { type: 'string', default: 'f32' },
  },
});

interface Row {
  readonly who: string;
  readonly checkpointing: boolean;
  readonly tokens_per_second: number;
  readonly peak_gb: number;
  readonly loss?: number;
}

/** The young heap that the command's training thread has: three such spaces are 6 MB. */
const YOUNG_HEAP = '--max-semi-space-size=2';

/**
 * One measurement of ours: a process that runs what was built, as users do (from source, the compiler's 45 MB
 * would count).
 */
function measureOurs(checkpointing: boolean): Row {
  const { model, steps, 'micro-batch': rows, seq, threads, 'compute-dtype': computeDtype } = values;
  const order = JSON.stringify({
    model,
    steps: Number(steps),
    rows: Number(rows),
    length: Number(seq),
    threads: Number(threads),
    computeDtype,
    checkpointing,
  });
  return rowOfProcess<Row>(process.execPath, [
    YOUNG_HEAP,
    fileURLToPath(new URL('training-step.worker.mjs', import.meta.url)),
    order,
  ]);
}

function measurePeer(python: string, checkpointing: boolean): Row {
  const script = fileURLToPath(new URL('peers/peft-step.py', import.meta.url));
  const row = rowOfProcess<{ tokensPerSecond: number; peakGb: number }>(python, [
    script,
    '--model',
    values.model!,
    '--steps',
    values.steps,
    '--micro-batch',
    values['micro-batch'],
    '--seq',
    values.seq,
    '--threads',
    values.threads,
    '--compute',
    values['peer-compute'],
    ...(checkpointing ? ['--gradient-checkpointing'] : []),
  ]);
  return {
    who: `PEFT + bitsandbytes, ${values['peer-compute']}`,
    checkpointing,
    tokens_per_second: row.tokensPerSecond,
    peak_gb: row.peakGb,
  };
}

const python = values['peer-python'];
const print = (row: Row): Row => {
  console.log(JSON.stringify(row));
  return row;
};
for (const checkpointing of [true, false]) {
  const name = checkpointing ? 'with' : 'without';
  const own: Row[] = [];
  const peers: Row[] = [];
  if (values.only && values.only !== name) continue;
  for (let round = 0; round < Number(values.rounds); round++) {
    own.push(print(measureOurs(checkpointing)));
    if (python) peers.push(print(measurePeer(python, checkpointing)));
  }
  const of = (rows: readonly Row[], key: 'tokens_per_second' | 'peak_gb'): number =>
    median(rows.map((row) => row[key]));
  console.log(
    `${name} checkpointing: ${of(own, 'tokens_per_second').toFixed(0)} tokens/s, ${Math.max(...own.map((row) => row.peak_gb)).toFixed(3)} GB${
      python
        ? `; ${(of(own, 'tokens_per_second') / of(peers, 'tokens_per_second')).toFixed(2)}× the speed, ` +
          `${(of(own, 'peak_gb') / of(peers, 'peak_gb')).toFixed(2)}× the memory (rounds: ` +
          `${own.map((row, i) => (row.tokens_per_second / peers[i]!.tokens_per_second).toFixed(2)).join(', ')})`
        : ''
    }`,
  );
}
if (!values['peer-python'])
  console.log('peer skipped: no --peer-python was given (bench/peers/requirements.txt says what it needs)');
