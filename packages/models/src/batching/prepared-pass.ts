import {
  canRecord,
  repeatedCall,
  rowsOf,
  runOp,
  type ArrayView,
  type Backend,
  type DType,
  type RepeatedCall,
} from '@qdylora/contract';
import { constant, embedding, type ForwardContext, type SoftTargets } from '@qdylora/tensor';
import type { BatchArrays } from '../decoder/batch-arrays.ts';
import type { CausalLm } from '../decoder/causal-lm.ts';
import type { HeadCodes } from '../generate/head-codes.ts';
import type { KvPool, PoolSegments } from './kv-pool.ts';
import type { PassLayout, PassSequence, SequenceResult, TokenScores } from './sequence-pass.ts';

type F32 = ArrayView<'f32'>;
type I32 = ArrayView<'i32'>;

/** The passes of one layout: their arrays stay in place. */
export interface PreparedPass extends Disposable {
  readonly layout: PassLayout;
  run(sequences: readonly PassSequence[]): Promise<SequenceResult[]>;
}

export interface PreparedPassOptions {
  readonly ctx: ForwardContext;
  readonly pool: KvPool;
  /** Makes the 8-bit copy of the head, once for all passes of a model. */
  codes(): HeadCodes;
}

/** A pass with this layout runs so many times before it is recorded: most layouts last for a few tokens. */
const RUNS_BEFORE_RECORDING = 3;

/** Arrays that the pass reads (written before each run) and those that it writes. */
interface PassArrays {
  readonly batch: BatchArrays;
  readonly segments: PoolSegments;
  /** Rows of the last tokens: first those with a likeliest token, then those with logits. */
  readonly lastRows: I32;
  /** [sequences with a likeliest token] */
  readonly likeliest: I32;
  /** [sequences with logits, vocabulary] */
  readonly logits: F32;
}

/** The scored arrays of one sequence. */
interface Scored {
  readonly sequence: number;
  readonly arrays: SoftTargets;
  readonly tokenLosses: F32;
}

export function preparePass(
  model: CausalLm,
  layout: PassLayout,
  { ctx, pool, codes }: PreparedPassOptions,
): PreparedPass {
  const { backend } = model;
  const { memory } = backend;
  const views: ArrayView[] = [];
  const arrays = passArrays(layout, model.vocabularySize, (dtype, shape) => {
    const view = memory.allocate(dtype, shape);
    memory.persist(view);
    views.push(view);
    return view;
  });
  let call: RepeatedCall<undefined> | null = null;
  let runs = 0;
  const body = (recorder: Backend, headCodes?: HeadCodes): Scored[] =>
    compute(model, layout, {
      ctx: { ...ctx, backend: recorder, active: layout.active },
      pool,
      arrays,
      headCodes,
    });
  const record = (): RepeatedCall<undefined> => {
    const headCodes = codes();
    return repeatedCall(backend, (recorder) => void body(recorder, headCodes));
  };
  return {
    layout,
    async run(sequences) {
      writeInputs(memory, arrays, sequences);
      if (!call && layout.isDecoding && canRecord(backend) && ++runs > RUNS_BEFORE_RECORDING) {
        // Scratch is sized at the first run: for ranges that are full. That run's results are not read.
        writeEnds(memory, arrays, sequences, ({ range }) => range.length);
        call = record();
        call.run();
        writeEnds(memory, arrays, sequences, tokensAfter);
      }
      if (call) call.run();
      const scored = call ? [] : memory.scoped(() => body(backend), keptViews);
      try {
        return await readResults(memory, layout, arrays, scored);
      } finally {
        for (const view of keptViews(scored)) memory.release(view);
      }
    },
    [Symbol.dispose]() {
      call?.dispose();
      for (const view of views.splice(0)) memory.release(view);
    },
  };
}

const keptViews = (scored: readonly Scored[]): ArrayView[] =>
  scored.flatMap(({ arrays, tokenLosses }) => [
    tokenLosses,
    arrays.topIds,
    arrays.topLogProbabilities,
    arrays.tailMass,
  ]);

function passArrays(
  { tokens, sequences, likeliest, logits }: PassLayout,
  vocabularySize: number,
  lasting: <D extends DType>(dtype: D, shape: readonly number[]) => ArrayView<D>,
): PassArrays {
  const entries = 2 * sequences.length + 1;
  return {
    batch: {
      ids: lasting('i32', [tokens]),
      positions: lasting('i32', [tokens]),
      segments: lasting('i32', [entries]),
    },
    segments: { keySegments: lasting('i32', [entries]), ends: lasting('i32', [sequences.length]) },
    lastRows: lasting('i32', [likeliest.length + logits.length]),
    likeliest: lasting('i32', [likeliest.length]),
    logits: lasting('f32', [logits.length, vocabularySize]),
  };
}

