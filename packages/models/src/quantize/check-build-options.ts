import {
  assertArgument,
  assertContractVersion,
  checkOptions,
  objectWith,
  shownValue,
  type Backend,
  type OptionRule,
} from '@qdylora/contract';
import { STORED_LEVEL } from '@qdylora/quant';
import { QUANTIZATION_RULES, type Quantization } from './quantization.ts';

/** Rule for `backend`. */
export const someBackend = objectWith('kernel');

/** Rule for `quantization`; `checkBuildOptions` checks its keys. */
export const someQuantization: OptionRule = { ...objectWith(), expected: "an object as { kind: 'nf4' }" };

/**
 * Checks the options that a model is built with, and those of `quantization` within them.
 *
 * @throws QdyloraError BAD_ARGUMENT; UNSUPPORTED for a backend of another contract version
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
    '`backend` is a promise of a backend',
    'Await it first: const backend = await createCpuBackend().',
  );
  checkOptions(where, options, rules);
  if (backend !== undefined) assertContractVersion(where, backend as Backend);
  if (quantization === undefined) return;
  checkOptions(`${where}: quantization`, quantization, QUANTIZATION_RULES);
  const { kind, levels = [] } = quantization as Quantization;
  assertArgument(
    kind !== 'fp4' || levels.every((level) => level === STORED_LEVEL),
    `${where}: quantization`,
    `\`levels\` other than ${STORED_LEVEL} need kind: 'nf4' (got 'fp4')`,
  );
}

/** @throws QdyloraError BAD_ARGUMENT for a value that is not an open checkpoint */
export function assertWeightFiles(where: string, files: unknown): void {
  const isPromise = files instanceof Promise;
  assertArgument(
    typeof files === 'object' && files !== null && 'tensors' in files && 'config' in files,
    where,
    `The first argument must be an open checkpoint (got ${isPromise ? 'a promise' : shownValue(files)})`,
    isPromise ? 'Await it first.' : "Open it first: await openCheckpoint('models/smollm2').",
  );
}
