import { narrowHalves, widenHalves } from '@qdylora/contract';
import { describe, expect, test } from 'vitest';
import { openEmulator, type EmulatedArgument } from './emulator.ts';

const emulator = await openEmulator();

/** A kernel over one output array of `bytes`, in PTX; `%base` is its address and `%t` the thread. */
const kernelOf = (body: string, declarations = ''): string => `
.version 8.8
.target sm_80
.address_size 64
.visible .entry planted(.param .u64 out)
{
  .reg .pred %p<4>;
  .reg .b32 %t, %x, %y, %s;
  .reg .b64 %base, %at, %wide;
  ${declarations}
  ld.param.u64 %base, [out];
  mov.u32 %t, %tid.x;
  mul.wide.u32 %wide, %t, 4;
  add.s64 %at, %base, %wide;
  ${body}
  ret;
}`;

interface PlantedOptions {
  readonly threads?: number;
  readonly blocks?: number;
  readonly seed?: number;
  readonly isWritten?: boolean;
  readonly taken?: Uint8Array;
}

/** Runs a kernel on 64 words. Returns them. */
function runPlanted(
  ptx: string,
  { threads = 64, blocks = 1, seed = 7, isWritten = false, taken }: PlantedOptions = {},
): Uint32Array {
  const bytes = new Uint8Array(256);
  const array: EmulatedArgument = {
    type: 'output',
    bytes,
    written: new Uint8Array(256).fill(isWritten ? 1 : 0),
    elementBytes: 4,
  };
  emulator!.run(emulator!.load(ptx), {
    kernel: 'planted',
    grid: [blocks, 1, 1],
    block: [threads, 1, 1],
    arguments: [array],
    seed,
    approximation: 0,
    mostInstructions: 100_000,
    taken,
  });
  return new Uint32Array(bytes.buffer);
}

/** Every thread stores 7·t to shared memory and takes the word of the mirrored thread. */
const MIRROR = (between: string): string => `
  mov.u32 %s, words;
  shl.b32 %x, %t, 2;
  add.u32 %x, %s, %x;
  mul.lo.u32 %y, %t, 7;
  st.shared.u32 [%x], %y;
  ${between}
  sub.u32 %x, 63, %t;
  shl.b32 %x, %x, 2;
  add.u32 %x, %s, %x;
  ld.shared.u32 %y, [%x];
  st.global.u32 [%at], %y;`;
const WORDS = '.shared .align 16 .b8 words[256];';

/** cp.async of 16 bytes by the first thread, then every thread reads the first word. */
const COPY = (wait: string): string => `
  mov.u32 %s, words;
  setp.ne.u32 %p1, %t, 0;
  @%p1 bra $done;
  cp.async.cg.shared.global [%s], [%base], 16;
  cp.async.commit_group;
  ${wait}
$done:
  bar.sync 0;
  ld.shared.u32 %y, [%s];`;

