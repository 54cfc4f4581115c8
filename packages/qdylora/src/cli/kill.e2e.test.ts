import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FAULT_MODEL, killRuns } from '../../test/faults/kill-runs.ts';
import { temporaryPlace, writeTinyModel, writeTinyRows } from '../../test/tiny-model.ts';

const isBuilt = existsSync(new URL('../../dist/train-worker.js', import.meta.url));
/** `pnpm test:faults --kills 1000` is the same for longer. */
const KILLS = 12;
/** Half a second of a processor each; the rest is for a machine and a disk that others use too. */
const MOST_MILLISECONDS = 600_000;

describe('the command, killed with SIGKILL at random instants and resumed with auto', () => {
  it(
    'never leaves a damaged save, never loses an acknowledged one, and ends with the bytes of a run that ' +
      'nobody killed',
    async ({ skip }) => {
      skip(!isBuilt, 'packages/qdylora/dist is not built');
      const folder = temporaryPlace(existsSync('/dev/shm') ? '/dev/shm' : undefined);
      // a kill loses nothing that was written, synced or not: memory will do
      const seed = Date.now() % 2 ** 31;
      const report = await killRuns({
        model: writeTinyModel(folder.in('model'), FAULT_MODEL),
        dataset: writeTinyRows(folder.in('rows.jsonl')),
        scratch: folder.path,
        kills: KILLS,
        seed,
      });
      expect({ ...report, seed }).toMatchObject({ kills: KILLS, corrupt: [], lost: [], different: [], seed });
      expect(report.runs).toBeGreaterThan(0);
      expect(report.killsInSaves).toBeGreaterThan(0);
    },
    MOST_MILLISECONDS,
  );
});
