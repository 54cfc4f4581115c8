/** What one kernel of a cubin uses. */
export interface KernelResources {
  readonly kernel: string;
  readonly registers: number;
  readonly sharedBytes: number;
}

interface Section {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
}

/** Attributes of `.nv.info`: one with a payload, and the number of registers. */
const WITH_PAYLOAD = 0x04;
const REGISTER_COUNT = 0x2f;
/** Shared memory that the system keeps for itself in each block, from sm_90 on. */
const SYSTEM_SHARED_BYTES = 1024;

/**
 * Registers and shared memory of the kernels of a cubin (ELF64): the register counts of the section
 * `.nv.info`, by symbol, and the sizes of the sections `.nv.shared.<kernel>`.
 */
export function readCubinResources(image: Uint8Array, target: string): KernelResources[] {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const sections = readSections(image, view);
  const symbols = readSymbols(image, view, sections);
  const reserved = Number(target.slice('sm_'.length)) >= 90 ? SYSTEM_SHARED_BYTES : 0;
  return readRegisterCounts(
    view,
    sections.find(({ name }) => name === '.nv.info')!,
  ).map(({ symbol, registers }) => {
    const kernel = symbols[symbol];
    const shared = sections.find(({ name }) => name === `.nv.shared.${kernel}`);
    return { kernel, registers, sharedBytes: shared ? shared.bytes - reserved : 0 };
  });
}

const textAt = (image: Uint8Array, begin: number): string =>
  Buffer.from(image.subarray(begin, image.indexOf(0, begin))).toString('latin1');

function readSections(image: Uint8Array, view: DataView): Section[] {
  const headers = Number(view.getBigUint64(0x28, true));
  const [size, count, names] = [0x3a, 0x3c, 0x3e].map((at) => view.getUint16(at, true));
  const nameTable = Number(view.getBigUint64(headers + names * size + 0x18, true));
  return Array.from({ length: count }, (_, index) => {
    const header = headers + index * size;
    return {
      name: textAt(image, nameTable + view.getUint32(header, true)),
      offset: Number(view.getBigUint64(header + 0x18, true)),
      bytes: Number(view.getBigUint64(header + 0x20, true)),
    };
  });
}

function readSymbols(image: Uint8Array, view: DataView, sections: readonly Section[]): string[] {
  const [table, names] = ['.symtab', '.strtab'].map((name) => sections.find((one) => one.name === name)!);
  return Array.from({ length: table.bytes / 24 }, (_, index) =>
    textAt(image, names.offset + view.getUint32(table.offset + 24 * index, true)),
  );
}

function readRegisterCounts(view: DataView, info: Section): { symbol: number; registers: number }[] {
  const counts: { symbol: number; registers: number }[] = [];
  for (let at = info.offset; at < info.offset + info.bytes;) {
    const [format, attribute] = [view.getUint8(at), view.getUint8(at + 1)];
    const payloadBytes = format === WITH_PAYLOAD ? view.getUint16(at + 2, true) : 0;
    if (format === WITH_PAYLOAD && attribute === REGISTER_COUNT)
      counts.push({ symbol: view.getUint32(at + 4, true), registers: view.getUint32(at + 8, true) });
    at += 4 + payloadBytes;
  }
  return counts;
}
