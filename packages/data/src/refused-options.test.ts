import { QdyloraError } from '@qdylora/contract';
import { beforeAll, describe, expect, it } from 'vitest';
import { tokenizerJson } from '../test/fixtures.ts';
import { jsonl, temporaryFiles } from '../test/temporary-files.ts';
import {
  collate,
  createBatches,
  createChatTemplate,
  loadDataset,
  loadTokenizer,
  maskPreview,
  openDataset,
  readLabelledRows,
  sourceOf,
  splitIntoMicroBatches,
  type Example,
} from './index.ts';

/** What a program in plain JavaScript may give. */
type Given = never;

const files = temporaryFiles();
const tokenizer = loadTokenizer({
  tokenizerJson: tokenizerJson('smollm2'),
  tokenizerConfig: null,
  chatTemplate: null,
});
const example: Example = { ids: Int32Array.of(1, 2, 3), labels: Int32Array.of(-100, 2, 3) };
const BATCHING = {
  microBatchSize: 1,
  gradientAccumulationSteps: 1,
  shuffle: true,
  seed: 7,
  packing: false,
  maxSeqLength: 8,
};
let rows = '';
beforeAll(() => {
  rows = files.write('rows.jsonl', jsonl({ input_ids: [1, 2, 3] }, { input_ids: [4, 5, 6] }));
});

async function refusal(call: () => unknown): Promise<string> {
  const error: unknown = await Promise.resolve()
    .then(call)
    .then(
      () => 'nothing was refused',
      (thrown: unknown) => thrown,
    );
  if (!QdyloraError.isInstance(error)) throw error;
  expect(error.code).toBe('BAD_ARGUMENT');
  return error.message;
}

describe('rows', () => {
  const options: [object, string][] = [
    [{ max_seq_length: 512 }, 'a known option, got max_seq_length. Did you mean maxSeqLength?'],
    [{ maxSeqLength: '512' }, 'a number for maxSeqLength, got "512"'],
    [{ tokenizer: undefined }, 'an object with encode, or null for tokenizer, got nothing'],
    [{ datasetFormat: 3 }, 'a text for datasetFormat'],
    [{ weights: 2 }, 'an array of numbers for weights'],
    [{ weights: ['2'] }, 'an array of numbers for weights, got ["2"]'],
    [{ onBadRow: true }, 'a text for onBadRow'],
    [{ completionOnlyLoss: 'false' }, 'true or false for completionOnlyLoss, got "false"'],
    [{ applyChatTemplate: 1 }, 'true or false for applyChatTemplate'],
    [{ heldOut: '0.1' }, 'a number for heldOut'],
    [{ limit: '10' }, 'for limit, got "10"'],
    [{ seed: 0.5 }, 'a whole number ≥ 0 for seed'],
    [{ signal: new AbortController() }, 'of a controller its signal) for signal'],
  ];
  it.each(options)('are not read with %j', async (more, message) => {
    const given = { tokenizer: null, ...more } as Given;
    for (const call of [
      () => loadDataset(rows, given),
      () => openDataset(rows, given),
      () => readLabelledRows(rows, given).next(),
    ])
      expect(await refusal(call)).toContain(message);
  });

  it.each([
    [undefined, 'got nothing'],
    [[1], 'got [1]'],
    [new URL('file:///rows.jsonl'), 'got URL'],
  ])('are not read from %j', async (names, message) => {
    for (const call of [
      () => loadDataset(names as Given, { tokenizer: null }),
      () => openDataset(names as Given, { tokenizer: null }),
    ])
      expect(await refusal(call)).toMatch(
        new RegExp(
          `expected the name of a file or an array of names, .*${message.replaceAll(/[[\]]/g, '\\$&')}`,
        ),
      );
  });

  it.each([
    [{ measure: 'no' }, 'true or false for measure'],
    [{ onProgress: true }, 'a function for onProgress'],
  ])('are not opened with %j', async (more, message) => {
    expect(await refusal(() => openDataset(rows, { tokenizer: null, ...more } as Given))).toContain(message);
  });

  it('have a limit that may be none at all', async () => {
    expect((await loadDataset(rows, { tokenizer: null, limit: Infinity })).training).toHaveLength(2);
  });
});

describe('batches', () => {
  it.each([
    [{ shufle: true }, 'Did you mean shuffle?'],
    [{ shuffle: 'false' }, 'true or false for shuffle'],
    [{ microBatchSize: '4' }, 'a whole number ≥ 1 for microBatchSize, got "4"'],
    [{ gradientAccumulationSteps: undefined }, 'for gradientAccumulationSteps, got nothing'],
    [{ seed: undefined }, 'for seed, got nothing'],
    [{ packing: 0 }, 'true or false for packing'],
    [{ maxSeqLength: '8' }, 'for maxSeqLength, got "8"'],
    [{ groupByLength: 'yes' }, 'true or false for groupByLength'],
    [{ worker: '0' }, 'for worker, got "0"'],
    [{ workers: 0 }, 'for workers, got 0'],
  ])('are not made with %j', async (more, message) => {
    expect(await refusal(() => createBatches([example], { ...BATCHING, ...more } as Given))).toContain(
      message,
    );
  });

  it.each<[string, unknown, string]>([
    ['a promise', Promise.resolve([]), 'Await it first'],
    [
      'a whole dataset',
      { training: [example], heldOut: [] },
      'Give its training examples: dataset.training.',
    ],
    ['nothing', undefined, 'got nothing. loadDataset'],
    ['an array of numbers', Int32Array.of(1), 'got Int32Array'],
    ['a source without at', { length: 3 }, 'a source with length and at'],
    [
      'a source of a length that is a text',
      { length: '3', at: () => example },
      'a source with length and at',
    ],
  ])('are not made of %s', async (_, given, message) => {
    expect(await refusal(() => createBatches(given as Given, BATCHING))).toContain(message);
    expect(await refusal(() => sourceOf(given as Given))).toContain(message);
  });

  it.each<[string, unknown, string]>([
    [
      'plain arrays',
      [{ ids: [1, 2], labels: [1, 2] }],
      'expected an Int32Array for ids of example 0, got [1,2]. Make one of numbers: Int32Array.from(ids).',
    ],
    ['plain labels', [example, { ...example, labels: [1, 2, 3] }], 'for labels of example 1'],
    ['a promise', Promise.resolve([example]), 'got a promise. Await it first.'],
    ['null among them', [null], 'for ids of example 0, got nothing'],
    ['one example alone', example, 'expected an array of examples'],
  ])('are not laid end to end from %s', async (_, given, message) => {
    expect(await refusal(() => collate(given as Given))).toContain(message);
  });

  it('are not split by a text, nor from no array', async () => {
    expect(await refusal(() => splitIntoMicroBatches([example], '2' as Given))).toContain(
      'for microBatchSize, got "2"',
    );
    expect(await refusal(() => splitIntoMicroBatches(undefined as Given, 2))).toContain(
      'an array of examples, got nothing',
    );
  });
});

