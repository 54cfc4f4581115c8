import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { evaluateTasks } from '../tasks/evaluate-tasks.ts';
import { assertPlotFits } from '../tune/write-tuned.ts';
import { checkOutputFolder, checkPageFolder } from './output-folder.ts';

describe('an output folder below /proc, where Node never returns from mkdir', () => {
  it('is refused before a run, a search of the rate and an evaluation of tasks', async ({ skip }) => {
    skip(!existsSync('/proc/self/stat'), 'needs /proc');
    for (const path of ['/proc/x', '/proc/x/y']) {
      expect(() => checkOutputFolder(path, null)).toThrow(/\/proc\/x.*ENOENT|cannot be written/);
      expect(() => checkPageFolder(path)).toThrow(/page_dir.*\/proc\/x.*ENOENT|cannot be written/s);
      expect(() => assertPlotFits(path)).toThrow(/\/proc\/x.*ENOENT|cannot be written/);
      await expect(
        evaluateTasks({ model: 'nowhere', tasks: ['gsm8k'], taskData: 'nowhere', outputDir: path }),
      ).rejects.toMatchObject({ code: 'WRITE_FAILED' });
    }
  });
});
