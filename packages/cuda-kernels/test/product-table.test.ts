import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, test } from 'vitest';
import { extendProductTable } from '../bench/extend-product-table.ts';
import { tuneProducts } from '../bench/tune-products.ts';
import { createCudaBackend } from '../src/index.ts';
import { libraryChoice, readProductTable, type MeasuredProduct } from '../src/products/product-table.ts';
import { NOTHING, openFakeDriver, withFakeDriver } from './fake-driver.ts';

const library = (await openFakeDriver())!;

describe('the table of products', () => {
  const measured: MeasuredProduct[] = [
    {
      form: 'Nt',
      rows: 512,
      columns: 1024,
      depth: 1024,
      dtype: 'bf16',
      hasPlus: false,
      ownMicroseconds: 9,
      libraryMicroseconds: 5,
    },
    {
      form: 'Nt',
      rows: 64,
      columns: 1024,
      depth: 1024,
      dtype: 'bf16',
      hasPlus: false,
      ownMicroseconds: 3,
      libraryMicroseconds: 5,
    },
  ];
  const choice = libraryChoice(
    { devices: [{ device: 'One', library: '12.9.5', measured }] },
    'One',
    '12.4.1',
  );
  const [shape] = measured;

  test('chooses by the nearest shape of the same kind, and our own kernels far from all', () => {
    expect(choice(shape)).toBe(true);
    expect(choice({ ...shape, rows: 700 })).toBe(true);
    expect(choice({ ...shape, rows: 100 })).toBe(false);
    expect(choice({ ...shape, depth: 4096 })).toBe(false);
    expect(choice({ ...shape, form: 'Nn' })).toBe(false);
    expect(choice({ ...shape, dtype: 'f32' })).toBe(false);
    expect(choice({ ...shape, hasPlus: true })).toBe(false);
  });

  test('keeps what other devices measured, in whatever file it is', async () => {
    const path = join(temporaryFolder(), 'mine.json');
    const deviceTable = (device: string, of = measured) => ({ device, library: '12.9.5', measured: of });
    await extendProductTable(path, deviceTable('One'));
    await extendProductTable(path, deviceTable('Two'));
    await extendProductTable(path, deviceTable('One', []));
    expect(await readProductTable(path)).toEqual({ devices: [deviceTable('Two'), deviceTable('One', [])] });
  });

  test('holds for its device and the major version of its library', () => {
    const table = { devices: [{ device: 'One', library: '12.9.5', measured }] };
    expect(libraryChoice(table, 'Two', '12.9.5')(shape)).toBe(false);
    expect(libraryChoice(table, 'One', '13.0.0')(shape)).toBe(false);
  });

  test('in the repository has measurements of real devices only', async () => {
    for (const { device, measured: rows } of (await readProductTable()).devices) {
      expect(device).not.toMatch(/Fake/);
      for (const { ownMicroseconds, libraryMicroseconds } of rows)
        expect(Math.min(ownMicroseconds, libraryMicroseconds)).toBeGreaterThan(0);
    }
    await expect(readProductTable('no-such-table.json')).rejects.toMatchObject({ code: 'MISSING_FILE' });
  });

  test.skipIf(!library)('is written by the tuner, which measures each product both ways', async () => {
    const logged = await withFakeDriver('capability=8.0', async () => {
      const rows = await tuneProducts(
        (products) =>
          createCudaBackend({ libraryPath: library, cublasPath: library, regionBytes: 2 ** 16, products }),
        [{ tokens: 8, inFeatures: 16, outFeatures: 8 }],
        { repeats: 1, calls: 1, rank: 8 },
      );
      expect(new Set(rows.map(({ form, dtype, hasPlus }) => `${form} ${dtype} ${hasPlus}`)).size).toBe(9);
      for (const { ownMicroseconds, libraryMicroseconds } of rows)
        expect(Math.min(ownMicroseconds, libraryMicroseconds)).toBeGreaterThan(0);
    });
    expect(logged.some(({ name }) => name === 'cublasLtMatmul')).toBe(true);
    expect(logged.at(-1)!.ledger).toEqual(NOTHING);
  });
});
