import { spawnSync } from 'node:child_process';
import * as nodeFs from 'node:fs';
import { join } from 'node:path';
import type { FileSystem } from '@qdylora/checkpoint';
import { thisProcess, type TrainEvent } from '@qdylora/trainer';
import { MemoryFileSystem } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { tinyRun } from '../../../test/tiny-run.ts';
import { finetune, type FinetuneEvent, type LogWarningEvent } from '../../index.ts';
import { openEventLog } from './event-log.ts';

const CODES = ['ENOSPC', 'EIO', 'EROFS', 'EMFILE'] as const;
const { folder, common: sixSteps } = tinyRun();
const saved = (step: number): TrainEvent => ({
  type: 'checkpoint',
  path: `step-${step}`,
  step,
  kind: 'step',
});
const stepOf = (event: object): number => (event as { readonly step: number }).step;
const stepsIn = (text: string): number[] =>
  text.split('\n').flatMap((line) => (line ? [(JSON.parse(line) as { step: number }).step] : []));

/** Ten events, the system's call number `call` failing with `code`: what the file has, and what was said. */
function tenEvents(call: number, code: string) {
  const memory = new MemoryFileSystem();
  const warnings: LogWarningEvent[] = [];
  memory.fs.mkdirSync('/run', { recursive: true });
  const before = memory.calls;
  const log = openEventLog('/run/events.jsonl', {
    startStep: 0,
    warn: (warning) => {
      warnings.push(warning);
    },
    fs: memory.fs,
  });
  memory.failAt(before + call, code);
  for (let step = 1; step <= 10; step++) log.write(saved(step));
  log.close();
  const calls = memory.calls - before;
  return { text: memory.fs.readFileSync('/run/events.jsonl', 'utf8'), warnings, calls, log };
}

describe('the log of events', () => {
  const { calls } = tenEvents(Infinity, 'EIO');
  const whole = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

  it.each(CODES)(
    'has every event once, in order, whichever of its calls fails with %s; it says so once, and again at ' +
      'the end',
    (code) => {
      let heard = 0;
      for (let call = 1; call <= calls; call++) {
        const { text, warnings, log } = tenEvents(call, code);
        const at = `call ${call} of ${calls}`;
        expect([stepsIn(text), log.events().map(stepOf)], at).toEqual([whole, whole]);
        if (warnings.length === 0) continue; // closing, and removing a temporary file, may fail
        heard++;
        const [first, last] = warnings as [LogWarningEvent, LogWarningEvent];
        expect(
          warnings.map(({ type, code: warningCode, path, reason }) => [
            type,
            warningCode,
            path,
            reason.slice(0, code.length),
          ]),
          at,
        ).toEqual(Array(2).fill(['warning', 'LOG_NOT_WRITTEN', '/run/events.jsonl', code]));
        expect([first.unwrittenEvents, first.message, last.unwrittenEvents, last.message], at).toEqual([
          1,
          expect.stringMatching(
            /\[events\] Cannot append to \/run\/events\.jsonl: E[^]*Training goes on[^]*Make room/,
          ),
          0,
          expect.stringContaining('whole again'),
        ]);
      }
      expect(heard).toBeGreaterThan(20);
    },
  );

  it('of a run that begins keeps no event of a step, not even of step 0, which it evaluates again', () => {
    const path = folder.in('again.jsonl');
    const log = (startStep: number) => openEventLog(path, { startStep, warn: () => {} });
    const first = log(0);
    for (const step of [0, 1]) first.write(saved(step));
    first.close();
    const resumed = log(1);
    resumed.write(saved(2));
    resumed.close();
    expect(stepsIn(nodeFs.readFileSync(path, 'utf8'))).toEqual([0, 1, 2]);
    const again = log(0);
    again.write(saved(0));
    again.close();
    expect(stepsIn(nodeFs.readFileSync(path, 'utf8'))).toEqual([0]);
  });

  it('keeps events for a disk that never takes one, up to a megabyte, and then counts', () => {
    const warnings: LogWarningEvent[] = [];
    const broken = {
      ...nodeFs,
      writeSync: () => {
        throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
      },
    } as FileSystem;
    const log = openEventLog(folder.in('full.jsonl'), {
      startStep: 0,
      warn: (warning) => {
        warnings.push(warning);
      },
      fs: broken,
    });
    const long = 'x'.repeat(2 ** 16);
    for (let step = 1; step <= 20; step++) log.write({ type: 'checkpoint', path: long, step, kind: 'step' });
    log.close();
    expect(warnings.map(({ unwrittenEvents, step }) => [unwrittenEvents, step])).toEqual([
      [1, 1],
      [20, 20],
    ]);
    expect(warnings[1].message).toMatch(/20 events of this process are not in it/);
    expect(log.events().map(stepOf)).toEqual(Array.from({ length: 16 }, (_, i) => i + 1));
  });
});

