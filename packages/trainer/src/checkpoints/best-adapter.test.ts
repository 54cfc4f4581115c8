import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NODE_FILE_SYSTEM, type FileSystem } from '@qdylora/checkpoint';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { numbersOf } from '../../test/tiny-model.ts';
import { eventsOf, eventsOfType, tinyOptions, type TinyRunOptions } from '../../test/tiny-run.ts';
import { train, type DoneEvent } from '../index.ts';

const LOSSES = [6, 5, 4, 3.5, 3, 2, 7, 8];

/** A run of eight steps that evaluates them with `losses`; its best adapter has its weights as text. */
async function runIn(
  folder: string,
  {
    losses = LOSSES,
    every = 1,
    fs,
    ...rest
  }: TinyRunOptions & { losses?: number[]; every?: number; fs?: FileSystem } = {},
) {
  const run = ({ step }: { step: number }) =>
    Promise.resolve({ byRank: [{ rank: 1, loss: losses[step - 1]! }] });
  const writeBest = (at: string): void =>
    writeFileSync(join(at, 'weights'), numbersOf(options.adapted.parameters()).join());
  const save = { folder, every: 2, totalLimit: 9, writeBest, fs };
  const options = tinyOptions({ totalSteps: 8, evaluate: { every, run }, save, ...rest });
  const events = await eventsOf(train(options));
  return {
    best: (events.at(-1) as DoneEvent).result.best,
    warnings: eventsOfType(events, 'warning').map(({ code, message }) => `${code}: ${message}`),
    weights: numbersOf(options.adapted.parameters()).join(),
  };
}

const weightsIn = (folder: string, name = 'adapter-best'): string =>
  readFileSync(join(folder, name, 'weights'), 'utf8');
const fromStep = (folder: string, step: number) => ({ resume: join(folder, 'checkpoints', `step-${step}`) });

describe('the best adapter of a resumed run', () => {
  it('is never that of steps after its checkpoint: those are set aside, with a warning', async () => {
    const folder = temporaryFolder();
    expect(await runIn(folder)).toMatchObject({ best: { step: 6, score: 2 }, warnings: [] });
    const ofStep6 = weightsIn(folder);
    const resumed = await runIn(folder, { ...fromStep(folder, 4), every: 8 });
    expect(resumed.warnings).toEqual([
      expect.stringMatching(
        /^SUPERSEDED_BEST: .*-best was written after step 6, .* at step 4: .*adapter-best\.superseded,/,
      ),
    ]);
    expect(resumed.best).toEqual({ step: 8, score: 8 });
    expect(weightsIn(folder)).toBe(resumed.weights);
    expect(weightsIn(folder, 'adapter-best.superseded')).toBe(ofStep6);
  });

  it('is none where no later evaluation has a number', async () => {
    const folder = temporaryFolder();
    await runIn(folder);
    const resumed = await runIn(folder, { ...fromStep(folder, 4), losses: LOSSES.map(() => NaN) });
    expect(resumed.best).toBeNull();
    expect(existsSync(join(folder, 'adapter-best'))).toBe(false);
  });

  it('is that of an uninterrupted run, also from a checkpoint before the best step', async () => {
    const folder = temporaryFolder();
    const whole = await runIn(folder);
    const ofStep6 = weightsIn(folder);
    for (const step of [4, 6]) {
      const resumed = await runIn(folder, fromStep(folder, step));
      expect(resumed).toEqual({
        ...whole,
        warnings: step === 4 ? [expect.stringContaining('SUPERSEDED_BEST')] : [],
      });
      expect(weightsIn(folder)).toBe(ofStep6);
      expect(readdirSync(folder).filter((name) => name.includes('superseded'))).toEqual([]);
    }
  });

  it('stays where it does not name its step, as in earlier versions', async () => {
    const folder = temporaryFolder();
    await runIn(folder);
    rmSync(join(folder, 'adapter-best', 'best.json'));
    const resumed = await runIn(folder, { ...fromStep(folder, 4), every: 8 });
    expect(resumed).toMatchObject({ best: { step: 4, score: 3.5 }, warnings: [] });
    expect(existsSync(join(folder, 'adapter-best'))).toBe(true);
  });
});

describe('the best adapter after a resume that failed before its first checkpoint', () => {
  /** A run of eight steps, and a resume from step 4 whose first callback fails. */
  const failedResume = async (): Promise<string> => {
    const folder = temporaryFolder();
    await runIn(folder);
    const onPlan = (): void => {
      throw new Error('no plan');
    };
    await expect(runIn(folder, { ...fromStep(folder, 4), onPlan })).rejects.toThrow('no plan');
    expect(existsSync(join(folder, 'adapter-best'))).toBe(false);
    return folder;
  };

  it('starts over with a warning: the result never names an adapter that is missing', async () => {
    const folder = await failedResume();
    const resumed = await runIn(folder, { resume: 'latest', losses: LOSSES.map(() => NaN) });
    expect(resumed.best).toBeNull();
    expect(resumed.warnings).toEqual([
      expect.stringMatching(
        /^SUPERSEDED_BEST: The best evaluation of .* is that of step 4, but its adapter .* is missing: /,
      ),
    ]);
  });

  it('is that of the uninterrupted run if the next resume reaches its step', async () => {
    const folder = await failedResume();
    const ofStep6 = weightsIn(folder, 'adapter-best.superseded');
    expect((await runIn(folder, { resume: 'latest' })).best).toEqual({ step: 6, score: 2 });
    expect(weightsIn(folder)).toBe(ofStep6);
    expect(existsSync(join(folder, 'adapter-best.superseded'))).toBe(false);
  });

  it('is renamed back if the next resume begins after its step', async () => {
    const folder = await failedResume();
    const ofStep6 = weightsIn(folder, 'adapter-best.superseded');
    const resumed = await runIn(folder, { resume: join(folder, 'checkpoints', 'step-8.superseded') });
    expect(resumed).toMatchObject({ best: { step: 6, score: 2 }, warnings: [] });
    expect(weightsIn(folder)).toBe(ofStep6);
    expect(existsSync(join(folder, 'adapter-best.superseded'))).toBe(false);
  });
});

describe('a best adapter whose evaluation cannot be read', () => {
  const failing = (code: string): FileSystem => ({
    ...NODE_FILE_SYSTEM,
    readFileSync: ((path: string, ...rest: [never]) => {
      if (path.endsWith('best.json')) throw Object.assign(new Error(`${code}: read`), { code });
      return NODE_FILE_SYSTEM.readFileSync(path, ...rest);
    }) as FileSystem['readFileSync'],
  });

  it('ends a resume with the reason, and stays as it is', async () => {
    const folder = temporaryFolder();
    await runIn(folder);
    const ofStep6 = weightsIn(folder);
    await expect(runIn(folder, { ...fromStep(folder, 4), fs: failing('EIO') })).rejects.toMatchObject({
      code: 'BAD_RESUME',
      message: expect.stringMatching(
        /best\.json, which says .* cannot be read: EIO: read\. Make it readable/,
      ),
    });
    expect(weightsIn(folder)).toBe(ofStep6);
  });

  it('never ends a run that writes a better one', async () => {
    expect(await runIn(temporaryFolder(), { fs: failing('EIO') })).toMatchObject({
      best: { step: 6, score: 2 },
      warnings: [],
    });
  });
});
