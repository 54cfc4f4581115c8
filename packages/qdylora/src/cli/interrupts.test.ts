import { describe, expect, it } from 'vitest';
import type { Context } from './context.ts';
import { withInterrupts } from './interrupts.ts';
import { createProgram } from './main.ts';

/** Work that ends `after` an abort has asked it to, and what is said and done meanwhile. */
async function interrupted(
  signals: readonly ('SIGINT' | 'SIGTERM' | 'SIGHUP')[],
  {
    savingSeconds,
    deadlineSeconds = 8,
    outlivesTerminal = false,
    endsBy,
  }: { savingSeconds: number; deadlineSeconds?: number; outlivesTerminal?: boolean; endsBy?: number },
) {
  const notes: string[] = [];
  const left: string[] = [];
  const work = (signal: AbortSignal): Promise<string> =>
    new Promise((resolve) => {
      if (endsBy !== undefined) setTimeout(resolve, endsBy * 1000, 'done');
      signal.addEventListener('abort', () =>
        setTimeout(resolve, savingSeconds * 1000, `saved: ${(signal.reason as Error).message}`),
      );
    });
  const running = withInterrupts({ note: (line) => notes.push(line), outlivesTerminal }, work, {
    deadlineSeconds,
    leave: (signal) => left.push(signal),
  });
  for (const signal of signals) process.emit(signal);
  return { ended: await running, notes, left };
}

describe('interrupts', () => {
  it('the first Ctrl-C asks the work to save and end, the second leaves at once', async () => {
    expect(await interrupted(['SIGINT'], { savingSeconds: 0 })).toMatchObject({
      ended: expect.stringMatching(/SIGINT/) as string,
      left: [],
    });
    expect((await interrupted(['SIGINT', 'SIGINT'], { savingSeconds: 0.05 })).left).toEqual(['SIGINT']);
  });

  it('SIGTERM saves, and leaves by the deadline where saving takes longer', async () => {
    expect(await interrupted(['SIGTERM'], { savingSeconds: 0, deadlineSeconds: 0.3 })).toMatchObject({
      ended: expect.stringMatching(/SIGTERM/) as string,
      left: [],
    });
    const late = await interrupted(['SIGTERM'], { savingSeconds: 0.3, deadlineSeconds: 0.05 });
    expect([late.left, late.notes]).toEqual([
      ['SIGTERM'],
      [expect.stringMatching(/within 0.05 s/), expect.stringMatching(/^Not done within/)],
    ]);
  });

  it('Ctrl-C after SIGTERM leaves at once, and a second SIGTERM does not put the deadline off', async () => {
    expect((await interrupted(['SIGTERM', 'SIGINT'], { savingSeconds: 0.05 })).left).toEqual(['SIGINT']);
    expect(
      (await interrupted(['SIGTERM', 'SIGTERM'], { savingSeconds: 0.3, deadlineSeconds: 0.05 })).left,
    ).toEqual(['SIGTERM']);
  });

  it('SIGHUP of a closed terminal saves as SIGTERM does, except under nohup', async () => {
    expect(await interrupted(['SIGHUP'], { savingSeconds: 0 })).toMatchObject({
      ended: expect.stringMatching(/SIGHUP/) as string,
      left: [],
    });
    expect(
      await interrupted(['SIGHUP', 'SIGTERM'], { savingSeconds: 0.3, deadlineSeconds: 0.05 }),
    ).toMatchObject({ ended: expect.stringMatching(/SIGHUP/) as string, left: ['SIGTERM'] });
    expect(await interrupted(['SIGHUP'], { savingSeconds: 0, outlivesTerminal: true, endsBy: 0.05 })).toEqual(
      { ended: 'done', notes: [], left: [] },
    );
  });

  it('leaves no handler behind, whether the work ends well or not', async () => {
    const handlers = (): number[] =>
      (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((signal) => process.listenerCount(signal));
    const before = handlers();
    await interrupted(['SIGTERM'], { savingSeconds: 0 });
    await withInterrupts({ note: () => {}, outlivesTerminal: false }, () =>
      Promise.reject(new Error('no')),
    ).catch(() => {});
    expect(handlers()).toEqual(before);
  });

  it.each([
    ['eval'],
    ['eval', '--tasks', 'gsm8k'],
    ['plan', '--model', 'm'],
    ['ranks', '--adapter', 'a'],
    ['merge'],
    ['export', '--budget', '5MB'],
  ])('%s, which saves nothing, does not promise to save', async (...words) => {
    const said: (string | undefined)[] = [];
    const interruptible: Context['interruptible'] = (_, stopping) => {
      said.push(stopping);
      return Promise.reject(new Error('enough'));
    };
    const terminal = { status: () => {}, note: () => {}, columns: 80 };
    const program = createProgram({ terminal, interruptible, argv: words } as unknown as Context);
    await expect(program.parseAsync(words, { from: 'user' })).rejects.toThrow('enough');
    expect(said).toEqual(['Stopping']);
  });
});