const tokensAfter = ({ filled, ids }: PassSequence): number => filled + ids.length;

function writeInputs(
  memory: Backend['memory'],
  arrays: PassArrays,
  sequences: readonly PassSequence[],
): void {
  const ids = sequences.flatMap((sequence) => sequence.ids);
  const positions = sequences.flatMap(({ filled, ids }) => ids.map((_, i) => filled + i));
  const segments = [0];
  const last: number[] = [];
  for (const sequence of sequences) {
    const from = segments.at(-1)!;
    segments.push(from, from + sequence.ids.length);
    last.push(from + sequence.ids.length - 1);
  }
  const rowsOfLast = (isWanted: (sequence: PassSequence) => boolean): number[] =>
    last.filter((_, i) => isWanted(sequences[i]));
  memory.write(arrays.batch.ids, ids);
  memory.write(arrays.batch.positions, positions);
  memory.write(arrays.batch.segments, segments);
  memory.write(arrays.lastRows, [
    ...rowsOfLast(({ wantsLikeliest }) => wantsLikeliest),
    ...rowsOfLast(({ wantsLogits }) => wantsLogits),
  ]);
  writeEnds(memory, arrays, sequences, tokensAfter);
}

/** Where the keys of each sequence end: before each of them is a segment without queries. */
function writeEnds(
  memory: Backend['memory'],
  { segments: { keySegments, ends } }: PassArrays,
  sequences: readonly PassSequence[],
  endOf: (sequence: PassSequence) => number,
): void {
  memory.write(keySegments, [
    0,
    ...sequences.flatMap((sequence) => [sequence.range.start, sequence.range.start + endOf(sequence)]),
  ]);
  memory.write(ends, sequences.map(tokensAfter));
}

interface Computation {
  readonly ctx: ForwardContext;
  readonly pool: KvPool;
  readonly arrays: PassArrays;
  readonly headCodes?: HeadCodes | undefined;
}

/** The ops of a pass. Likeliest tokens and logits are written into `arrays`. */
function compute(
  model: CausalLm,
  { sequences, likeliest, logits }: PassLayout,
  { ctx, pool, arrays, headCodes }: Computation,
): Scored[] {
  const { head } = model;
  const x = model.hiddenOfArrays(ctx, arrays.batch, pool.cachesOf(sequences, arrays.segments));
  const count = likeliest.length;
  if (count + logits.length > 0) {
    const { y } = runOp(ctx.backend, embedding, { weight: x.view, ids: arrays.lastRows }, {});
    if (count > 0)
      head.likeliestOfRows(ctx, rowsOf(y, 0, count), { codes: headCodes, into: arrays.likeliest });
    if (logits.length > 0) head.logits(ctx, constant(rowsOf(y, count, y.shape[0])), arrays.logits);
  }
  return sequences.flatMap(({ scoring, from, last }, sequence) => {
    if (!scoring) return [];
    const rows = constant(rowsOf(x.view, from, last + 1));
    const { memory } = ctx.backend;
    const tokens = last + 1 - from;
    const targets = memory.allocate('i32', [tokens]);
    memory.write(targets, scoring.targets);
    const soft: SoftTargets = {
      topIds: memory.allocate('i32', [tokens, scoring.topK]),
      topLogProbabilities: memory.allocate('f32', [tokens, scoring.topK]),
      tailMass: memory.allocate('f32', [tokens]),
    };
    const softTargets = { role: 'teacher', arrays: soft } as const;
    const { tokenLosses } = head.loss(ctx, rows, { targets }, { lossScale: 1, softTargets });
    return [{ sequence, arrays: soft, tokenLosses }];
  });
}

async function readResults(
  memory: Backend['memory'],
  { sequences, likeliest, logits }: PassLayout,
  arrays: PassArrays,
  scored: readonly Scored[],
): Promise<SequenceResult[]> {
  const ids = likeliest.length > 0 ? await memory.read(arrays.likeliest) : new Int32Array(0);
  const rows = logits.length > 0 ? await memory.read(arrays.logits) : new Float32Array(0);
  const vocabularySize = arrays.logits.shape[1];
  const scores = new Map<number, TokenScores>();
  for (const { sequence, arrays: soft, tokenLosses } of scored)
    scores.set(sequence, {
      logProbabilities: (await memory.read(tokenLosses)).map((loss) => -loss),
      topIds: await memory.read(soft.topIds),
      topLogProbabilities: await memory.read(soft.topLogProbabilities),
    });
  return sequences.map((_, i) => {
    const id = likeliest.indexOf(i);
    const row = logits.indexOf(i);
    return {
      likeliest: id < 0 ? null : ids[id],
      logits: row < 0 ? null : rows.subarray(row * vocabularySize, (row + 1) * vocabularySize),
      scores: scores.get(i) ?? null,
    };
  });
}
