import type { ArrayView } from '@qdylora/contract';
import type { Tensor } from '@qdylora/tensor';

/** Rows of float32, one a token. */
export type Hidden = Tensor<ArrayView<'f32'>>;
