import { rowsOf, type ArrayView, type FloatView } from '@qdylora/contract';
import type { CrossEntropyAttributes } from '@qdylora/tensor';
import { f32, i32, input, output, type CudaDoor } from '../../launch/launch.ts';
import { rowThreads } from '../../launch/row-threads.ts';
import { launchProduct, withMatrix } from '../linear/launch-product.ts';

type F32 = ArrayView<'f32'>;

/**
 * Logits that exist at once: 128 MiB, which is 256 rows of a vocabulary of 131,072. Of more than 262,144
 * entries those of `TILE_ROWS` tokens exist.
 */
const MOST_LOGITS = 2 ** 25;
/** Rows of the tiles of a product: chunks are whole tiles. */
const TILE_ROWS = 128;
const LOSS_THREADS = 256;

/** Tokens that exist as logits at once. */
const chunkRows = (vocabulary: number): number =>
  Math.max(TILE_ROWS, Math.floor(MOST_LOGITS / vocabulary / TILE_ROWS) * TILE_ROWS);

/** A head and the tokens that it is applied to. */
export interface HeadCall {
  /** [tokens, hidden] */
  readonly x: FloatView;
  /** [vocabulary, hidden] */
  readonly weight: FloatView;
  /** [tokens] */
  readonly targets: ArrayView<'i32'>;
  readonly tokenWeights?: F32;
  /** [1] */
  readonly loss: F32;
  /** [tokens] */
  readonly tokenLosses: F32;
  readonly dx?: F32;
  readonly dWeight?: F32;
}

/** The logits of some tokens, [rows, vocabulary], with their states and the tokens' part of every array. */
export interface HeadChunk {
  readonly logits: F32;
  /** [rows, 2]: largest logit and sum of exponentials. */
  readonly states: F32;
  readonly targets: ArrayView<'i32'>;
  readonly tokenWeights?: F32;
  readonly tokenLosses: F32;
  /** The rows of this chunk of an array: [tokens, …]. */
  rowsIn<V extends ArrayView>(array: V): V;
}

/** Launches `kernel` with a block for each row of logits. */
export const launchRows = (
  { launch }: CudaDoor,
  { logits }: Pick<HeadChunk, 'logits'>,
  call: Pick<Parameters<CudaDoor['launch']>[0], 'module' | 'kernel' | 'arguments'>,
): void => launch({ ...call, blocks: logits.shape[0], threads: rowThreads(logits.shape[1]) });

/** Launches states and token losses of all rows of a chunk; the logits are capped in place. */
const launchRowStates = (door: CudaDoor, chunk: HeadChunk, softCap: number): void =>
  launchRows(door, chunk, {
    module: 'linear-cross-entropy',
    kernel: 'rowStates',
    arguments: [
      output(chunk.logits),
      input(chunk.targets),
      output(chunk.states),
      output(chunk.tokenLosses),
      i32(chunk.logits.shape[1]),
      f32(softCap),
    ],
  });

/** Launches the gradient of the cross-entropy in place of the logits. */
export const launchLogitGradients = (
  door: CudaDoor,
  { logits, states, targets, tokenWeights, ...chunk }: HeadChunk,
  { softCap = 0, lossScale }: CrossEntropyAttributes,
): void =>
  launchRows(
    door,
    { logits, ...chunk },
    {
      module: 'linear-cross-entropy',
      kernel: 'logitGradients',
      arguments: [
        output(logits),
        input(states),
        input(targets),
        input(tokenWeights ?? states),
        i32(tokenWeights ? 1 : 0),
        i32(logits.shape[1]),
        f32(softCap),
        f32(lossScale),
      ],
    },
  );

/**
 * Launches head and loss, chunk by chunk of the tokens: logits and their states, then `visit`, which makes
 * the gradient of the logits in their place where one is wanted, then dx and dWeight; at last the loss.
 */
export function launchHead(
  door: CudaDoor,
  { x, weight, targets, tokenWeights, loss, tokenLosses, dx, dWeight }: HeadCall,
  { computeDtype, softCap = 0, lossScale }: CrossEntropyAttributes,
  visit: (chunk: HeadChunk) => void,
): void {
  const tokens = x.shape[0];
  const vocabulary = weight.shape[0];
  const rows = Math.min(tokens, chunkRows(vocabulary));
  for (let begin = 0; begin < tokens; begin += rows) {
    const count = Math.min(rows, tokens - begin);
    const rowsIn = <V extends ArrayView>(array: V): V => rowsOf(array, begin, begin + count) as V;
    withMatrix(door, { dtype: 'f32', shape: [count, vocabulary] }, (logits) =>
      withMatrix(door, { dtype: 'f32', shape: [count, 2] }, (states) => {
        const chunkX = rowsIn(x);
        launchProduct(door, { form: 'Nt', computeDtype, a: chunkX, b: weight, c: logits });
        const chunk: HeadChunk = {
          logits,
          states,
          targets: rowsIn(targets),
          tokenWeights: tokenWeights && rowsIn(tokenWeights),
          tokenLosses: rowsIn(tokenLosses),
          rowsIn,
        };
        launchRowStates(door, chunk, softCap);
        visit(chunk);
        if (dx) launchProduct(door, { form: 'Nn', computeDtype, a: logits, b: weight, c: rowsIn(dx) });
        if (dWeight)
          launchProduct(door, {
            form: 'Tn',
            computeDtype,
            a: logits,
            b: chunkX,
            c: dWeight,
          });
      }),
    );
  }
  door.launch({
    module: 'linear-cross-entropy',
    kernel: 'sumLosses',
    blocks: 1,
    threads: LOSS_THREADS,
    arguments: [
      input(tokenLosses),
      input(tokenWeights ?? tokenLosses),
      i32(tokenWeights ? 1 : 0),
      output(loss),
      i32(tokens),
      f32(lossScale),
    ],
  });
}
