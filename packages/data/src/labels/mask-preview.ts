import {
  checkOptions,
  either,
  objectWith,
  oneOf,
  orNull,
  required,
  trueOrFalse,
  wholeNumber,
  type OptionRules,
} from '@qdylora/contract';
import { commonPrefix } from '../common-prefix.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { assertExamples, NOT_COUNTED, type Example } from '../token-batch.ts';

/** Options of `maskPreview`: how much of an example is shown, and how counted tokens are marked. */
export interface PreviewOptions {
  /** Null: ids are shown instead of text. */
  readonly tokenizer: Tokenizer | null;
  /** Shows counted tokens in green; without color they are in ⟦ ⟧. Default: false. */
  readonly color?: boolean;
  /** Number of tokens shown, from the start. Default: all. */
  readonly maxTokens?: number;
}

const RULES: OptionRules<PreviewOptions> = {
  tokenizer: required(orNull(objectWith('decode'))),
  color: trueOrFalse,
  maxTokens: either(wholeNumber(), oneOf([Infinity])),
};

/**
 * Renders one example as text that marks the tokens that the loss counts, to find masking mistakes before a
 * run. Control characters of the data are shown as pictures (␛), so a row cannot control the terminal.
 *
 * @throws QdyloraError BAD_ARGUMENT for unknown or invalid options
 * @example
 * maskPreview(example, { tokenizer }); // Question: 2 + 2?\nAnswer: ⟦4<|im_end|>⟧
 */
export function maskPreview(example: Example, options: PreviewOptions): string {
  checkOptions('mask-preview', options, RULES);
  assertExamples('mask-preview', [example]);
  const { tokenizer, color = false, maxTokens = Infinity } = options;
  const [open, close] = color ? ['\x1b[32m', '\x1b[39m'] : ['⟦', '⟧'];
  const length = Math.min(example.ids.length, maxTokens);
  const left = example.ids.length - length;
  const textUpTo = (end: number): string =>
    tokenizer
      ? tokenizer.decode(example.ids.subarray(0, end))
      : Array.from(example.ids.subarray(0, end)).join(' ');
  const whole = textUpTo(length);
  let shown = '';
  let from = 0;
  for (const { end, isTrained } of runsOf(example, length)) {
    // a character that belongs to both runs is shown in the later one
    const to = end === length ? whole.length : Math.max(from, commonPrefix(textUpTo(end), whole));
    const part = visible(whole.slice(from, to));
    shown += isTrained ? `${open}${part}${close}` : part;
    from = to;
  }
  return left > 0 ? `${shown} … ${left} more` : shown;
}

/** Runs of neighbouring tokens that are all counted or all not. The first token never is. */
function runsOf({ labels }: Example, length: number): { end: number; isTrained: boolean }[] {
  const runs: { end: number; isTrained: boolean }[] = [];
  for (let t = 0; t < length; t++) {
    const isTrained = t > 0 && labels[t] !== NOT_COUNTED;
    const last = runs.at(-1);
    if (last?.isTrained === isTrained) last.end = t + 1;
    else runs.push({ end: t + 1, isTrained });
  }
  return runs;
}

/** Replaces C0 and C1 controls, except newline and tab, by Unicode's control pictures. */
const visible = (text: string): string =>
  text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, (c) =>
    c.charCodeAt(0) < 0x20 ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : '␡',
  );
