// Runs the jobs of bench/research/jobs that have no result yet, one after the other, at low priority. It can
// be stopped at any time: the next call resumes the job that was stopped from its newest checkpoint. Jobs of
// several adapters and MatryoshkaLoRA have no checkpoints and start again.
//   node bench/research/queue.mjs --model ../smollm2 [--jobs causes] [--until 05:30]
// Results are lines of JSON in bench/research/results/<file of jobs>.jsonl.
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { cpus, setPriority } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '..', '..');
const runs = join(here, 'runs');

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    jobs: { type: 'string' },
    until: { type: 'string' },
    dataset: { type: 'string', default: join(root, 'examples/demo/gsm8k-train.jsonl') },
    'eval-dataset': { type: 'string', default: join(root, 'examples/demo/gsm8k-test.jsonl') },
  },
});

/** Jobs that failed. The next call of the queue runs them again. */
const failed = new Set();

/** The first job without a result, file by file; files may change between two jobs. */
function nextJob() {
  for (const file of readdirSync(join(here, 'jobs')).sort()) {
    const name = basename(file, '.json');
    if (values.jobs !== undefined && values.jobs !== name) continue;
    const finished = finishedIds(name);
    const { jobs } = JSON.parse(readFileSync(join(here, 'jobs', file), 'utf8'));
    const waiting = jobs.find(({ id }) => !finished.has(id) && !failed.has(id));
    if (waiting) return { file, name, id: waiting.id };
  }
  return null;
}

const resultsOf = (name) => join(here, 'results', `${name}.jsonl`);

function finishedIds(name) {
  if (!existsSync(resultsOf(name))) return new Set();
  const lines = readFileSync(resultsOf(name), 'utf8').split('\n').filter(Boolean);
  return new Set(lines.map((line) => JSON.parse(line).id));
}

/** The next time that the clock shows `until` (HH:MM); Infinity without `until`. */
function endOfQueue(until) {
  if (until === undefined) return Infinity;
  const [hours, minutes] = until.split(':').map(Number);
  const end = new Date();
  end.setHours(hours, minutes, 0, 0);
  if (Number.isNaN(end.getTime())) throw new Error(`--until must be a time such as 05:30 (got ${until})`);
  if (end <= new Date()) end.setDate(end.getDate() + 1);
  return end.getTime();
}

const end = endOfQueue(values.until);
const isPastEnd = () => Date.now() >= end;

const commit = () =>
  spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).stdout.trim();

function runJob({ file, name, id }) {
  const folder = join(runs, id);
  mkdirSync(folder, { recursive: true });
  const { status } = spawnSync(
    process.execPath,
    ['--conditions=source', '--import', 'tsx', join(here, 'run-job.ts'), join(here, 'jobs', file), id].concat(
      ...['model', 'dataset', 'eval-dataset'].map((flag) => [`--${flag}`, values[flag]]),
      ['--output-dir', folder],
    ),
    { cwd: root, stdio: 'inherit' },
  );
  if (status !== 0) {
    console.error(`The job ${id} ended with status ${status}. The queue continues.`);
    failed.add(id);
    return;
  }
  const result = JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8'));
  mkdirSync(join(here, 'results'), { recursive: true });
  appendFileSync(
    resultsOf(name),
    `${JSON.stringify({ ...result, commit: commit(), processor: cpus()[0].model })}\n`,
  );
  rmSync(folder, { recursive: true });
}

/** One queue at a time; the lock of a queue that no longer runs is taken over. */
function lock() {
  mkdirSync(runs, { recursive: true });
  const file = join(runs, 'queue.pid');
  const holder = existsSync(file) ? readFileSync(file, 'utf8') : null;
  if (holder !== null && commandOf(holder).includes('queue.mjs'))
    throw new Error(`A queue is already running (process ${holder}).`);
  writeFileSync(file, String(process.pid));
}

/** The command of a process; empty if there is none (Linux). */
function commandOf(pid) {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

if (!values.model) throw new Error('Name the folder of the base model: --model ../smollm2.');
setPriority(15);
lock();
for (let job = nextJob(); job && !isPastEnd(); job = nextJob()) runJob(job);
if (failed.size > 0) process.exitCode = 1;
