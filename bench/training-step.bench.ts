/**
 * Tokens a second and peak memory of a training step: ours (QLoRA), and two of PEFT with the same shapes
 * where a Python is given: QLoRA with bitsandbytes, and plain LoRA on bf16 weights, which is faster on a CPU.
 *
 *     npm run bench training-step -- --model ../smollm2 [--peer-python .venv/bin/python]
 *         [--peer-compute f32|bf16] [--rounds 3] [--only with|without] [--steps 3] [--micro-batch 4]
 *         [--seq 512] [--threads 2] [--compute-dtype f32|bf16] [--no-recording]
 *
 * r = 64 on all linear layers, NF4 with double quantization, AdamW, made-up token ids, with and without
 * gradient checkpointing. Steps are recorded and replayed, as `train` does. Each measurement is a process of
 * its own that runs the built packages, so its peak (VmHWM, in GB of 10⁹ bytes) is its own. Ours and the
 * peers take turns for some rounds, since cores may be shared.
 * Prints one JSON row for each, then the medians and their ratios.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { recordRows } from '@qdylora/testing/bench';
import { median } from './median.mjs';
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
    'no-recording': { type: 'boolean', default: false },
  },
});

interface Row {
  readonly who: string;
  readonly checkpointing: boolean;
  readonly tokens_per_second: number;
  readonly peak_gb: number;
  readonly loss?: number;
  /** Share of a step's time that is spent outside the addon's functions. */
  readonly outside_kernels?: number;
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
    isRecorded: !values['no-recording'],
  });
  return rowOfProcess<Row>(process.execPath, [
    YOUNG_HEAP,
    fileURLToPath(new URL('training-step.worker.mjs', import.meta.url)),
    order,
  ]);
}

/** What PEFT trains: its 4-bit path, or plain LoRA on weights of the compute dtype. */
const PEERS = {
  'PEFT + bitsandbytes, NF4': ['--quantization', 'nf4'],
  'PEFT, plain LoRA': ['--quantization', 'none'],
} as const;

function measurePeer(python: string, name: keyof typeof PEERS, checkpointing: boolean): Row {
  const { model, steps, 'micro-batch': rows, seq, threads, 'peer-compute': compute } = values;
  const settings = { model: model!, steps, 'micro-batch': rows, seq, threads, compute };
  const row = rowOfProcess<{ tokensPerSecond: number; peakGb: number }>(python, [
    fileURLToPath(new URL('peers/peft-step.py', import.meta.url)),
    ...Object.entries(settings).flatMap(([key, value]) => [`--${key}`, value]),
    ...PEERS[name],
    ...(checkpointing ? ['--gradient-checkpointing'] : []),
  ]);
  return {
    who: `${name}, ${compute}`,
    checkpointing,
    tokens_per_second: row.tokensPerSecond,
    peak_gb: row.peakGb,
  };
}

/** Ours and the peers' rows of each round, ours first. */
function measureRounds(checkpointing: boolean): Row[][] {
  return Array.from({ length: Number(values.rounds) }, () => {
    const rows = [measureOurs(checkpointing)];
    const python = values['peer-python'];
    if (python)
      for (const name of Object.keys(PEERS) as (keyof typeof PEERS)[])
        rows.push(measurePeer(python, name, checkpointing));
    for (const row of rows) console.log(JSON.stringify(row));
    return rows;
  });
}

/** Medians over rounds, and how many times faster we are: the ratio of each round, since rounds differ. */
function report(name: string, rounds: readonly Row[][]): void {
  rounds[0].forEach(({ who }, i) => {
    const rows = rounds.map((round) => round[i]);
    const speed = median(rows.map((row) => row.tokens_per_second));
    const peak = Math.max(...rows.map((row) => row.peak_gb));
    const ratios = rounds.map(([ours], r) => ours!.tokens_per_second / rows[r].tokens_per_second);
    const ratio = i === 0 ? '' : `: ours is ${median(ratios).toFixed(2)}× as fast`;
    console.log(`${name} checkpointing, ${who}: ${speed.toFixed(0)} tokens/s, ${peak.toFixed(3)} GB${ratio}`);
    recordRows([
      {
        checkpointing: name,
        who,
        'tokens/s': speed,
        'peak GB': peak,
        'outside kernels': i === 0 ? median(rows.map((row) => row.outside_kernels!)) : null,
        'ours ×': i === 0 ? null : median(ratios),
        'ours × by round': i === 0 ? null : ratios.map((each) => each.toFixed(2)).join(', '),
      },
    ]);
  });
}

for (const name of ['with', 'without'])
  if (!values.only || values.only === name) report(name, measureRounds(name === 'with'));
if (!values['peer-python'])
  console.log('peers skipped: no --peer-python was given (bench/peers/requirements.txt says what it needs)');
