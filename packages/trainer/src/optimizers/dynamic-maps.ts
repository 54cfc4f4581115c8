import type { ArrayView, Backend } from '@qdylora/contract';
import { signedDynamicMap, unsignedDynamicMap } from '@qdylora/quant';

/** The 256 levels of signed and of unsigned 8-bit states. */
export interface Maps {
  readonly signed: ArrayView<'f32'>;
  readonly unsigned: ArrayView<'f32'>;
}

/** bitsandbytes' two maps in a backend's memory, made when they are first asked for. */
export interface DynamicMaps {
  on(backend: Backend): Maps;
  release(): void;
}

/** Of both: 256 float32 each. */
export const MAPS_BYTES = 2 * 256 * 4;

export function dynamicMaps(): DynamicMaps {
  let held: { readonly backend: Backend; readonly maps: Maps } | null = null;
  return {
    on(backend) {
      held ??= { backend, maps: bothMaps(backend) };
      return held.maps;
    },
    release() {
      if (held) for (const view of Object.values(held.maps) as ArrayView[]) held.backend.memory.release(view);
      held = null;
    },
  };
}

/** Both or none. */
function bothMaps({ memory }: Backend): Maps {
  const maps = memory.scoped(
    () => ({
      signed: memory.allocate('f32', [signedDynamicMap().length]),
      unsigned: memory.allocate('f32', [unsignedDynamicMap().length]),
    }),
    (made) => Object.values(made),
  );
  memory.persist(maps.signed, maps.unsigned);
  memory.write(maps.signed, signedDynamicMap());
  memory.write(maps.unsigned, unsignedDynamicMap());
  return maps;
}
