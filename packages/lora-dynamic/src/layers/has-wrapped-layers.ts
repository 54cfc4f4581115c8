import { modulesOf } from '@qdylora/tensor';
import { DyLoraLinear } from './dylora-linear.ts';
import { GroupedLinear } from './grouped-linear.ts';

/** Whether linear layers of a model are grouped or have adapters: a copy of the model cannot replace them. */
export const hasWrappedLayers = (modules: unknown): boolean =>
  modulesOf(modules).some((layer) => layer instanceof GroupedLinear || layer instanceof DyLoraLinear);
