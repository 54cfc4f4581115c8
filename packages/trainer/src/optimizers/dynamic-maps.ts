import type { ArrayView, Backend } from '@qdylora/contract';
import { signedDynamicMap, unsignedDynamicMap } from '@qdylora/quant';

interface Maps { readonly signed: ArrayView<'f32'>; readonly unsigned: ArrayView<'f32'> }

/** bitsandbytes' two maps in a backend's memory, made when a step first needs them. */
export interface DynamicMaps {
  on(backend: Backend): Maps;
  release(): void;
}

export function dynamicMaps(): DynamicMaps {
  let held: { readonly backend: Backend; readonly maps: Maps } | null = null;
  return {
    on(backend) {
      held ??= { backend, maps: { signed: placed(backend, signedDynamicMap()), unsigned: placed(backend, unsignedDynamicMap()) } };
      return held.maps;
    },
    release() {
      if (held) for (const view of Object.values(held.maps) as ArrayView[]) held.backend.memory.release(view);
      held = null;
    },
  };
}

function placed({ memory }: Backend, levels: Float32Array): ArrayView<'f32'> {
  const view = memory.allocate('f32', [levels.length]);
  memory.persist(view);
  memory.write(view, levels);
  return view;
}
