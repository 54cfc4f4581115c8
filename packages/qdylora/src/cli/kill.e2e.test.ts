import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FAULT_MODEL, killRuns } from '../../test/faults/kill-runs.ts';
import { temporaryPlace, writeTinyModel, writeTinyRows } from '../../test/tiny-model.ts';

const isBuilt = existsSync(new URL('../../dist/train-worker.js', import.meta.url));
/** Kills of one round. `pnpm test:faults --kills 1000` is the same for longer. */
const KILLS = 12;
/** A round says little where no kill hit a save, or no run came to its end: then another round follows. */
const MOST_ROUNDS = 6;
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
      const firstSeed = Date.now() % 2 ** 30;
      const model = writeTinyModel(folder.in('model'), FAULT_MODEL);
      const dataset = writeTinyRows(folder.in('rows.jsonl'));
      let killsInSaves = 0;
      let runs = 0;
      for (let round = 0; round < MOST_ROUNDS && (killsInSaves === 0 || runs === 0); round++) {
        const seed = firstSeed + round;
        const scratch = folder.in(`round-${round}`);
        const report = await killRuns({ model, dataset, scratch, kills: KILLS, seed });
        expect({ ...report, seed }).toMatchObject({
          kills: KILLS,
          corrupt: [],
          lost: [],
          different: [],
          seed,
        });
        killsInSaves += report.killsInSaves;
        runs += report.runs;
      }
      expect(runs).toBeGreaterThan(0);
      expect(killsInSaves).toBeGreaterThan(0);
    },
    MOST_MILLISECONDS,
  );
});