describe.skipIf(!emulator)('the emulator', () => {
  test.each([0, 1, 2, 3])('runs a kernel that is right, with seed %i', (seed) => {
    const words = runPlanted(kernelOf(MIRROR('bar.sync 0;'), WORDS), { seed });
    expect([...words]).toEqual(Array.from({ length: 64 }, (_, t) => 7 * (63 - t)));
  });

  test('converts float16 to float32 and back as the arrays of contract are converted', () => {
    const halves = '.reg .b16 %h; .reg .f32 %f;';
    for (let first = 0; first < 65536; first += 4099) {
      const widen = `mad.lo.u32 %x, %t, 61, ${first}; cvt.u16.u32 %h, %x; cvt.f32.f16 %f, %h;
        mov.b32 %y, %f; st.global.u32 [%at], %y;`;
      const codes = Uint16Array.from({ length: 64 }, (_, thread) => thread * 61 + first);
      expect(new Float32Array(runPlanted(kernelOf(widen, halves)).buffer)).toEqual(widenHalves('f16', codes));
      // the exponents of float16 and some beyond, with any fraction
      const bits = Uint32Array.from(codes, (code, thread) => 0x32000000 + thread * 0x00410007 + code * 31);
      const narrow = `mad.lo.u32 %x, %t, ${0x00410007 + 61 * 31}, ${0x32000000 + first * 31}; mov.b32 %f, %x;
        cvt.rn.f16.f32 %h, %f; cvt.u32.u16 %y, %h; st.global.u32 [%at], %y;`;
      if (first + 63 * 61 < 65536)
        expect(Uint16Array.from(runPlanted(kernelOf(narrow, halves)))).toEqual(
          narrowHalves('f16', new Float32Array(bits.buffer)),
        );
    }
  });

  test('computes nothing else in float16', () => {
    expect(() => runPlanted(kernelOf('add.f16 %h, %h, %h;', '.reg .b16 %h;'))).toThrow(
      /the emulator cannot compute `add.f16/,
    );
  });

  test('names both threads of a race in shared memory', () => {
    expect(() => runPlanted(kernelOf(MIRROR(''), WORDS))).toThrow(
      /race: reads shared memory at byte \d+, which thread \d+ of the grid wrote|which nobody wrote/,
    );
    const racing = 'mov.u32 %s, words; st.shared.u32 [%s], %t;';
    expect(() => runPlanted(kernelOf(racing, WORDS))).toThrow(
      /planted, block 0, thread \d+: race: writes shared memory at byte 0, which thread \d+ of the grid/,
    );
  });

  test('finds races between threads and between blocks in global memory', () => {
    expect(() => runPlanted(kernelOf('st.global.u32 [%base], %t;'))).toThrow(
      /race: writes argument 0 at byte 0/,
    );
    expect(() => runPlanted(kernelOf('st.global.u32 [%base], %t;'), { threads: 1, blocks: 2 })).toThrow(
      /race: writes argument 0 at byte 0/,
    );
  });

  test('finds reads of memory that nobody wrote', () => {
    expect(() => runPlanted(kernelOf('ld.global.u32 %x, [%at];'))).toThrow(
      /reads argument 0 at byte \d+, which nobody wrote/,
    );
    expect(() => runPlanted(kernelOf('ld.global.u32 %x, [%at];'), { isWritten: true })).not.toThrow();
  });

  test('finds accesses out of bounds and misaligned ones', () => {
    expect(() => runPlanted(kernelOf('st.global.u32 [%at+4], %t;'))).toThrow(
      /writes out of bounds: argument 0 at byte 256 and 4 bytes, of 256/,
    );
    expect(() => runPlanted(kernelOf('st.global.u32 [%base+2], %t;'), { threads: 1 })).toThrow(
      /which is no multiple of 4/,
    );
  });

  test('finds barriers that not all threads reach', () => {
    const divergent = 'setp.gt.u32 %p1, %t, 40; @%p1 bra $end; bar.sync 0; $end:';
    expect(() => runPlanted(kernelOf(divergent))).toThrow(
      /divergent barrier: thread \d+ has ended without it/,
    );
    const two = 'setp.gt.u32 %p1, %t, 40; @%p1 bra $b; bar.sync 0; bra $end; $b: bar.sync 0; $end:';
    expect(() => runPlanted(kernelOf(two))).toThrow(/divergent barrier: thread \d+ is at another one/);
  });

  test('finds shuffles from lanes outside the mask and masks without the thread', () => {
    const outside = 'setp.gt.u32 %p1, %t, 15; @%p1 bra $end; shfl.sync.bfly.b32 %x, %t, 16, 31, 65535; $end:';
    expect(() => runPlanted(kernelOf(outside), { threads: 32 })).toThrow(
      /shuffles from lane \d+, outside its mask 0x0000ffff/,
    );
    expect(() => runPlanted(kernelOf('shfl.sync.bfly.b32 %x, %t, 1, 31, 1;'), { threads: 32 })).toThrow(
      /is not in its own mask 0x00000001/,
    );
  });

  test('finds a cp.async that nobody waits for, and reads before the wait', () => {
    expect(() =>
      runPlanted(kernelOf(COPY('cp.async.wait_group 0;'), WORDS), { isWritten: true }),
    ).not.toThrow();
    expect(() => runPlanted(kernelOf(COPY('cp.async.wait_group 1;'), WORDS), { isWritten: true })).toThrow(
      /ends before it has waited for its cp.async|reads shared memory at byte 0, which nobody wrote/,
    );
    expect(() => runPlanted(kernelOf(COPY(''), WORDS), { isWritten: true })).toThrow(
      /ends before it has waited for its cp.async|reads shared memory at byte 0, which nobody wrote/,
    );
  });

  test.each([
    ['bf16', 16, 0x3f803f80],
    ['f16', 16, 0x3c003c00],
    ['f16', 8, 0x3c003c00],
  ] as const)(
    'multiplies matrices of a warp in %s, %i deep, and needs all of its lanes',
    (type, depth, ones) => {
      // every element of both factors is 1: a sum of `depth`
      const words = (count: number): string => `{${Array.from({ length: count }, () => '%x').join(', ')}}`;
      const product = `
      .reg .f32 %f<4>;
      mov.u32 %x, ${ones};
      mov.f32 %f0, 0f3F000000;
      mma.sync.aligned.m16n8k${depth}.row.col.f32.${type}.${type}.f32
        {%f0, %f1, %f2, %f3}, ${words(depth / 4)}, ${words(depth / 8)}, {%f0, %f0, %f0, %f0};
      st.global.f32 [%at], %f3;`;
      const sums = runPlanted(kernelOf(product), { threads: 32 });
      expect(new Set(new Float32Array(sums.buffer, 0, 32))).toEqual(new Set([depth + 0.5]));
      expect(() => runPlanted(kernelOf(product), { threads: 31 })).toThrow(/needs a whole warp/);
    },
  );

  test('loads matrices from the addresses of eight lanes each, turned where asked', () => {
    const load = (modifier: string): string => `
      mov.u32 %s, words;
      shl.b32 %x, %t, 2;
      add.u32 %x, %s, %x;
      shl.b32 %y, %t, 17;
      or.b32 %y, %y, %t;
      st.shared.u32 [%x], %y;
      bar.warp.sync -1;
      and.b32 %x, %t, 7;
      shl.b32 %x, %x, 4;
      add.u32 %x, %s, %x;
      ldmatrix.sync.aligned.m8n8.x1${modifier}.shared.b16 {%y}, [%x];
      st.global.u32 [%at], %y;`;
    // lane t wrote (t, 2t) to elements 2t and 2t + 1: its own word again, or a column of the matrix
    const straight = runPlanted(kernelOf(load(''), WORDS), { threads: 32 });
    expect([...straight.slice(0, 32)]).toEqual(Array.from({ length: 32 }, (_, t) => t | (t << 17)));
    const turned = runPlanted(kernelOf(load('.trans'), WORDS), { threads: 32 });
    const elementAt = (row: number, column: number): number =>
      (4 * row + Math.floor(column / 2)) * (column % 2 ? 2 : 1);
    expect([...turned.slice(0, 32)]).toEqual(
      Array.from({ length: 32 }, (_, t) => {
        const [column, row] = [Math.floor(t / 4), (t % 4) * 2];
        return elementAt(row, column) | (elementAt(row + 1, column) << 16);
      }),
    );
  });

  test('tells which conditional branches some thread takes', () => {
    const branches = `
      setp.gt.u32 %p1, %t, 40;
      @%p1 bra $some;
      bra $some;
    $some:
      setp.gt.u32 %p1, %t, 64;
      @%p1 bra $none;
      @!%p1 bra $none;
    $none:`;
    const taken = new Uint8Array(3);
    runPlanted(kernelOf(branches), { taken });
    expect([...taken]).toEqual([1, 0, 1]);
    expect(() => runPlanted(kernelOf(branches), { taken: new Uint8Array(2) })).toThrow(
      /has 3 conditional branches: `taken` needs a flag for each/,
    );
  });

  test('names an instruction or a modifier that it does not know', () => {
    expect(() => emulator!.load(kernelOf('dp4a.u32.u32 %x, %x, %x, %x;'))).toThrow(
      /does not know the instruction dp4a.u32.u32/,
    );
    expect(() => emulator!.load(kernelOf('add.sat.s32 %x, %x, %x;'))).toThrow(
      /does not know \.sat of the instruction add.sat.s32/,
    );
  });

  test('ends a kernel that runs for ever', () => {
    expect(() => runPlanted(kernelOf('$again: bra $again;'))).toThrow(/runs more than 100000 instructions/);
  });
});
