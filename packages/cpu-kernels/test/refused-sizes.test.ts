import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { cpuLevels } from '../src/index.ts';

// What a wrong call leaves behind (a fault, an endless loop) ends no test, so these calls run in a process of
// their own.
const binary = fileURLToPath(new URL('../addon/build/Release/qdylora_cpu.node', import.meta.url));
const found = cpuLevels();
if (!found.available) throw new Error(found.reason);
const levels = found.levels.filter(({ missing }) => !missing).map(({ name }) => name);

/** What each of the calls says at each level: `done`, or the error's message. */
function answersOf(calls: readonly string[]): string[] {
  const listed = calls.map((call) => `() => ${call}`).join(',\n');
  const code = `const addon = require(${JSON.stringify(binary)});
const none = new Float32Array(0);
const four = new Float32Array(4);
const many = new Float32Array(4096);
const big = new Float32Array(1 << 22);
const bytes = new Uint8Array(4096);
const said = (call) => { try { call(); return 'done'; } catch (error) { return error.message; } };
const answers = ${JSON.stringify(levels)}.flatMap((level) => {
  const { functions: f } = addon.open(level, 2, false);
  return [${listed}].map(said);
});
console.log(JSON.stringify(answers));`;
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['-e', code], {
    timeout: 60_000,
    encoding: 'utf8',
  });
  expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' });
  return JSON.parse(stdout) as string[];
}

test('sizes whose product passes 64 bits are refused, not read as the small remainder', () => {
  const calls = [
    'f.splitColumns(none, none, none, undefined, 2 ** 32, 2 ** 32, 0, 0)',
    'f.joinColumns(undefined, none, undefined, none, 2 ** 33, 2 ** 31, 0, 0)',
    'f.rope(four, none, none, four, 2 ** 32, 2 ** 32, 2 ** 32, 0, false)',
    'f.embedding(four, Int32Array.of(1 << 20), many, 2 ** 52, 1, 4096)',
    'f.embeddingBackward(Int32Array.of(1 << 30), many, four, 2 ** 52, 1, 4096)',
    'f.appendRows(many, Int32Array.of(0, 1 << 30), four, 1, 2, 2 ** 52, 4096)',
    'f.quantizeRows(four, bytes, many, 2 ** 32, 2 ** 32)',
    'f.matmulNf4Forward(none, bytes, many, four, undefined, undefined, undefined, undefined, none, big, 0, ' +
      '2 ** 32, 2 ** 32, 64, false, 0, false)',
    'f.linearForward(none, four, undefined, four, big, 2 ** 32, 4, 2 ** 32, false)',
    'f.linearArgmax(none, four, undefined, undefined, new Int32Array(4), four, big, 0, 2 ** 30, 2 ** 34, ' +
      'false)',
    'f.dequantizeBlockwise(bytes, many, four, undefined, undefined, undefined, many, undefined, 128, 128, ' +
      '0, 2 ** 52)',
    'f.quantizeBlockwise(many, many, bytes, four, 128, 128, 2 ** 52)',
    'f.dequantizeGgml(bytes, four, 10, 2 ** 53 - 1)',
    'f.causalAttention(four, four, four, Int32Array.of(0, 0), Int32Array.of(0, 0), undefined, four, four, ' +
      'big, 2 ** 22, 2 ** 22, 2 ** 21, 2 ** 21, 2 ** 21, false, 0, 1, 0)',
  ];
  answersOf(calls).forEach((answer, i) => {
    expect(answer, calls[i % calls.length]).toMatch(
      /must have at least \d+ elements|more elements than memory can hold|whole tiles/,
    );
  });
});

