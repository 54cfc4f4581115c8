import { modulesOf } from '@qdylora/tensor';
import { DyLoraLinear } from './dylora-linear.ts';
import { GroupedLinear } from './grouped-linear.ts';

/** True if some linear layers are grouped or adapted. `withModules` cannot replace such layers. */
export const hasWrappedLayers = (modules: unknown): boolean =>
  modulesOf(modules).some((layer) => layer instanceof GroupedLinear || layer instanceof DyLoraLinear);
