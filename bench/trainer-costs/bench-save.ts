import {
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { validateFolder } from '@qdylora/checkpoint';
import type { CausalLm } from '@qdylora/models';
import { freshProgress, saveState } from '@qdylora/trainer';
import { COST_OPTIONS } from './cost-options.ts';
import { adamw, batchOf, costRunner } from './cost-runner.ts';
import { reportRatio, timed } from './report-ratio.ts';

/** A checkpoint against its own bytes in one file with one fsync. */
export async function benchSave(model: CausalLm): Promise<void> {
  const { adapted, optimizer, step } = costRunner(model, adamw);
  const folder = mkdtempSync(join(COST_OPTIONS.scratch, 'qdylora-save-'));
  const seconds: number[] = [];
  const plainSeconds: number[] = [];
  await step(0, [batchOf(model, 0)], null);
  const progress = { ...freshProgress(), step: 1 };
  try {
    for (let round = -1; round < COST_OPTIONS.steps; round++) {
      const path = join(folder, `step-${round + 2}`);
      const single = join(folder, 'one-file');
      const took = await timed(() =>
        saveState(path, { backend: adapted.model.backend, optimizer, progress, identity: {} }, {}),
      );
      const bytes = Buffer.concat(
        readdirSync(path)
          .sort()
          .map((name) => readFileSync(join(path, name))),
      );
      const plain = await timed(() => writeWithOneSync(single, bytes));
      if (!validateFolder(path).isValid) throw new Error('expected a whole checkpoint');
      if (round >= 0) {
        seconds.push(took);
        plainSeconds.push(plain);
      } else
        console.log(
          `\nsave: ${(bytes.length / 1e6).toFixed(0)} MB in ${readdirSync(path).length} files, with ` +
            `SHA-256, an fsync of each file and folder, and a rename`,
        );
      rmSync(path, { recursive: true });
      rmSync(single);
      settle(folder);
    }
    reportRatio('a save against its bytes with one fsync', seconds, plainSeconds);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    optimizer.dispose();
  }
}

/**
 * Lets the disk forget what was removed, which the next fsync would wait for: where blocks are discarded at
 * once, longer than for its own bytes.
 */
function settle(folder: string): void {
  const at = openSync(folder, 'r');
  fsyncSync(at);
  closeSync(at);
}

function writeWithOneSync(path: string, bytes: Buffer): void {
  const file = openSync(path, 'w');
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
  fsyncSync(file);
  closeSync(file);
  if (statSync(path).size !== bytes.length) throw new Error('expected all bytes');
}
