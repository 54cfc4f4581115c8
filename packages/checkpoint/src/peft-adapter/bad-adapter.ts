import { QdyloraError } from '@qdylora/contract';

/** The error for invalid adapter files. */
export const badAdapter = (
  path: string,
  problem: string,
  details: Readonly<Record<string, unknown>> = {},
): QdyloraError =>
  new QdyloraError('BAD_ADAPTER', {
    where: 'peft-adapter',
    problem: `${path}: ${problem}`,
    nextStep: 'Config and weights do not belong together, or the adapter is damaged. Save it again.',
    details: { path, ...details },
  });

/** The error for an unsupported feature of an adapter, because ignoring it would change the model. */
export const unsupportedAdapter = (
  path: string,
  feature: string,
  nextStep = 'Merge it into its base model with PEFT, and open the result.',
): QdyloraError =>
  new QdyloraError('UNSUPPORTED', {
    where: 'peft-adapter',
    problem: `${path}: only plain LoRA adapters of linear layers are supported (got ${feature}).`,
    nextStep,
    details: { path, feature },
  });