describe('a run whose log', () => {
  const common = { ...sixSteps, evalSteps: 3 } as const;
  const warningsOf = (events: readonly FinetuneEvent[]) =>
    events.filter((event): event is Extract<FinetuneEvent, { type: 'warning' }> => event.type === 'warning');
  async function trained(
    outputDir: string,
    options: { readonly fs?: FileSystem; readonly resumeFromCheckpoint?: string } = {},
  ) {
    const run = finetune({ ...common, outputDir, ...options });
    const events: FinetuneEvent[] = [];
    for await (const event of run) events.push(event);
    return { events, ...(await run.result) };
  }
  /** Fails to open events.jsonl for writing from its `from`-th time to its `to`-th. */
  function failing(code: string, from: number, to: number): FileSystem {
    let opened = 0;
    const openSync: FileSystem['openSync'] = (path, flags, mode) => {
      if (String(path).endsWith('events.jsonl') && ++opened >= from && opened <= to)
        throw Object.assign(new Error(`${code}: simulated`), { code });
      return nodeFs.openSync(path, flags, mode);
    };
    return { ...nodeFs, openSync };
  }
  const adapterOf = (outputDir: string): string[] =>
    nodeFs
      .readdirSync(join(outputDir, 'adapter'))
      .sort()
      .map((name) => nodeFs.readFileSync(join(outputDir, 'adapter', name)).toString('base64'));

  it.each(CODES)(
    'cannot be written from its third event on (%s) trains to its end, saves, judges and reports; says so ' +
      'once, and at the end how many are missing',
    async (code) => {
      const whole = await trained(folder.in(`whole-${code}`));
      const broken = await trained(folder.in(`broken-${code}`), { fs: failing(code, 3, Infinity) });
      expect(adapterOf(folder.in(`broken-${code}`))).toEqual(adapterOf(folder.in(`whole-${code}`)));
      expect(nodeFs.readdirSync(folder.in(`broken-${code}/checkpoints`)).sort()).toEqual([
        'step-4',
        'step-6',
      ]);
      const logged = (name: string) =>
        nodeFs.readFileSync(folder.in(`${name}-${code}/events.jsonl`), 'utf8').split('\n').length - 1;
      const missing = logged('whole') - 2;
      expect(logged('broken')).toBe(2);
      expect(
        warningsOf(broken.events).map((event) => [
          event.code,
          'unwrittenEvents' in event && event.unwrittenEvents,
        ]),
      ).toEqual([
        ['LOG_NOT_WRITTEN', 1],
        ['LOG_NOT_WRITTEN', missing],
      ]);
      expect([broken.report.evaluations, broken.report.notes.length]).toEqual([
        whole.report.evaluations,
        whole.report.notes.length + 2,
      ]); // the report has what only memory has
    },
  );

  it('could not be written for a while has every event in the end', async () => {
    const whole = await trained(folder.in('whole'));
    const late = await trained(folder.in('late'), { fs: failing('ENOSPC', 3, 7) });
    const stepsOf = (name: string) => stepsIn(nodeFs.readFileSync(folder.in(`${name}/events.jsonl`), 'utf8'));
    expect(stepsOf('late')).toEqual(stepsOf('whole'));
    expect(
      warningsOf(late.events).map((event) => 'unwrittenEvents' in event && event.unwrittenEvents),
    ).toEqual([1, 0]);
    expect(warningsOf(whole.events)).toEqual([]);
  });

  it(
    'lies in a folder that a dead process had locked tells of that: as an event, in the log and in the ' +
      'report',
    async () => {
      const outputDir = folder.in('stale');
      const { pid } = spawnSync(process.execPath, ['-e', '']);
      const { host, bootId, startTime } = thisProcess();
      await trained(outputDir);
      nodeFs.writeFileSync(
        join(outputDir, 'lock.json'),
        JSON.stringify({ pid, host, boot_id: bootId, start_time: startTime }),
      );
      const { events, report } = await trained(outputDir, { resumeFromCheckpoint: 'auto' });
      const sentence = `took over the lock of process ${pid}, which is gone`;
      expect(warningsOf(events)).toEqual([
        { type: 'warning', code: 'STALE_LOCK', message: sentence, step: 6 },
      ]);
      expect(nodeFs.readFileSync(join(outputDir, 'events.jsonl'), 'utf8').split('STALE_LOCK').length).toBe(2);
      expect(report.notes).toContain(sentence);
    },
  );

  it('has no place in the folder ends before its first step, and leaves the folder free', async () => {
    const outputDir = folder.in('no-place');
    nodeFs.mkdirSync(join(outputDir, 'run.yaml'), { recursive: true });
    const run = finetune({ ...common, outputDir, resumeFromCheckpoint: 'auto' });
    await expect(run.result).rejects.toMatchObject({ code: 'WRITE_FAILED' });
    expect(nodeFs.readdirSync(outputDir)).toEqual(['run.yaml']);
  });
});
