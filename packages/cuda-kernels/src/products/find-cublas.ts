import type { CublasCalls, CudaDriver } from '../addon/addon-functions.ts';
import type { ComputeCapability } from '../archive/pick-target.ts';
import { withCudaErrors } from '../driver/cuda-error.ts';

/** cuBLASLt as this machine has it, or why it is not used. */
export type FoundCublas =
  | {
      readonly isFound: true;
      /** `libcublasLt.so.12`. */
      readonly library: string;
      /** `12.9.5`. */
      readonly version: string;
      readonly calls: CublasCalls;
    }
  | { readonly isFound: false; readonly reason: string };

/** Versions whose calls are those of addon/cublas-api.h, the newest first. */
const MAJORS = [13, 12];
/** bfloat16 on tensor cores begins with sm_80. */
const FIRST_CAPABILITY = 8;

/** 120905 → `12.9.5`. */
const versionText = (version: number): string =>
  [Math.floor(version / 10000), Math.floor(version / 100) % 100, version % 100].join('.');

/**
 * Opens cuBLASLt, the newest whose major version the driver knows too. CUDA's libraries of a major version
 * run on every driver of that version or a newer one.
 *
 * @param path instead of the names that the system's loader finds
 */
export function findCublas(
  driver: CudaDriver,
  { major, minor }: ComputeCapability,
  path?: string,
): FoundCublas {
  if (major < FIRST_CAPABILITY)
    return { isFound: false, reason: `capability ${major}.${minor} has no tensor cores for bfloat16` };
  const newest = Math.floor(driver.cuDriverGetVersion() / 1000);
  const names = path ? [path] : MAJORS.filter((one) => one <= newest).map((one) => `libcublasLt.so.${one}`);
  const reasons: string[] = [];
  for (const library of names) {
    const { failure, missing, version, ...calls } = driver.openCublas(library);
    if (failure || missing) {
      reasons.push(failure || `${library} lacks ${missing}`);
      continue;
    }
    const found = Math.floor(version / 10000);
    if (MAJORS.includes(found) && found <= newest)
      return { isFound: true, library, version: versionText(version), calls: withCudaErrors(calls) };
    reasons.push(`${library} is version ${versionText(version)}, and the driver knows CUDA ${newest}`);
  }
  return { isFound: false, reason: reasons.join('; ') };
}
