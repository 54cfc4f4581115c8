import type { ArrayView, Backend } from '@qdylora/contract';
import { signedDynamicMap, unsignedDynamicMap } from '@qdylora/quant';

/** The 256 levels of signed and of unsigned 8-bit states. */
export interface Maps {
  readonly signed: ArrayView<'f32'>;
  readonly unsigned: ArrayView<'f32'>;
}

/** The two maps of bitsandbytes in a backend's memory, allocated on first use. */
export interface DynamicMaps {
  on(backend: Backend): Maps;
  release(): void;
}

/** Bytes of both maps: 256 float32 each. */
export const MAPS_BYTES = 2 * 256 * 4;

export function dynamicMaps(): DynamicMaps {
  let state: { readonly backend: Backend; readonly maps: Maps } | null = null;
  return {
    on(backend) {
      state ??= { backend, maps: bothMaps(backend) };
      return state.maps;
    },
    release() {
      if (state)
        for (const view of Object.values(state.maps) as ArrayView[]) state.backend.memory.release(view);
      state = null;
    },
  };
}

/** Allocates both maps or, after an error, none. */
function bothMaps({ memory }: Backend): Maps {
  const maps = memory.scoped(
    () => ({
      signed: memory.allocate('f32', [signedDynamicMap().length]),
      unsigned: memory.allocate('f32', [unsignedDynamicMap().length]),
    }),
    (pair) => Object.values(pair),
  );
  memory.persist(maps.signed, maps.unsigned);
  memory.write(maps.signed, signedDynamicMap());
  memory.write(maps.unsigned, unsignedDynamicMap());
  return maps;
}
