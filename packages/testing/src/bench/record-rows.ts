import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** One measurement: column → value. Columns that a row lacks stay empty. */
export type ResultRow = Readonly<Record<string, string | number | null | undefined>>;

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));

/** The command that `npm run bench … --record` was started with; nothing is recorded without it. */
const recordedCommand = (): string | undefined => process.env.QDYLORA_BENCH_RECORD;

/** Rows of this process, so that later calls add to the table of the first one. */
const recorded: ResultRow[] = [];

/**
 * Adds rows to this machine's results file, bench/results/<machine>.md. The rows of one process make one
 * table under the command that made them, which replaces that command's earlier table. Without `--record`
 * nothing is written.
 */
export function recordRows(rows: readonly ResultRow[], folder = join(ROOT, 'bench', 'results')): void {
  const command = recordedCommand();
  if (!command || rows.length === 0) return;
  recorded.push(...rows);
  const machine = describeMachine();
  const path = join(folder, `${machine.file}.md`);
  const sections = existsSync(path) ? readSections(readFileSync(path, 'utf8')) : new Map<string, string>();
  sections.set(command, sectionText(recorded));
  mkdirSync(folder, { recursive: true });
  const body = [...sections]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([title, text]) => `## ${title}\n\n${text}`);
  writeFileSync(path, `${[machine.heading, ...body].join('\n\n')}\n`);
}

/** Tables by the command that made them. */
function readSections(text: string): Map<string, string> {
  const [, ...sections] = text.split(/^## /m);
  return new Map(
    sections.map((section) => {
      const end = section.indexOf('\n');
      return [section.slice(0, end), section.slice(end).trim()];
    }),
  );
}

function sectionText(rows: readonly ResultRow[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const isNumber = (column: string): boolean => rows.some((row) => typeof row[column] === 'number');
  return [
    `Commit ${commit()}, ${new Date().toISOString().slice(0, 10)}, Node ${process.version}.`,
    '',
    line(columns),
    line(columns.map((column) => (isNumber(column) ? '---:' : '---'))),
    ...rows.map((row) => line(columns.map((column) => cellText(row[column])))),
  ].join('\n');
}

/** Four digits are more than two runs have in common. */
function cellText(value: ResultRow[string]): string {
  if (typeof value !== 'number') return (value ?? '').replaceAll('|', '\\|');
  const isSmall = value !== 0 && Math.abs(value) < 1e-3;
  return isSmall
    ? value.toExponential(1)
    : Number(value.toPrecision(4)).toLocaleString('en-US', { maximumFractionDigits: 6 });
}

function commit(): string {
  const git = (...words: string[]): string =>
    execFileSync('git', words, { cwd: ROOT, encoding: 'utf8' }).trim();
  const isChanged = git('status', '--porcelain', '--', 'packages', 'bench', ':!bench/results') !== '';
  return `${git('rev-parse', '--short', 'HEAD')}${isChanged ? ' with changes' : ''}`;
}

/** The processor as the system names it, with family and model numbers: clouds hide the marketing name. */
function describeMachine(): { readonly file: string; readonly heading: string } {
  const text = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  const field = (name: string): string => new RegExp(`^${name}\\s*: (.+)$`, 'm').exec(text)?.[1] ?? 'unknown';
  const cores = availableParallelism();
  const model = `family ${field('cpu family')}, model ${field('model')}, stepping ${field('stepping')}`;
  const name = field('model name');
  const words = `${name} ${field('cpu family')} ${field('model')} ${cores} cores`.replace(
    /\(R\)|\(TM\)|processor/gi,
    '',
  );
  return {
    file: words
      .toLowerCase()
      .match(/[a-z0-9]+/g)!
      .join('-'),
    heading:
      `# ${name} (${model}), ${cores} cores, ${Math.round(totalmem() / 2 ** 30)} GiB\n\n` +
      'Written by the benches (`npm run bench NAME -- --record`); do not edit.',
  };
}
