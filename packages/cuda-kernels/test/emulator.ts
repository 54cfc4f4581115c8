import { createRequire } from 'node:module';
import { buildEmulator } from '../scripts/build-emulator.mjs';

/** An argument as the addon takes it: an array with a flag for each byte, or a number. */
export type EmulatedArgument =
  | {
      readonly type: 'input' | 'output';
      readonly bytes: Uint8Array;
      readonly written: Uint8Array;
      readonly elementBytes: number;
    }
  | { readonly type: 'i32' | 'u32' | 'u64' | 'f32' | 'f64'; readonly value: number };

export interface EmulatedLaunch {
  readonly kernel: string;
  readonly grid: readonly [number, number, number];
  readonly block: readonly [number, number, number];
  readonly arguments: readonly EmulatedArgument[];
  /** Of the order in which threads run; 0: each until it must wait. */
  readonly seed: number;
  /** Steps in the last place by which approximate functions are off: -1, 0 or 1. */
  readonly approximation: number;
  readonly mostInstructions: number;
  /** One flag for each conditional branch of the kernel: set to 1 where a thread takes it. */
  readonly taken?: Uint8Array;
}

/** emulator/addon.cpp. */
export interface Emulator {
  /** @throws Error for PTX that the emulator does not know */
  load(ptx: string): object;
  /** The number of instructions.  @throws Error with what the kernel did wrong */
  run(module: object, launch: EmulatedLaunch): number;
}

/** The emulator, or null where there is no C++ compiler. */
export async function openEmulator(): Promise<Emulator | null> {
  const path = await buildEmulator();
  return path === null ? null : (createRequire(import.meta.url)(path) as Emulator);
}
