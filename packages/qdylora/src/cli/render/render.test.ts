import { QdyloraError } from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import { terminalInMemory } from '../../../test/terminal-in-memory.ts';
import type { FinetuneEvent } from '../../recipes/run-folder/finetune-events.ts';
import { exitCodeOf } from '../exit-code.ts';
import { packError, unpackError } from '../worker/error-transfer.ts';
import { errorText } from './errors.ts';
import { bar, clockText } from './progress.ts';
import { shortDurationText } from './short-duration-text.ts';
import { columns, rankTable } from './table.ts';
import { showTraining } from './train-progress.ts';

it('colours go to a stream that shows them, and not to a file', () => {
  for (const [hasColor, hasColorInNotes] of [
    [true, false],
    [false, true],
    [false, false],
  ]) {
    const { terminal, out, err } = terminalInMemory({ hasColor, hasColorInNotes });
    terminal.out(terminal.paint('bold', 'result'));
    terminal.note(terminal.paint('red', 'problem'));
    expect([out(), err()]).toEqual([
      hasColor ? '\x1b[1mresult\x1b[22m\n' : 'result\n',
      hasColorInNotes ? '\x1b[31mproblem\x1b[39m\n' : 'problem\n',
    ]);
  }
});

const step = (n: number): FinetuneEvent => ({
  type: 'step',
  step: n,
  totalSteps: 200,
  epoch: 0,
  loss: 0.912,
  smoothedLoss: 0.912,
  rank: 16,
  ranks: [64, 16],
  learningRate: 1.8e-4,
  gradNorm: 1,
  tokens: 2140,
  tokensPerSecond: 2140,
  stepSeconds: 1,
  residentBytes: 688e6,
  optimizerResidentBytes: 0,
  optimizerPagedBytes: 0,
  pageIns: 0,
  pageWaitSeconds: 0,
});

/** A run that begins: only what the terminal reads. */
const ready = (config: object, heldOut = 0): FinetuneEvent => ({
  type: 'ready',
  backend: 'host',
  config: { ranks: [1], evalSteps: 0, evalRanks: null, ...config } as never,
  model: { name: 'm', modelType: 'llama', parameterCount: 1, weightBytes: 4 },
  adapter: null,
  data: {
    training: 1,
    heldOut,
    report: {
      format: 'text',
      tokens: 214,
      measuredRows: 10,
      dropped: 0,
      reasons: {},
      truncated: 0,
      skipped: 0,
    } as never,
  },
});