describe('a tokenizer', () => {
  const given = { tokenizerJson: tokenizerJson('smollm2'), tokenizerConfig: null, chatTemplate: null };
  it.each<[unknown, string]>([
    ['model/tokenizer.json', 'an object of options, got "model/'],
    [{ ...given, tokenizer_config: {} }, 'Did you mean tokenizerConfig?'],
    [{ tokenizerConfig: null, chatTemplate: null }, 'for tokenizerJson, got nothing'],
    [{ ...given, tokenizerConfig: '{}' }, 'for tokenizerConfig'],
    [{ ...given, chatTemplate: {} }, 'a text, or null for chatTemplate'],
    [{ ...given, toolTemplate: 1 }, 'for toolTemplate'],
    [{ ...given, specialTokens: '<s>' }, 'for specialTokens'],
  ])('is not made of files of another kind, table row %#', async (files, message) => {
    expect(await refusal(() => loadTokenizer(files as Given))).toContain(message);
  });

  it.each<[string, () => unknown, string]>([
    ['encode nothing', () => tokenizer.encode(undefined as Given), 'a text to encode, got nothing'],
    ['encode several texts', () => tokenizer.encode(['a'] as Given), 'Encode one text at a time.'],
    [
      'encode with an option of Python',
      () => tokenizer.encode('a', { add_special_tokens: true } as Given),
      'Did you mean addSpecialTokens?',
    ],
    [
      'encode with a text for true',
      () => tokenizer.encode('a', { addSpecialTokens: 'false' } as Given),
      'true or false for addSpecialTokens',
    ],
    ['decode one id', () => tokenizer.decode(5 as Given), 'One id stands in an array too: [id].'],
    ['decode a text', () => tokenizer.decode('5' as Given), 'got "5"'],
    ['decode null', () => tokenizer.decode(null as Given), 'got null'],
    [
      'decode with an option of Python',
      () => tokenizer.decode([5], { skip_special_tokens: true } as Given),
      'Did you mean skipSpecialTokens?',
    ],
    [
      'decode with a number for true',
      () => tokenizer.decode([5], { skipSpecialTokens: 1 } as Given),
      'true or false for skipSpecialTokens',
    ],
  ])('does not %s', async (_, call, message) => {
    expect(await refusal(call)).toContain(message);
  });
});

describe('a chat template', () => {
  const template = createChatTemplate('{{ messages | length }}');
  it.each<[string, () => unknown, string]>([
    ['made of nothing', () => createChatTemplate(undefined as Given), 'expected its Jinja text, got nothing'],
    [
      'made with variables that are a text',
      () => createChatTemplate('', { variables: '<s>' } as Given),
      'for variables',
    ],
    [
      'made with a number as the one for tools',
      () => createChatTemplate('', { toolSource: 5 } as Given),
      'for toolSource',
    ],
    [
      'made with a date that is a text',
      () => createChatTemplate('', { date: '2024-07-26' } as Given),
      'an object with getTime for date',
    ],
    ['rendered for a text', () => template.render('Hello' as Given), "Give [{ role: 'user'"],
    [
      'rendered with an option of Python',
      () => template.render([], { add_generation_prompt: true } as Given),
      'Did you mean addGenerationPrompt?',
    ],
    [
      'rendered with a text for true',
      () => template.renderMarked([], { addGenerationPrompt: 'false' } as Given),
      'for addGenerationPrompt',
    ],
    ['rendered where nobody knows', () => template.render([], { where: 3 } as Given), 'a text for where'],
  ])('is not %s', async (_, call, message) => {
    expect(await refusal(call)).toContain(message);
  });
});

it.each<[object, string]>([
  [{}, 'for tokenizer, got nothing'],
  [{ colour: true }, 'Did you mean color?'],
  [{ color: 'red' }, 'true or false for color'],
  [{ maxTokens: '5' }, 'for maxTokens, got "5"'],
])('a preview is not shown with %j', async (more, message) => {
  expect(
    await refusal(() =>
      maskPreview(example, {
        ...('color' in more || 'colour' in more || 'maxTokens' in more ? { tokenizer } : {}),
        ...more,
      } as Given),
    ),
  ).toContain(message);
  expect(await refusal(() => maskPreview({ ids: [1], labels: [1] } as Given, { tokenizer }))).toContain(
    'an Int32Array for ids',
  );
});
