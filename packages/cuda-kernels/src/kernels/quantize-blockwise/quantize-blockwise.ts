import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { levelSearch, levelsOf, quantizeBlockwise } from '@qdylora/quant';
import { dtypeSuffix } from '../../launch/dtype-suffix.ts';
import { f32, i32, input, output, u32, u64, type CudaDoor } from '../../launch/launch.ts';
import { WARP } from '../../launch/row-threads.ts';

const WARPS_OF_BLOCK = 8;
/** Codes of a word, four bits each. */
const CODES_OF_WORD = 8;

/** The codes of eight places from `from` on, as one word. */
const wordOf = (codes: Uint8Array, from: number): number =>
  codes
    .subarray(from, from + CODES_OF_WORD)
    .reduce((word, code, place) => (word | (code << (4 * place))) >>> 0, 0);

/** Infinite values and NaN are not reported: they make an `absmax` that is not finite. */
export const quantizeBlockwiseKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(quantizeBlockwise, ({ values }, { codes, absmax }, { kind, blockSize, tileColumns }) => {
    const search = levelSearch(levelsOf(kind));
    launch({
      module: 'quantize-blockwise',
      kernel: `quantize${dtypeSuffix(values)}`,
      blocks: Math.ceil(absmax.shape[0] / WARPS_OF_BLOCK),
      threads: WARPS_OF_BLOCK * WARP,
      arguments: [
        input(values),
        output(codes),
        output(absmax),
        u64(values.shape[0]),
        i32(blockSize),
        u32(tileColumns ?? 0),
        ...Array.from(search.limits, f32),
        u32(wordOf(search.codes, 0)),
        u32(wordOf(search.codes, CODES_OF_WORD)),
      ],
    });
  }),
];
