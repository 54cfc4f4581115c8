import { canonicalJson } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { isAbsent, type RunIdentity } from './run-state.ts';

/**
 * Refuses to resume if a value differs from that of the first run. A missing value equals null, so that a key
 * added by a later version does not end an older run. A hash (`…_hash`) that only one run has is ignored.
 * A larger `total_steps`, which `qdylora train` stores beside the keys, extends the run.
 *
 * @throws QdyloraError BAD_RESUME that lists every value that differs.
 */
export function assertSameRun(path: string, saved: RunIdentity, current: RunIdentity): void {
  const names = [...new Set([...Object.keys(saved), ...Object.keys(current)])].sort();
  const different = names.filter((name) => isDifferent(name, saved[name], current[name]));
  if (different.length === 0) return;
  const differences = different.map(
    (name) => `${shownName(name)} ${shown(current[name])} (was ${shown(saved[name])})`,
  );
  throw new QdyloraError('BAD_RESUME', {
    where: 'resume',
    problem: `This run has other values than the one that wrote ${path}: ${differences.join(', ')}`,
    nextStep:
      'Restore these values, or start a new run in another output_dir. To train this adapter further, ' +
      'name it in the new run: adapter.',
    details: { different },
  });
}

function isDifferent(name: string, saved: unknown, current: unknown): boolean {
  if (name.endsWith('_hash') && (isAbsent(saved) || isAbsent(current))) return false;
  if (name === 'total_steps' && Number(current) > Number(saved)) return false;
  return text(saved) !== text(current);
}

/** The number of steps is not a config key: it follows from max_steps or the epochs. */
const shownName = (name: string): string => (name === 'total_steps' ? 'number of steps' : name);

const text = (value: unknown): string => (isAbsent(value) ? 'nothing' : canonicalJson(value));

/** In one line: only the first 12 digits of a hash. */
const shown = (value: unknown): string =>
  isAbsent(value) ? 'not set' : JSON.stringify(value).replace(/(?<=^"[0-9a-f]{12})[0-9a-f]{20,}(?="$)/, '…');
