// What benchmark tasks cost: `qdylora eval --tasks` at one rank and at all ranks, and lm-evaluation-harness
// on transformers, in turn, on the same rows and threads. Prints how far the responses of the two agree.
//
//   node bench/peers/task-costs.mjs --python PYTHON --model DIR [--adapter DIR --ranks 1,2,4,8,16,32,64]
//       --gsm8k DIR [--task choice|text] [--rows 8] [--shots 5] [--rounds 3] [--threads 2] [--new 64]
//
// --python: a Python with lm_eval 0.4.13 ([hf]). --gsm8k: train.jsonl and test.jsonl of GSM8K. `choice`: four
// answers of one letter after the same worked examples, as in MMLU; `text`: generated solutions. Both sides
// compute in float32. A cost is CPU seconds of the whole process (user and system), which other processes
// change less than wall seconds; one JSON row a side with the medians over the rounds.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from '../median.mjs';

const { values } = parseArgs({
  options: {
    python: { type: 'string' },
    model: { type: 'string' },
    adapter: { type: 'string' },
    ranks: { type: 'string', default: '1,2,4,8,16,32,64' },
    rank: { type: 'string', default: '8' },
    gsm8k: { type: 'string' },
    task: { type: 'string', default: 'choice' },
    rows: { type: 'string', default: '8' },
    shots: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    new: { type: 'string', default: '64' },
    batch: { type: 'string', default: '4' },
  },
});
for (const name of ['model', 'gsm8k'])
  if (!values[name]) throw new Error(`--${name} is missing: see the lines at the top of this file.`);
const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'qdylora-task-costs-'));
const model = resolve(values.model);
const task = `made_${values.task}`;

const HEAD = [`task: ${task}`, `dataset_path: ${task}`, 'training_split: train', 'fewshot_split: train'];
const COMMON = [...HEAD, 'test_split: test', 'fewshot_config: {sampler: first_n}'];
const KINDS = {
  choice: [
    'output_type: multiple_choice',
    'description: "The following are multiple choice questions (with answers).\\n\\n"',
    'doc_to_text: "{{question.strip()}}\\nA. {{choices[0]}}\\nB. {{choices[1]}}\\nC. {{choices[2]}}\\n' +
      'D. {{choices[3]}}\\nAnswer:"',
    'doc_to_choice: ["A", "B", "C", "D"]',
    'doc_to_target: gold',
    'metric_list:',
    '  - {metric: acc, aggregation: mean, higher_is_better: true}',
  ],
  text: [
    'output_type: generate_until',
    'doc_to_text: "Question: {{question}}\\nAnswer:"',
    'doc_to_target: "{{answer}}"',
    `generation_kwargs: {until: ["Question:"], do_sample: false, max_gen_toks: ${values.new}}`,
    'metric_list:',
    '  - {metric: exact_match, aggregation: mean, higher_is_better: true}',
  ],
};

/** A question of GSM8K with four numbers, one of which is the answer. */
function rowOf(line, i) {
  const { question, answer } = JSON.parse(line);
  const number = Number(answer.split('#### ').at(-1).replaceAll(',', ''));
  const choices = [0, 1, 2, 3].map((k) => String(number + (k - (i % 4)) * (1 + (i % 3))));
  return { question, answer, choices, gold: i % 4 };
}

mkdirSync(join(folder, task));
for (const [split, count] of [
  ['train', Number(values.shots)],
  ['test', Number(values.rows)],
]) {
  const lines = readFileSync(join(values.gsm8k, `${split}.jsonl`), 'utf8')
    .split('\n')
    .slice(0, count);
  const rows = lines.map((line, i) => `${JSON.stringify(rowOf(line, i))}\n`);
  writeFileSync(join(folder, task, `${split}.jsonl`), rows.join(''));
}
const yaml = [...COMMON, `num_fewshot: ${values.shots}`, ...KINDS[values.task], 'metadata: {version: 1.0}'];
writeFileSync(join(folder, `${task}.yaml`), `${yaml.join('\n')}\n`);

