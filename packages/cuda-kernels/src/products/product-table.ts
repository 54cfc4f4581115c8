import { readFile } from 'node:fs/promises';
import { QdyloraError, type FloatDType } from '@qdylora/contract';
import { packagePath } from '../package-path.ts';

/** Sizes of a product of matrices in bfloat16. */
export interface ProductShape {
  readonly form: 'Nt' | 'Nn' | 'Tn';
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  /** Of the result. */
  readonly dtype: FloatDType;
  /** An adapter is added: the library's result then goes through one more kernel. */
  readonly hasPlus: boolean;
}

/** A product that a device has computed both ways. */
export interface MeasuredProduct extends ProductShape {
  readonly ownMicroseconds: number;
  readonly libraryMicroseconds: number;
}

/** What the tuner measured on one kind of device. */
export interface DeviceTable {
  /** The driver's name of it. */
  readonly device: string;
  /** Version of cuBLASLt: `12.9.5`. The measurements hold for its major version. */
  readonly library: string;
  readonly measured: readonly MeasuredProduct[];
}

/** Which products the library computes, by device and shape. */
export interface ProductTable {
  readonly devices: readonly DeviceTable[];
}

/** prebuilt/products.json: the table that is in the repository. */
export const productTablePath = (): string => packagePath('prebuilt', 'products.json');

/** @throws QdyloraError MISSING_FILE, BAD_FILE */
export async function readProductTable(path = productTablePath()): Promise<ProductTable> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new QdyloraError('MISSING_FILE', {
      where: 'cuda',
      problem: `the table of products cannot be read: ${path}`,
      nextStep: 'Reinstall the package, or write one with the tuner (README).',
      cause,
    });
  }
  try {
    const table = JSON.parse(text) as ProductTable;
    if (table.devices.every(({ device, library, measured }) => device && library && Array.isArray(measured)))
      return table;
  } catch {
    // the error below says it
  }
  throw new QdyloraError('BAD_FILE', {
    where: 'cuda',
    problem: `${path} is not a table of matrix products`,
    nextStep: 'Write one with the tuner (README).',
  });
}

/** A shape is like a measured one if no size differs by more than this factor. */
const MOST_RATIO = 2;

/** The largest ratio of a size of both. */
const ratioOf = (one: ProductShape, other: ProductShape): number =>
  Math.max(
    ...(['rows', 'columns', 'depth'] as const).map(
      (size) => Math.max(one[size], other[size]) / Math.min(one[size], other[size]),
    ),
  );

/**
 * Whether the library computes a product faster than the kernels of this package: by the nearest measured
 * shape of the same kind. Not where nothing like it was measured.
 *
 * @param device its name  @param library version of cuBLASLt
 */
export function libraryChoice(
  { devices }: ProductTable,
  device: string,
  library: string,
): (shape: ProductShape) => boolean {
  const majorOf = (version: string): string => version.split('.', 1)[0];
  const measured = devices
    .filter((one) => one.device === device && majorOf(one.library) === majorOf(library))
    .flatMap((one) => one.measured);
  return (shape) => {
    const near = measured
      .filter(
        ({ form, dtype, hasPlus }) =>
          form === shape.form && dtype === shape.dtype && hasPlus === shape.hasPlus,
      )
      .map((one) => ({ one, ratio: ratioOf(one, shape) }))
      .filter(({ ratio }) => ratio <= MOST_RATIO)
      .sort((first, second) => first.ratio - second.ratio)[0];
    return near !== undefined && near.one.libraryMicroseconds < near.one.ownMicroseconds;
  };
}