describe('progress', () => {
  it('redraws one line on a terminal', () => {
    const { terminal, err } = terminalInMemory({ isTty: true, columns: 120 });
    const show = showTraining(terminal);
    show(step(84));
    show(step(85));
    expect(err()).toBe(
      'step  84/200  ▕████▎     ▏  avg loss 0.912  ranks 64+16  lr 1.8e-4  2,140 tok/s  688 MB  01:56 ' +
        'left\r\x1b[2K' +
        'step  85/200  ▕████▎     ▏  avg loss 0.912  ranks 64+16  lr 1.8e-4  2,140 tok/s  688 MB  01:55 left',
    );
  });

  it('keeps the status line below the notes, until the result', () => {
    const { terminal, err } = terminalInMemory({ isTty: true });
    terminal.status('loading …');
    terminal.note('a notice');
    terminal.out('the result');
    expect(err()).toBe('loading …\r\x1b[2Ka notice\nloading …\r\x1b[2K');
  });

  it('never fills the last column, and leaves out what is least needed on a narrow terminal', () => {
    const shownIn = (columns: number, event: FinetuneEvent): string => {
      const { terminal, err } = terminalInMemory({ isTty: true, columns });
      showTraining(terminal)(event);
      return err();
    };
    for (let columns = 2; columns < 120; columns++)
      for (const event of [step(84), { type: 'phase', phase: 'judging', done: 4, total: 5 } as const])
        expect(shownIn(columns, event).length).toBeLessThan(columns);
    expect([90, 80, 60, 44, 20].map((columns) => shownIn(columns, step(84)))).toEqual([
      'step  84/200  ▕████▎     ▏  avg loss 0.912  ranks 64+16  lr 1.8e-4  01:56 left',
      'step  84/200  ▕████▎     ▏  avg loss 0.912  ranks 64+16  lr 1.8e-4  01:56 left',
      'step  84/200  ▕████▎     ▏  avg loss 0.912  01:56 left',
      'step  84/200  avg loss 0.912  01:56 left',
      'step  84/200  avg …',
    ]);
  });

  it('is a plain line every logging_steps elsewhere, with the first and the last', () => {
    const { terminal, err } = terminalInMemory();
    const show = showTraining(terminal);
    show(ready({ loggingSteps: 30 }));
    const linesBefore = err().split('\n').length;
    for (let n = 1; n <= 200; n++) show(step(n));
    expect(
      err()
        .split('\n')
        .slice(linesBefore - 1, -1)
        .map((line) => /^step +(\d+)/.exec(line)?.[1]),
    ).toEqual(['1', '30', '60', '90', '120', '150', '180', '200']);
    expect(err()).not.toMatch(/\x1b/);
  });

  it('counts evaluations in the time left, by their tokens and then by the measured time', () => {
    let seconds = 0;
    const { terminal, err } = terminalInMemory({ isTty: true, columns: 120 });
    const show = showTraining(terminal, () => seconds);
    // 3 views of 100 rows of 21.4 tokens: 6420 tokens at four times the speed of training, 0.75 s
    show(ready({ ranks: [1, 2], evalSteps: 100, gradientCheckpointing: true }, 100));
    show(step(100));
    expect(err()).toMatch(/01:42 left$/);
    for (let done = 1; done <= 30; done++) {
      show({ type: 'phase', phase: 'judging', done, total: 30, secondsLeft: 2 * (30 - done) });
      seconds += 2;
    }
    expect(err()).toContain('evaluating ▕█████     ▏ 15/30  00:30 left');
    show(step(101));
    expect(err()).toMatch(/02:39 left$/);
  });

  it.each([
    [0, '▕          ▏'],
    [0.5, '▕█████     ▏'],
    [1, '▕██████████▏'],
    [2, '▕██████████▏'],
  ])('%s is drawn %s', (share, drawn) => {
    expect(bar(share)).toBe(drawn);
  });
  it.each([
    [0, '00:00'],
    [118, '01:58'],
    [7390, '2:03:10'],
    [NaN, '--:--'],
  ])('%s seconds read %s', (seconds, text) => {
    expect(clockText(seconds)).toBe(text);
  });
});

describe('memory', () => {
  const parts = [
    { part: 'Node and the program', bytes: 95.7e6 },
    { part: 'kernels', bytes: 0 },
    { part: 'base weights', bytes: 112e6 },
  ];

  it('is told part by part before the first step and at the end, with how far the forecast was off', () => {
    const { terminal, err } = terminalInMemory();
    const show = showTraining(terminal);
    show({ type: 'forecast', parts, totalBytes: 207.7e6 });
    show({ type: 'memory', parts, totalBytes: 210e6, forecastBytes: 207.7e6 });
    show({ type: 'memory', parts, totalBytes: 200e6, forecastBytes: 207.7e6 });
    show({ type: 'memory', parts: [], totalBytes: 210e6, forecastBytes: null });
    expect(err().trim().split('\n')).toEqual([
      'memory: will need about 208 MB: Node and the program 95.7 MB, base weights 112 MB',
      'memory: peak 210 MB (the forecast, 208 MB, was 1.1 % too low): Node and the program 95.7 MB, ' +
        'base weights 112 MB',
      expect.stringContaining('(the forecast, 208 MB, was 3.8 % too high)'),
      'memory: peak 210 MB',
    ]);
  });
});

