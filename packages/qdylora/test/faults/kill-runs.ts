import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRng } from '@qdylora/contract';
import { OPTIMIZER_NAMES } from '@qdylora/trainer';
import { compareLeftovers, leftoversOf, noteKill, type Damage, type Leftovers } from './leftovers.ts';

const COMMAND = fileURLToPath(new URL('../../bin/qdylora.js', import.meta.url));

export interface KillOptions {
  /** Folder of the model, and the file of rows that it trains on. */
  readonly model: string;
  readonly dataset: string;
  /** For the runs' folders; nothing of them stays. */
  readonly scratch: string;
  readonly kills: number;
  readonly seed: number;
  /** Called after each kill and each run that came to its end. */
  readonly onProgress?: (so: KillReport) => void;
}

export interface KillReport extends Damage {
  /** Kills that were timed from the start of their process, not from the moment when it was under way. */
  killsInStarts: number;
}

/**
 * A run with everything random on: dropout, accumulation, held-out rows, a save after each step; packed or
 * not, and some optimizer.
 */
interface Variant {
  readonly name: string;
  readonly flags: readonly string[];
}

/** Small, and wide enough that adapters of rank 64 have 8-bit states. */
export const FAULT_MODEL = {
  config: {
    hidden_size: 64,
    intermediate_size: 64,
    num_attention_heads: 2,
    num_key_value_heads: 2,
    head_dim: 32,
  },
} as const;

const STEPS = 24;
/**
 * Share of the kills that hit a process while it starts: node, modules, model, data; and, in a resumed run,
 * lock, cleaning and reading back.
 */
const START_SHARE = 1 / 8;
const VARIANTS: readonly Variant[] = OPTIMIZER_NAMES.flatMap((optimizer, i) => [
  {
    name: `${optimizer}, ${i % 2 === 0 ? 'packed' : 'not packed'}`,
    flags: [
      '--optimizer',
      optimizer,
      ...(i % 2 === 0 ? ['--packing', '--max-seq-length', '24'] : []),
      ...(optimizer.startsWith('paged_') ? ['--optimizer-memory-budget', '64KiB'] : []),
    ],
  },
]);

/**
 * Trains with the built command, kills it with SIGKILL at random instants, resumes with `auto`, again and
 * again, for every optimizer in turn. After each kill: is every folder under a final name whole, and is every
 * save that `events.jsonl` tells of still there? After each run that ends: has it the bytes and the losses of
 * one that nobody killed?
 */
export async function killRuns(options: KillOptions): Promise<KillReport> {
  const report: KillReport = {
    kills: 0,
    killsInSaves: 0,
    killsInStarts: 0,
    runs: 0,
    corrupt: [],
    lost: [],
    different: [],
  };
  const rng = createRng(options.seed).named('kills');
  const whole = new Map<string, Undisturbed>();
  for (let round = 0; report.kills < options.kills; round++) {
    const variant = VARIANTS[round % VARIANTS.length];
    const folder = join(options.scratch, `run-${round}`);
    if (!whole.has(variant.name))
      whole.set(variant.name, await undisturbed(variant, join(options.scratch, `whole-${round}`), options));
    const { leftovers, startMilliseconds, runMilliseconds } = whole.get(variant.name)!;
    for (let isOver = false; !isOver && report.kills < options.kills;) {
      const isEarly = rng.uniform(report.kills, 0) < START_SHARE;
      const luck = rng.uniform(report.kills, 1 + report.runs);
      const kill = isEarly
        ? ({ from: 'spawn', milliseconds: luck * startMilliseconds } as const)
        : ({ from: 'way', milliseconds: luck * runMilliseconds } as const);
      ({ isOver } = await runUntil(argumentsOf(variant, folder, options), kill));
      if (isEarly && !isOver) report.killsInStarts++;
      if (!isOver) noteKill(folder, `kill ${report.kills + 1}, ${variant.name}`, report);
      else
        compareLeftovers(leftoversOf(folder), leftovers, `run ${report.runs + 1}, ${variant.name}`, report);
      options.onProgress?.(report);
    }
    rmSync(folder, { recursive: true, force: true });
  }
  return report;
}

const argumentsOf = ({ flags }: Variant, folder: string, { model, dataset }: KillOptions): string[] => [
  'train',
  '--model',
  model,
  '--dataset',
  dataset,
  '--val-set-size',
  '4',
  '--ranks',
  '1,16,64',
  '--lora-dropout',
  '0.2',
  '--micro-batch-size',
  '2',
  '--gradient-accumulation-steps',
  '2',
  '--num-threads',
  '1',
  '--max-steps',
  String(STEPS),
  '--save-steps',
  '1',
  '--eval-steps',
  '4',
  '--learning-rate',
  '0.01',
  '--resume-from-checkpoint',
  'auto',
  '--output-dir',
  folder,
  ...flags,
];

interface Undisturbed {
  readonly leftovers: Leftovers;
  readonly startMilliseconds: number;
  readonly runMilliseconds: number;
}

async function undisturbed(variant: Variant, folder: string, options: KillOptions): Promise<Undisturbed> {
  const { isOver, startMilliseconds, runMilliseconds } = await runUntil(
    argumentsOf(variant, folder, options),
    null,
  );
  if (!isOver) throw new Error(`expected a run that nobody kills to end, got none (${variant.name})`);
  const leftovers = leftoversOf(folder);
  rmSync(folder, { recursive: true });
  return { leftovers, startMilliseconds, runMilliseconds };
}

/**
 * So long after the start of the process, or after it said that it is on its way: its first step, or where it
 * goes on from.
 */
interface Kill {
  readonly from: 'spawn' | 'way';
  readonly milliseconds: number;
}

/**
 * Runs the command and kills it. `isOver`: it ended well before that. Throws where it ended with an error: no
 * kill may lead to one.
 */
async function runUntil(
  words: readonly string[],
  kill: Kill | null,
): Promise<{ isOver: boolean; startMilliseconds: number; runMilliseconds: number }> {
  const child = spawn(process.execPath, [COMMAND, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
  const start = performance.now();
  let errors = '';
  let way = Infinity;
  let timer: NodeJS.Timeout | null = null;
  const killLater = (): void => {
    timer ??= setTimeout(() => child.kill('SIGKILL'), kill!.milliseconds);
  };
  if (kill?.from === 'spawn') killLater();
  child.stderr.on('data', (text: Buffer) => {
    errors += String(text);
    if (way !== Infinity || !/^(step|goes on from)/m.test(errors)) return;
    way = performance.now();
    if (kill?.from === 'way') killLater();
  });
  const code = await new Promise<number | null>((resolve) => {
    child.on('close', resolve);
  });
  const end = performance.now();
  if (timer) clearTimeout(timer);
  if (code !== null && code !== 0)
    throw new Error(
      `expected the command to end well or to be killed, got exit code ${code}: ${errors.slice(-2000)}`,
    );
  return { isOver: code === 0, startMilliseconds: way - start, runMilliseconds: end - way };
}

/** A report as one line. */
export const killLine = ({
  kills,
  killsInSaves,
  killsInStarts,
  runs,
  corrupt,
  lost,
  different,
}: KillReport): string =>
  `${kills} kills (${killsInSaves} left a half save, ${killsInStarts} hit a start): ${corrupt.length} ` +
  `corrupt, ${lost.length} acknowledged saves lost; ${runs} runs came to their end, ${different.length} ` +
  `differences from unkilled ones`;
