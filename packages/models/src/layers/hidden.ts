import type { FloatTensor } from '@qdylora/tensor';

/**
 * Rows of numbers, one a token: float32, or bf16 between the products of a branch where the pass asks for
 * that (`activationDtype`).
 */
export type Hidden = FloatTensor;
