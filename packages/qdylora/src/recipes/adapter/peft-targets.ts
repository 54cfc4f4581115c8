import { QdyloraError } from '@qdylora/contract';
import { matcherOf } from '@qdylora/lora-dynamic';
import type { ReadAdapter } from './read-adapter.ts';

/**
 * Sentences about what PEFT perhaps makes of an adapter's config; none for an adapter that PEFT or qdylora
 * wrote.
 *
 * @param isBaseKnown whether `assertDefaultTargets` is called too
 */
export function targetNotices(
  { unreadFields, hasDefaultTargets, state: { layers } }: TargetFacts,
  isBaseKnown: boolean,
): string[] {
  const consequence = `All ${layers.length} layers of the file are used; PEFT perhaps ignores some of them.`;
  return [
    ...unreadFields.map(
      (field) =>
        `${field} in adapter_config.json has an expression that qdylora does not read. ${consequence} ` +
        'Write module names there instead.',
    ),
    ...(hasDefaultTargets && !isBaseKnown
      ? [`target_modules is missing in adapter_config.json, so PEFT takes its default. ${consequence}`]
      : []),
  ];
}

type TargetFacts = Pick<ReadAdapter, 'unreadFields' | 'hasDefaultTargets' | 'state'>;

/**
 * Refuses an adapter without `target_modules` with layers that are not in PEFT's default for the model, so
 * that PEFT ignores them. A model without a default is not refused: PEFT does not load the adapter at all.
 *
 * @throws QdyloraError BAD_ADAPTER
 */
export function assertDefaultTargets(
  { modelType, peftTargets }: { readonly modelType: string; readonly peftTargets: readonly string[] | null },
  { folder, hasDefaultTargets, state }: Omit<TargetFacts, 'unreadFields'> & Pick<ReadAdapter, 'folder'>,
): void {
  if (!hasDefaultTargets || peftTargets === null) return;
  const isTarget = matcherOf(peftTargets);
  const ignored = state.layers.find(({ name }) => !isTarget(name));
  if (ignored === undefined) return;
  throw new QdyloraError('BAD_ADAPTER', {
    where: folder,
    problem:
      `adapter_config.json has no target_modules, and PEFT's default for ${modelType} is ` +
      `${peftTargets.join(', ')}. PEFT would ignore ${ignored.name}, which is in the adapter.`,
    nextStep: 'Write the modules that were trained into target_modules.',
    details: { module: ignored.name, peftTargets },
  });
}