test(
  'rows without columns cost no time, however many there are, and a vocabulary or a rank that no array ' +
    'bounds is refused',
  () => {
    const calls = [
      'f.splitColumns(none, none, none, undefined, 2 ** 50, 0, 0, 0)',
      'f.joinColumns(none, none, undefined, none, 2 ** 50, 0, 0, 0)',
      'f.rope(none, none, none, none, 2 ** 50, 0, 2, 0, false)',
      'f.linearForward(none, none, undefined, none, big, 2 ** 50, 0, 0, false)',
      'f.linearInputGradient(none, none, none, big, 2 ** 50, 0, 0, false, false)',
      'f.linearWeightGradient(none, none, none, none, big, 2 ** 50, 0, 0, false)',
      'f.matmulNf4Forward(none, bytes, many, none, undefined, undefined, undefined, undefined, none, big, ' +
        '2 ** 50, 0, 0, 64, false, 0, true)',
    ];
    expect(answersOf(calls)).toEqual(levels.flatMap(() => calls.map(() => 'done')));
    const refused = [
      'f.linearCrossEntropyStreamed(none, none, new Int32Array(0), undefined, four, none, undefined, big, ' +
        '0, 0, 2 ** 50, 1, 0, false)',
      'f.linearCrossEntropy(none, none, new Int32Array(0), undefined, four, none, none, none, big, 0, 0, 2 ' +
        '** 50, 1, 0, false)',
      'f.linearCrossEntropyTopK(none, none, new Int32Array(0), undefined, four, none, undefined, ' +
        'new Int32Array(0), none, none, big, 0, 0, 2 ** 50, 2, 1, 0, false)',
      'f.linearDistillation(none, none, new Int32Array(0), undefined, new Int32Array(0), none, none, four, ' +
        'none, undefined, big, 0, 0, 2 ** 50, 2, 1, 1, 0, false)',
    ];
    for (const answer of answersOf(refused)) expect(answer).toMatch(/fewer than 2\^31 rows/);
    const layer =
      'four, undefined, undefined, undefined, undefined, undefined, undefined, 1, 0, false, 0, undefined, ' +
      'undefined, undefined, four, undefined, 1';
    const rank = 2 ** 53 - 1;
    for (const answer of answersOf([
      `f.adaptedLinearForward(four, undefined, 1, ${layer}, ${layer}, ${layer}, undefined, undefined, ` +
        `${rank}, ` +
        `big, 1, 1, ${rank}, false)`,
    ]))
      expect(answer).toMatch(/rank of layers without adapters must be 0/);
  },
);

test(
  'attention without heads, or with segments whose first queries see no key, is refused before anything ' +
    'divides by its sizes',
  () => {
    const sizes = [
      [0, 1, 4],
      [1, 0, 4],
      [0, 0, 4],
      [1, 1, 0],
      [2 ** 32, 2 ** 32, 1],
      [2 ** 32, 1, 1],
      [3, 2, 4],
      [1, 1, 2 ** 31],
    ];
    const segments = 'Int32Array.of(0, 2), Int32Array.of(0, 2)';
    const forward = (headSizes: readonly number[], ends: string): string =>
      `f.causalAttention(many, many, many, ${ends}, undefined, many, many, ` +
      `big, 0, 0, ${headSizes.join(', ')}, false, 0, 1, 0)`;
    const backward = (headSizes: readonly number[], ends: string): string =>
      `f.causalAttentionBackward(many, many, many, ${ends}, undefined, many, many, many, many, many, many, ` +
      `big, 0, 0, ${headSizes.join(', ')}, false, 0, 1, 0)`;
    for (const answer of answersOf(
      sizes.flatMap((headSizes) => [forward(headSizes, segments), backward(headSizes, segments)]),
    ))
      expect(answer).toMatch(/must be at least 1, and kvHeads must divide heads/);
    const scratch = sizes.flatMap((headSizes) => [
      `f.causalAttentionScratch(${segments}, 2, 2, ${headSizes.join(', ')}, false, false)`,
      `f.causalAttentionBackwardScratch(${segments}, 2, 2, ${headSizes.join(', ')}, false, false, 0)`,
    ]);
    for (const answer of answersOf(scratch)) expect(answer).toBe('done');
    for (const answer of answersOf(
      [forward, backward].map((call) => call([1, 1, 4], 'Int32Array.of(0, 2, 4), Int32Array.of(0, 3, 4)')),
    ))
      expect(answer).toMatch(/no more queries than keys/);
  },
);