/** Runs a program in the folder of the task; its CPU and wall seconds. */
function timed(program, words, env = {}) {
  const spawned = spawnSync('bash', ['-c', 'time -p "$0" "$@"', program, ...words], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    maxBuffer: 2 ** 28,
  });
  if (spawned.status !== 0)
    throw new Error(`${program} ended with ${spawned.status}:\n${spawned.stderr}\n${spawned.stdout}`);
  const secondsOf = (name) => Number(new RegExp(`^${name} ([\\d.]+)$`, 'm').exec(spawned.stderr)[1]);
  return { wall: secondsOf('real'), cpu: secondsOf('user') + secondsOf('sys') };
}

/** Responses of all rows, in their order. */
function responsesIn(path) {
  const names = readdirSync(path, { recursive: true }).map(String);
  const file = names
    .filter((name) => name.includes(`samples_${task}_`))
    .sort()
    .at(-1);
  const lines = readFileSync(join(path, file), 'utf8').trim().split('\n');
  const samples = lines.map((line) => JSON.parse(line)).sort((a, b) => a.doc_id - b.doc_id);
  return samples.map(({ resps }) => resps.flat(Infinity));
}

const tasks = ['--tasks', `${task}.yaml`];
const ours = (path, words) =>
  timed(process.execPath, [
    ...[join(root, 'packages/qdylora/bin/qdylora.js'), 'eval', '--model', model, '--quantization', 'none'],
    ...['--compute-dtype', 'f32', '--num-threads', values.threads, ...tasks, '--task-data', folder],
    ...['--output-dir', join(folder, path), ...words],
  ]);
const theirs = (path) =>
  timed(
    values.python,
    [
      ...['-m', 'lm_eval', '--model', 'hf', '--model_args', `pretrained=${model},dtype=float32`, ...tasks],
      ...['--device', 'cpu', '--batch_size', values.batch, '--output_path', join(folder, path)],
      '--log_samples',
    ],
    {
      HF_HUB_OFFLINE: '1',
      HF_DATASETS_CACHE: join(folder, 'cache'),
      OMP_NUM_THREADS: values.threads,
      MKL_NUM_THREADS: values.threads,
    },
  );
const adapter = values.adapter && ['--adapter', resolve(values.adapter)];
const SIDES = {
  'qdylora, base': (path) => ours(path, []),
  ...(values.python ? { 'lm_eval, base': theirs } : {}),
  ...(adapter
    ? {
        'qdylora, one rank': (path) =>
          ours(path, [...adapter, '--ranks', values.rank, '--compare-with-base=false']),
        'qdylora, all ranks and base': (path) => ours(path, [...adapter, '--ranks', values.ranks]),
      }
    : {}),
};

/** The largest difference of two log-likelihoods, and how many texts are equal. */
function agreement(one, other) {
  const pairs = one.flatMap((row, i) => row.map((value, k) => [value, other[i][k]]));
  const numbers = pairs.filter(([value]) => Number.isFinite(Number(value)));
  const largest = Math.max(0, ...numbers.map(([a, b]) => Math.abs(Number(a) - Number(b))));
  return { equal: pairs.filter(([a, b]) => String(a) === String(b)).length, of: pairs.length, largest };
}

try {
  const costs = Object.fromEntries(Object.keys(SIDES).map((who) => [who, []]));
  for (let round = 0; round < Number(values.rounds); round++)
    for (const [i, [who, run]] of Object.entries(SIDES).entries()) costs[who].push(run(`side${i}-${round}`));
  for (const [who, measured] of Object.entries(costs)) {
    const cpu = measured.map((each) => each.cpu);
    const row = { task: values.task, who, rows: Number(values.rows), shots: Number(values.shots) };
    const wall = median(measured.map((each) => each.wall));
    console.log(JSON.stringify({ ...row, cpu_s: median(cpu), cpu_s_by_round: cpu, wall_s: wall }));
  }
  if (values.python)
    console.log(
      JSON.stringify(agreement(responsesIn(join(folder, 'side0-0')), responsesIn(join(folder, 'side1-0')))),
    );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
