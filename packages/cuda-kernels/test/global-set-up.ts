import { buildAddon } from '../scripts/build-addon.mjs';
import { buildEmulator } from '../scripts/build-emulator.mjs';
import { buildFakeDriver } from '../scripts/build-fake-driver.mjs';

/** Compiles the emulator, the addon and the fake driver once, before the test files run. */
export default async function setUp(): Promise<void> {
  await buildEmulator();
  await buildAddon();
  await buildFakeDriver();
}
