// lm-evaluation-harness as a client of `qdylora serve`, against `qdylora eval --tasks`: the same requests
// must get the same numbers. Exit status 1 where a score differs.
//
//   node bench/peers/lm-eval-against-server.mjs --python PYTHON --model DIR --adapter DIR --ranks 1,4
//
// --python: a Python with lm_eval 0.4.13 ([api]). Two tasks on made rows: multiple choice (likelihoods of
// echoed prompts) and generated text with stop strings. Both sides compute in float32, batch invariant.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    model: { type: 'string' },
    adapter: { type: 'string' },
    ranks: { type: 'string', default: '1' },
    rows: { type: 'string', default: '12' },
    threads: { type: 'string', default: '1' },
  },
});
const root = fileURLToPath(new URL('../../', import.meta.url));
const qdylora = [
  '--conditions=source',
  '--import',
  import.meta.resolve('tsx'),
  join(root, 'packages/qdylora/src/main.ts'),
];
const folder = mkdtempSync(join(tmpdir(), 'qdylora-lm-eval-'));
const model = resolve(values.model);
const adapter = resolve(values.adapter);
const common = ['--model', model, '--num-threads', values.threads];

const WORDS = 'people law river peace whale nation water war ship labor public captain'.split(' ');
const word = (i) => WORDS[(i * 7 + 3) % WORDS.length];

const TASKS = {
  made_choice: {
    yaml: [
      'output_type: multiple_choice',
      'doc_to_text: "Question: {{question.strip()}}\\nAnswer:"',
      'doc_to_choice: choices',
      'doc_to_target: "{{choices.index(answer)}}"',
      'metric_list:',
      '  - {metric: acc, aggregation: mean, higher_is_better: true}',
      '  - {metric: acc_norm, aggregation: mean, higher_is_better: true}',
    ],
    row: (i) => {
      const choices = [0, 1, 2, 3].map((k) => `${word(i + k)} and the ${word(i + 2 * k + 1)}`);
      return { question: `What of the ${word(i)}, number ${i}?`, choices, answer: choices[i % 4] };
    },
  },
  made_text: {
    yaml: [
      'output_type: generate_until',
      'doc_to_text: "The {{start}}"',
      'doc_to_target: "{{answer}}"',
      'generation_kwargs: {until: [".", "the "], do_sample: false, max_gen_toks: 24}',
      'metric_list:',
      '  - {metric: exact_match, aggregation: mean, higher_is_better: true}',
    ],
    row: (i) => ({ start: `${word(i)} of the ${word(i + 5)}`, answer: word(i) }),
  },
};

for (const [name, { yaml, row }] of Object.entries(TASKS)) {
  const head = [`task: ${name}`, `dataset_path: ${name}`, 'test_split: test', 'num_fewshot: 0'];
  writeFileSync(
    join(folder, `${name}.yaml`),
    `${[...head, ...yaml, 'metadata: {version: 1.0}'].join('\n')}\n`,
  );
  mkdirSync(join(folder, name));
  const rows = Array.from({ length: Number(values.rows) }, (_, i) => `${JSON.stringify(row(i))}\n`);
  writeFileSync(join(folder, name, 'test.jsonl'), rows.join(''));
}
const files = Object.keys(TASKS).map((name) => `${name}.yaml`);

/** Runs a program in the folder of the tasks and throws with what it said where it fails. */
function runIn(program, words, env = {}) {
  const { status, stdout, stderr } = spawnSync(program, words, {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    maxBuffer: 2 ** 28,
  });
  if (status !== 0)
    throw new Error(`${program} ${words.join(' ')} ended with ${status}:\n${stderr}\n${stdout}`);
}

/** The newest results and samples below a folder, by task. */
function resultsIn(path) {
  const names = readdirSync(path, { recursive: true }).map(String).sort();
  const textOf = (isWanted) => readFileSync(join(path, names.findLast(isWanted)), 'utf8');
  const samples = {};
  for (const task of Object.keys(TASKS)) {
    const lines = textOf((name) => name.includes(`samples_${task}_`))
      .trim()
      .split('\n');
    samples[task] = lines.map((line) => JSON.parse(line)).sort((a, b) => a.doc_id - b.doc_id);
  }
  return { scores: JSON.parse(textOf((name) => /results_.*\.json$/.test(name))).results, samples };
}

/** Of two lists of responses: their number, how many are equal, the largest difference of two numbers. */
function compareSamples(ours, theirs) {
  let count = 0;
  let equal = 0;
  let largest = 0;
  for (const [i, sample] of ours.entries()) {
    const flat = [sample.resps.flat(Infinity), theirs[i].resps.flat(Infinity)];
    for (const [k, value] of flat[0].entries()) {
      const other = flat[1][k];
      count++;
      if (String(value) === String(other)) equal++;
      else if (Number.isFinite(Number(value)) && Number.isFinite(Number(other)))
        largest = Math.max(largest, Math.abs(Number(value) - Number(other)));
      else largest = Infinity;
    }
  }
  return { count, equal, largest };
}

const server = spawn(process.execPath, [...qdylora, 'serve', `peer=${adapter}`, ...common, '--port', '0'], {
  cwd: root,
  stdio: ['ignore', 'pipe', 'inherit'],
});
let differs = false;
try {
  const [line] = await once(server.stdout, 'data');
  const url = `${line.toString().trim()}/completions`;
  for (const rank of values.ranks.split(',')) {
    const theirs = join(folder, `theirs-${rank}`);
    const ours = join(folder, `ours-${rank}`);
    const id = rank === '0' ? 'peer:base' : `peer:r${rank}`;
    const client = `model=${id},base_url=${url},tokenizer=${model},tokenizer_backend=huggingface`;
    const tasks = ['--tasks', files.join(',')];
    const limits = 'num_concurrent=4,max_length=512';
    runIn(
      values.python,
      [
        ...['-m', 'lm_eval', '--model', 'local-completions', '--model_args', `${client},${limits}`],
        ...[...tasks, '--output_path', theirs, '--log_samples'],
      ],
      { HF_HUB_OFFLINE: '1', HF_DATASETS_CACHE: join(folder, 'cache'), OPENAI_API_KEY: 'none' },
    );
    const ranks = rank === '0' ? [] : ['--adapter', adapter, '--ranks', rank, '--compare-with-base=false'];
    runIn(process.execPath, [
      ...[...qdylora, 'eval', ...common, ...ranks, '--batch-invariant', ...tasks],
      ...['--task-data', folder, '--output-dir', ours],
    ]);
    const [a, b] = [resultsIn(ours), resultsIn(theirs)];
    for (const task of Object.keys(TASKS)) {
      for (const metric of Object.keys(b.scores[task]).filter((key) =>
        /^(acc|acc_norm|exact_match),/.test(key),
      )) {
        const [one, other] = [a.scores[task][metric], b.scores[task][metric]];
        differs ||= one !== other;
        console.log(`${id} ${task} ${metric}: eval ${one}, lm-eval through the server ${other}`);
      }
      const { count, equal, largest } = compareSamples(a.samples[task], b.samples[task]);
      console.log(`${id} ${task}: ${equal} of ${count} responses are equal, largest difference ${largest}`);
    }
  }
} finally {
  server.kill('SIGTERM');
  await once(server, 'exit');
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = differs ? 1 : 0;
