import { existsSync, writeFileSync } from 'node:fs';
import { readProductTable, type DeviceTable } from '../src/products/product-table.ts';

/** Writes the measurements of a device into a table. Those of other devices in this file stay. */
export async function extendProductTable(path: string, measured: DeviceTable): Promise<void> {
  const { devices } = existsSync(path) ? await readProductTable(path) : { devices: [] };
  const others = devices.filter(({ device }) => device !== measured.device);
  writeFileSync(path, `${JSON.stringify({ devices: [...others, measured] }, null, 2)}\n`);
}
