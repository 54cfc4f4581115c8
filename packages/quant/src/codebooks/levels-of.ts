import { QdyloraError } from '@qdylora/contract';
import { FP4_LEVELS } from './fp4.ts';
import { NF4_LEVELS } from './nf4.ts';

const LEVELS = { nf4: NF4_LEVELS, fp4: FP4_LEVELS } as const;

/** The 4-bit number types. */
export type QuantizationKind = keyof typeof LEVELS;

/** Every `QuantizationKind`, for checks and messages. */
export const QUANTIZATION_KINDS = Object.keys(LEVELS) as readonly QuantizationKind[];

/** The sixteen levels of a kind, by code.  @throws QdyloraError UNSUPPORTED for an unknown kind */
export function levelsOf(kind: QuantizationKind): readonly number[] {
  if (Object.hasOwn(LEVELS, kind)) return LEVELS[kind];
  throw new QdyloraError('UNSUPPORTED', {
    where: 'quant',
    problem: `the kind of quantization must be ${QUANTIZATION_KINDS.join(' or ')} (got ${String(kind)})`,
    details: { kind },
  });
}
