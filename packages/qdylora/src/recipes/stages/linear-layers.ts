import type { Checkpoint } from '@qdylora/checkpoint';
import { describeModel } from '@qdylora/models';

/** A matrix of a model's linear layers; its head and embedding are none. */
export interface LinearLayer { readonly name: string; readonly shape: readonly [number, number] }

/** The linear layers of a checkpoint's architecture, without loading any. */
export const linearLayersOf = ({ config, name }: Pick<Checkpoint, 'config' | 'name'>): readonly LinearLayer[] => describeModel(config.raw, name).linears;
