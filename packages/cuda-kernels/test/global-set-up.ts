import { buildEmulator } from '../scripts/build-emulator.mjs';

/** Compiles the emulator once, before the test files run. */
export default async function setUp(): Promise<void> {
  await buildEmulator();
}
