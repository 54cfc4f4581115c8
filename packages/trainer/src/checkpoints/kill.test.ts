import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createRng } from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '@qdylora/testing/node';
import { eventsOf, tinyTrain } from '../../test/tiny-run.ts';
import { LOCK_FILE, OPTIMIZER_FILE } from '../index.ts';
import { PARAMETERS_FILE } from './save-state.ts';

const SCRIPT = fileURLToPath(new URL('../../test/killed-run.ts', import.meta.url));
const STEPS = 16;

/**
 * Runs the script on `folder`, kills it some milliseconds after its n-th step of this process; true where it
 * ended by itself.
 */
async function runUntilKilled(
  folder: string,
  kill: { step: number; milliseconds: number } | null,
  onStep: (step: number, loss: number) => void,
): Promise<boolean> {
  const child = spawn(
    process.execPath,
    ['--conditions=source', '--import', 'tsx', SCRIPT, folder, String(STEPS)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let steps = 0;
  createInterface(child.stdout).on('line', (line) => {
    const [step, loss] = line.split(' ').map(Number);
    onStep(step!, loss!);
    if (kill && ++steps === kill.step) setTimeout(() => child.kill('SIGKILL'), kill.milliseconds);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return code === 0;
}

describe('a run that is killed with SIGKILL, again and again, and resumed', () => {
  it('ends with the bits of one that nobody killed, and no step has ever had another loss', async () => {
    const folder = temporaryFolder();
    const whole = temporaryFolder();
    const losses = new Map<number, Set<number>>();
    const rng = createRng(11);
    const note = (step: number, loss: number): void => {
      losses.set(step, (losses.get(step) ?? new Set()).add(loss));
    };
    for (let kill = 0; kill < 2; kill++)
      await runUntilKilled(
        folder,
        { step: 2 + Math.floor(rng.uniform(kill) * 5), milliseconds: rng.uniform(kill, 1) * 30 },
        note,
      );
    expect(await runUntilKilled(folder, null, note)).toBe(true);
    const events = await eventsOf(tinyTrain({ totalSteps: STEPS, save: { folder: whole } }));
    expect([...losses].sort(([a], [b]) => a - b).map(([step, seen]) => [step, ...seen])).toEqual(
      events.flatMap((e) => (e.type === 'step' ? [[e.step, e.loss]] : [])),
    );
    for (const file of [PARAMETERS_FILE, OPTIMIZER_FILE]) {
      const [got, want] = [folder, whole].map((at) =>
        readFileSync(join(at, 'checkpoints', `step-${STEPS}`, file)),
      );
      expect(got!.equals(want!), file).toBe(true);
    }
    expect(() => readFileSync(join(folder, LOCK_FILE))).toThrow(/ENOENT/);
  });
});