describe('a table', () => {
  it('is as wide as its widest cells', () => {
    expect(
      columns(
        [
          ['a', 'bb'],
          ['ccc', 'd'],
        ],
        ['right', 'left'],
      ),
    ).toEqual(['  a   bb', 'ccc   d']);
  });

  it('marks the best rank, the smallest good one, and gains that are more than chance', () => {
    const measured = (loss: number) => ({
      loss,
      standardError: 0.02,
      perplexity: Math.exp(loss),
      adapterBytes: 312e3,
      notWorse: true,
      versusBest: { mean: 0, standardError: 0.01, pValue: 1 },
    });
    const lines = rankTable(
      {
        alpha: 0.05,
        base: null,
        bestRank: 8,
        smallestGoodRank: 1,
        ranks: [
          { rank: 1, ...measured(0.9), versusBase: { mean: -1.039, standardError: 0.1, pValue: 0.001 } },
          { rank: 8, ...measured(0.8), versusBase: { mean: -0.1, standardError: 0.1, pValue: 0.5 } },
        ],
      },
      terminalInMemory().terminal,
    );
    expect(lines).toEqual([
      'rank   held-out loss    vs base   adapter',
      '   1   0.900 ± 0.020   −1.039 *    0.3 MB   ← smallest rank that is not significantly worse',
      '   8   0.800 ± 0.020   −0.100      0.3 MB   ← best',
      '* differs significantly from the base (at 0.05)',
    ]);
  });
});

describe('an error', () => {
  const error = new QdyloraError('BAD_FILE', {
    where: 'safetensors',
    problem: 'expected 2 bytes, got 1',
    nextStep: 'Download it again.',
    details: { path: 'm' },
  });

  it('is two lines, what happened and what to do, without a stack', () => {
    expect(errorText(error, terminalInMemory().terminal, false)).toBe(
      '[safetensors] expected 2 bytes, got 1.\nDownload it again.',
    );
    expect(errorText(error, terminalInMemory().terminal, true)).toMatch(/\n +at /);
  });

  it('and a notice show control characters of what they quote, and send none to the terminal', () => {
    const evil = 'a\x1b]0;b\x07\x9b\0';
    const { terminal, err } = terminalInMemory();
    showTraining(terminal)({ type: 'notice', message: evil });
    for (const shown of [
      errorText(
        new QdyloraError('BAD_DATA', { where: evil, problem: evil, nextStep: evil }),
        terminal,
        false,
      ),
      errorText(new TypeError(evil), terminal, false),
      err(),
    ]) {
      expect(shown).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
      expect(shown).toContain('a␛]0;b␇␡␀');
    }
  });

  it('keeps its name, code, message and details on the way from thread to thread', () => {
    const back = unpackError(structuredClone(packError(error))) as QdyloraError;
    expect([back.name, back.code, back.message, back.where, back.nextStep, back.details]).toEqual([
      error.name,
      'BAD_FILE',
      error.message,
      'safetensors',
      'Download it again.',
      { path: 'm' },
    ]);
    expect(QdyloraError.isInstance(unpackError(packError(new TypeError('x'))))).toBe(false);
  });

  it.each([
    ['BAD_CONFIG', 2],
    ['MISSING_FILE', 2],
    ['BUSY_FOLDER', 2],
    ['ABORTED', 130],
    ['WRITE_FAILED', 1],
    ['OUT_OF_MEMORY', 1],
    ['NON_FINITE_LOSS', 1],
  ] as const)('%s ends the command with %i', (code, exit) => {
    expect(exitCodeOf(new QdyloraError(code, { where: 'x', problem: 'y' }))).toBe(exit);
  });
});

it('a duration has two digits', () => {
  expect([0.35, 0.9996, 42, 720, 6000, 8900, 90_000].map(shortDurationText)).toEqual([
    '350 ms',
    '1.0 s',
    '42 s',
    '12 min',
    '1.7 h',
    '2.5 h',
    '25 h',
  ]);
});
