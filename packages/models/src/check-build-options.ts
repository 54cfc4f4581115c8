import {
  assertArgument,
  checkOptions,
  objectWith,
  oneOf,
  required,
  shownValue,
  trueOrFalse,
  wholeNumber,
  type OptionRule,
  type OptionRules,
} from '@qdylora/contract';
import { QUANTIZATION_KINDS, SCALE_ROUNDINGS } from '@qdylora/quant';
import type { Quantization } from './weights/quantization.ts';

export const QUANTIZATION_RULES: OptionRules<Quantization> = {
  kind: required(oneOf(['none', ...QUANTIZATION_KINDS])),
  doubleQuantization: trueOrFalse,
  blockSize: wholeNumber(1),
  scaleRounding: oneOf(SCALE_ROUNDINGS),
};

/** Of the backend. */
export const someBackend = objectWith('kernel');

export const someQuantization: OptionRule = { ...objectWith(), expected: "an object as { kind: 'nf4' }" };

/**
 * Options that a model is built with, those of `quantization` within them. @throws QdyloraError BAD_ARGUMENT,
 * with its own words for a backend that nobody awaited
 */
export function checkBuildOptions(
  where: string,
  options: unknown,
  rules: Readonly<Record<string, OptionRule>>,
): void {
  const { backend, quantization } = (options ?? {}) as {
    readonly backend?: unknown;
    readonly quantization?: unknown;
  };
  assertArgument(
    !(backend instanceof Promise),
    where,
    'expected a backend, got a promise of one',
    'Await it first: const backend = await createCpuBackend().',
  );
  checkOptions(where, options, rules);
  if (quantization !== undefined) checkOptions(`${where}: quantization`, quantization, QUANTIZATION_RULES);
}

/** @throws QdyloraError BAD_ARGUMENT for what is no open checkpoint */
export function assertWeightFiles(where: string, files: unknown): void {
  const advice =
    files instanceof Promise ? 'Await it first.' : "Open it first: await openCheckpoint('models/smollm2').";
  assertArgument(
    typeof files === 'object' && files !== null && 'tensors' in files && 'config' in files,
    where,
    `expected an open checkpoint, got ${files instanceof Promise ? 'a promise' : shownValue(files)}`,
    advice,
  );
}
