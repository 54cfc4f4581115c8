import type { Parameter } from '@qdylora/tensor';

/** Weight decay applies to tensors with at least two axes: not to norms or biases. */
export const decaysByDefault = ({ view }: Parameter): boolean => view.shape.length >= 2;
