import type { CubinArchive } from '../archive/open-cubins.ts';
import type { Handle } from '../addon/addon-functions.ts';
import { ignoringFailures, type DeviceContext } from '../driver/device-context.ts';
import type { Launch } from './launch.ts';
import { MOST_ARGUMENT_BYTES, packArguments } from './pack-arguments.ts';

/** A launch with its arguments as the driver takes them. It can be made again. */
export interface PackedLaunch {
  readonly kernel: Handle;
  readonly blocks: number;
  readonly threads: number;
  readonly packedArguments: Uint8Array;
}

/** Makes launches on the stream of a device. */
export interface Launcher {
  /** Enqueues the kernel. Its module is loaded at its first launch. */
  launch(launch: Launch): void;
  /** The same, and what makes it again. */
  launchAndKeep(launch: Launch): PackedLaunch;
  launchAgain(packed: PackedLaunch): void;
  /** Unloads the modules. It does not throw. */
  dispose(): void;
}

/** @param target the images that the device runs: `sm_80` */
export function createLauncher(context: DeviceContext, cubins: CubinArchive, target: string): Launcher {
  const { driver, stream } = context;
  const modules = new Map<string, Handle>();
  const kernels = new Map<string, Handle>();
  const argumentBytes = new Uint8Array(MOST_ARGUMENT_BYTES);
  const argumentView = new DataView(argumentBytes.buffer);

  const moduleOf = (source: string): Handle => {
    const loaded =
      modules.get(source) ?? driver.cuModuleLoadData(withTerminator(cubins.image(source, target)));
    modules.set(source, loaded);
    return loaded;
  };
  const kernelOf = ({ module, kernel }: Launch): Handle => {
    const name = `${module} ${kernel}`;
    const found = kernels.get(name) ?? driver.cuModuleGetFunction(moduleOf(module), kernel);
    kernels.set(name, found);
    return found;
  };
  const launchPacked = (
    { kernel, blocks, threads, packedArguments }: PackedLaunch,
    bytes = packedArguments.length,
  ): void => {
    if (blocks > 0) driver.cuLaunchKernel(kernel, blocks, threads, 0, stream, packedArguments, bytes);
  };
  return {
    launch(launch) {
      const { blocks, threads } = launch;
      if (blocks === 0) return;
      const bytes = packArguments(launch.arguments, argumentView);
      launchPacked({ kernel: kernelOf(launch), blocks, threads, packedArguments: argumentBytes }, bytes);
    },
    launchAndKeep(launch) {
      const { blocks, threads } = launch;
      const bytes = packArguments(launch.arguments, argumentView);
      const kept = {
        kernel: kernelOf(launch),
        blocks,
        threads,
        packedArguments: argumentBytes.slice(0, bytes),
      };
      launchPacked(kept);
      return kept;
    },
    launchAgain: (kept) => launchPacked(kept),
    dispose() {
      ignoringFailures(
        ...[...modules.values()].map((module) => () => {
          driver.cuModuleUnload(module);
        }),
      );
      modules.clear();
      kernels.clear();
    },
  };
}

/** Appends a zero byte: the driver takes PTX as a C string. A cubin knows its length. */
function withTerminator(image: Uint8Array): Uint8Array {
  const text = new Uint8Array(image.length + 1);
  text.set(image);
  return text;
}
