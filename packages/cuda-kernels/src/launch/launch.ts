import type { ArrayView } from '@qdylora/contract';
import type { ProductLibrary } from '../products/library-product.ts';

/** One argument of a kernel, with the type that its C++ declaration has. */
export type Argument =
  | { readonly type: 'input' | 'output'; readonly view: ArrayView }
  | { readonly type: 'i32' | 'u32' | 'u64' | 'f32' | 'f64'; readonly value: number };

/** An array that the kernel only reads. */
export const input = (view: ArrayView): Argument => ({ type: 'input', view });
/** An array that the kernel writes; it may read it too. */
export const output = (view: ArrayView): Argument => ({ type: 'output', view });
export const i32 = (value: number): Argument => ({ type: 'i32', value });
export const u32 = (value: number): Argument => ({ type: 'u32', value });
export const u64 = (value: number): Argument => ({ type: 'u64', value });
export const f32 = (value: number): Argument => ({ type: 'f32', value });
export const f64 = (value: number): Argument => ({ type: 'f64', value });

/** One call of a kernel: a one-dimensional grid of one-dimensional blocks. */
export interface Launch {
  /** The source that holds the kernel: `rms-norm`. */
  readonly module: string;
  /** Its `extern "C"` name: `rmsNormF32`. */
  readonly kernel: string;
  /** Blocks. Nothing is launched where it is 0. */
  readonly blocks: number;
  /** Threads of a block. */
  readonly threads: number;
  readonly arguments: readonly Argument[];
}

/** How bindings reach a device: the driver, or the emulator in tests. */
export interface CudaDoor {
  /** Enqueues the kernel and returns. */
  launch(launch: Launch): void;
  /** Calls `body` with a temporary array: [length]. Its contents are undefined. */
  withScratch(length: number, body: (scratch: ArrayView<'f32'>) => void): void;
  /** cuBLASLt, where it is used. */
  readonly library?: ProductLibrary;
}
