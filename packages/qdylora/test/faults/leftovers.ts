import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalJson, validateFolder } from '@qdylora/checkpoint';

/** What kills broke. */
export interface Damage {
  kills: number;
  /** Kills after which a save was left half done: a temporary folder lay beside the checkpoints. */
  killsInSaves: number;
  /** Runs that came to their end, each compared with one that nobody killed. */
  runs: number;
  /** Sentences; all of them empty where the promise holds. */
  readonly corrupt: string[];
  readonly lost: string[];
  readonly different: string[];
}

/**
 * What a finished run leaves, by relative path: a digest of each file whose bytes must not depend on kills.
 */
export type Leftovers = Readonly<Record<string, string>>;

/** What a kill has left: everything under a final name is whole, and no acknowledged save is missing. */
export function noteKill(folder: string, at: string, report: Damage): void {
  report.kills++;
  const checkpoints = join(folder, 'checkpoints');
  const names = existsSync(checkpoints) ? readdirSync(checkpoints) : [];
  if (names.some((name) => name.includes('.tmp-'))) report.killsInSaves++;
  const finals = [
    ...names.filter((name) => /^step-\d+$/.test(name)).map((name) => join('checkpoints', name)),
    ...['adapter', 'adapter-best'].filter((name) => existsSync(join(folder, name))),
  ];
  for (const name of finals) {
    const state = validateFolder(join(folder, name));
    if (!state.isValid) report.corrupt.push(`${at}: ${name}: ${state.problem}`);
  }
  const saves = eventsIn(folder).filter(({ type, kind }) => type === 'checkpoint' && kind === 'step');
  const newest = Math.max(0, ...names.map((name) => Number(/^step-(\d+)$/.exec(name)?.[1] ?? 0)));
  const acknowledged = Math.max(0, ...saves.map(({ step }) => step));
  if (newest < acknowledged)
    report.lost.push(`${at}: the save of step ${acknowledged} was acknowledged, and the newest is ${newest}`);
}

interface LoggedEvent {
  readonly type: string;
  readonly kind?: string;
  readonly step: number;
  readonly loss?: number;
  readonly rank?: number;
}

/** Whole lines of the log; a kill may cut the last one. */
function eventsIn(folder: string): LoggedEvent[] {
  const path = join(folder, 'events.jsonl');
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
  return lines.map((line) => JSON.parse(line) as LoggedEvent);
}

export function leftoversOf(folder: string): Leftovers {
  const digest = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');
  const found: Record<string, string> = {};
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = join(folder, name);
    if (/\.(safetensors)$|adapter_config\.json$|qdylora\.json$/.test(name))
      found[name] = digest(readFileSync(path));
    else if (name.endsWith('state.json'))
      found[name] = digest(
        canonicalJson({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), events_offset: 0 }),
      ); // a warning that a dead process' lock was taken over is an event too
    else if (/\.(json|jsonl|html|yaml)$|^(checkpoints|adapter|adapter-best)$|step-\d+$/.test(name))
      found[name] = 'there';
    else found[name] = 'unexpected';
  }
  found['losses'] = canonicalJson(
    eventsIn(folder)
      .filter(({ type }) => type === 'step')
      .map(({ step, loss, rank }) => [step, loss, rank]),
  );
  return found;
}

export function compareLeftovers(got: Leftovers, want: Leftovers, at: string, report: Damage): void {
  report.runs++;
  for (const name of new Set([...Object.keys(got), ...Object.keys(want)])) {
    if (got[name] !== want[name])
      report.different.push(
        `${at}: ${name} is ${got[name] ?? 'missing'}, without kills ${want[name] ?? 'missing'}`,
      );
  }
}
