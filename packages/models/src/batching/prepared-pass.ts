import {
  canRecord,
  repeatedCall,
  rowsOf,
  runOp,
  type ArrayView,
  type Backend,
  type Memory,
  type RepeatedCall,
} from '@qdylora/contract';
import { constant, embedding, type ForwardContext, type SoftTargets } from '@qdylora/tensor';
import type { BatchArrays } from '../decoder/batch-arrays.ts';
import type { CausalLm } from '../decoder/causal-lm.ts';
import { allocateLasting } from '../decoder/lasting-arrays.ts';
import type { HeadCodes } from '../decoder/head-codes.ts';
import type { KvPool, PoolSegments } from './kv-pool.ts';
import type { PassLayout, PassSequence, SequenceResult, TokenScores } from './sequence-pass.ts';
import type { TokenRange } from './token-ranges.ts';

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
  codes(): HeadCodes | undefined;
}

/** A pass with this layout runs so many times before it is recorded: most layouts last for a few tokens. */
const RUNS_BEFORE_RECORDING = 3;

/** Arrays that the pass reads (written before each run) and those that it writes. */
interface PassArrays {
  readonly batch: BatchArrays;
  readonly segments: PoolSegments;
  /** Rows that are predicted from: first for the most likely tokens, then for logits. */
  readonly predictedRows: I32;
  /** [predictions of a most likely token] */
  readonly likeliest: I32;
  /** [predictions with logits, vocabulary] */
  readonly logits: F32;
}

/** The scored arrays of the sequences with equal `topK`, one after another. */
interface Scored {
  readonly sequences: readonly number[];
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
  const { arrays, release } = allocateLasting(memory, (allocate) =>
    passArrays(layout, model.vocabularySize, allocate),
  );
  const ofPool: PoolMemory = { memory, capacity: pool.ranges.capacity };
  let call: RepeatedCall<undefined> | null = null;
  let runs = 0;
  const computation = { pool, arrays, ctx: { ...ctx, active: layout.active } };
  const record = (): RepeatedCall<undefined> => {
    const headCodes = codes(); // before the recording, which holds only what is repeated
    return repeatedCall(backend, (recorder) => {
      const recorded = { ...computation.ctx, backend: recorder };
      computeTokens(model, layout, { ...computation, ctx: recorded, headCodes });
      return undefined;
    });
  };
  const compute = (sequences: readonly PassSequence[]): Scored[] => {
    const headCodes = layout.likeliestSequences.length > 0 ? codes() : undefined;
    const x = computeTokens(model, layout, { ...computation, headCodes });
    return score(model.head, { ctx: computation.ctx, x, layout, sequences });
  };
  return {
    layout,
    async run(sequences) {
      writeInputs(ofPool, arrays, sequences);
      if (!call && layout.isDecoding && canRecord(backend) && ++runs > RUNS_BEFORE_RECORDING) {
        // Scratch is sized at the first run: for as many keys as there may be. Its results are not read.
        writeKeySegments(ofPool, arrays, fullRanges(layout));
        call = withFirstRun(record());
        writeKeySegments(ofPool, arrays, rangesAfter(sequences));
      }
      if (call) call.run();
      const scored = call ? [] : memory.scoped(() => compute(sequences), keptViews);
      try {
        return await readResults(memory, sequences, { layout, arrays, scored });
      } finally {
        for (const view of keptViews(scored)) memory.release(view);
      }
    },
    [Symbol.dispose]() {
      call?.dispose();
      release();
    },
  };
}

/** Makes the first run of a call, which sizes its scratch; where that fails there is no call. */
function withFirstRun(call: RepeatedCall<undefined>): RepeatedCall<undefined> {
  try {
    call.run();
    return call;
  } catch (error) {
    call.dispose();
    throw error;
  }
}

const keptViews = (scored: readonly Scored[]): ArrayView[] =>
  scored.flatMap(({ arrays, tokenLosses }) => [
    tokenLosses,
    arrays.topIds,
    arrays.topLogProbabilities,
    arrays.tailMass,
  ]);

function passArrays(
  { tokens, sequences, likeliestSequences, logitSequences }: PassLayout,
  vocabularySize: number,
  allocate: Memory['allocate'],
): PassArrays {
  const entries = 2 * sequences.length + 2;
  return {
    batch: {
      ids: allocate('i32', [tokens]),
      positions: allocate('i32', [tokens]),
      segments: allocate('i32', [entries]),
    },
    segments: { keySegments: allocate('i32', [entries]), ends: allocate('i32', [sequences.length]) },
    predictedRows: allocate('i32', [likeliestSequences.length + logitSequences.length]),
    likeliest: allocate('i32', [likeliestSequences.length]),
    logits: allocate('f32', [logitSequences.length, vocabularySize]),
  };
}

interface PoolMemory {
  readonly memory: Backend['memory'];
  /** Tokens of the pool of keys and values. */
  readonly capacity: number;
}

function writeInputs(ofPool: PoolMemory, arrays: PassArrays, sequences: readonly PassSequence[]): void {
  const { memory } = ofPool;
  const ids = sequences.flatMap((sequence) => sequence.ids);
  const positions = sequences.flatMap(({ filled, ids }) => ids.map((_, i) => filled + i));
  const segments = [0];
  const ends: number[] = [];
  for (const sequence of sequences) {
    const from = segments.at(-1)!;
    segments.push(from, from + sequence.ids.length);
    ends.push(from + sequence.ids.length);
  }
  memory.write(arrays.batch.ids, ids);
  memory.write(arrays.batch.positions, positions);
  memory.write(arrays.batch.segments, [...segments, segments.at(-1)!]);
  const predictedRows = (isWanted: (sequence: PassSequence) => boolean): number[] =>
    sequences.flatMap((sequence, i) =>
      isWanted(sequence)
        ? Array.from({ length: sequence.predicted }, (_, at) => ends[i] - sequence.predicted + at)
        : [],
    );
  memory.write(arrays.predictedRows, [
    ...predictedRows(({ wantsLikeliest }) => wantsLikeliest),
    ...predictedRows(({ wantsLogits }) => wantsLogits),
  ]);
  const after = rangesAfter(sequences);
  writeKeySegments(ofPool, arrays, after);
  memory.write(
    arrays.segments.ends,
    after.map(({ start, length }) => start + length),
  );
}

/** Where the keys of each sequence are in the pool after a pass. */
const rangesAfter = (sequences: readonly PassSequence[]): TokenRange[] =>
  sequences.map(({ range, filled, ids }) => ({ start: range.start, length: filled + ids.length }));

/** Ranges that have all keys that the sequences of a layout may have. */
function fullRanges({ sequences }: PassLayout): TokenRange[] {
  let end = 0;
  return sequences.map(({ mostKeys }) => {
    const start = end;
    end += mostKeys;
    return { start, length: mostKeys };
  });
}

/** Before the keys of each sequence is a segment without queries, and one behind the last, to the end. */
function writeKeySegments(
  { memory, capacity }: PoolMemory,
  { segments: { keySegments } }: PassArrays,
  ranges: readonly TokenRange[],
): void {
  memory.write(keySegments, [0, ...ranges.flatMap(({ start, length }) => [start, start + length]), capacity]);
}

interface Computation {
  readonly ctx: ForwardContext;
  readonly pool: KvPool;
  readonly arrays: PassArrays;
  readonly headCodes?: HeadCodes | undefined;
}

/**
 * The ops of a pass; likeliest tokens and logits are written into `arrays`. Returns the hidden states:
 * [tokens, hidden].
 */
function computeTokens(
  model: CausalLm,
  { sequences, likeliestSequences, logitSequences }: PassLayout,
  { ctx, pool, arrays, headCodes }: Computation,
): F32 {
  const { head } = model;
  const x = model.hiddenOfArrays(ctx, arrays.batch, pool.cachesOf(sequences, arrays.segments)).view;
  const count = likeliestSequences.length;
  if (count + logitSequences.length > 0) {
    const { y } = runOp(ctx.backend, embedding, { weight: x, ids: arrays.predictedRows }, {});
    if (count > 0)
      head.likeliestOfRows(ctx, rowsOf(y, 0, count), { codes: headCodes, into: arrays.likeliest });
    if (logitSequences.length > 0) head.logits(ctx, constant(rowsOf(y, count, y.shape[0])), arrays.logits);
  }
  return x;
}

interface Scoring {
  readonly ctx: ForwardContext;
  /** [tokens, hidden] */
  readonly x: F32;
  readonly layout: PassLayout;
  readonly sequences: readonly PassSequence[];
}

/** The scored predictions of all sequences: one loss for those with equal `topK`. */
function score(head: CausalLm['head'], { ctx, x, layout, sequences }: Scoring): Scored[] {
  const { memory } = ctx.backend;
  const groups = new Map<number, number[]>();
  for (const [i, { scoring }] of sequences.entries())
    if (scoring) groups.set(scoring.topK, [...(groups.get(scoring.topK) ?? []), i]);
  return [...groups].map(([topK, members]) => {
    const rows = members.flatMap((i) =>
      sequences[i].scoring!.rows.map((row) => layout.sequences[i].from + row),
    );
    const ids = memory.allocate('i32', [rows.length]);
    memory.write(ids, rows);
    const { y } = runOp(ctx.backend, embedding, { weight: x, ids }, {});
    const targets = memory.allocate('i32', [rows.length]);
    memory.write(
      targets,
      members.flatMap((i) => sequences[i].scoring!.targets),
    );
    const soft: SoftTargets = {
      topIds: memory.allocate('i32', [rows.length, topK]),
      topLogProbabilities: memory.allocate('f32', [rows.length, topK]),
      tailMass: memory.allocate('f32', [rows.length]),
    };
    const softTargets = { role: 'teacher', arrays: soft } as const;
    const { tokenLosses } = head.loss(ctx, constant(y), { targets }, { lossScale: 1, softTargets });
    return { sequences: members, arrays: soft, tokenLosses };
  });
}

interface PassResults {
  readonly layout: PassLayout;
  readonly arrays: PassArrays;
  readonly scored: readonly Scored[];
}

async function readResults(
  memory: Backend['memory'],
  sequences: readonly PassSequence[],
  { layout: { likeliestSequences, logitSequences }, arrays, scored }: PassResults,
): Promise<SequenceResult[]> {
  const ids = likeliestSequences.length > 0 ? await memory.read(arrays.likeliest) : new Int32Array(0);
  const rows = logitSequences.length > 0 ? await memory.read(arrays.logits) : new Float32Array(0);
  const vocabularySize = arrays.logits.shape[1];
  const scores = new Map<number, TokenScores>();
  for (const { sequences: members, arrays: soft, tokenLosses } of scored) {
    const topK = soft.topIds.shape[1];
    const losses = await memory.read(tokenLosses);
    const topIds = await memory.read(soft.topIds);
    const topLogProbabilities = await memory.read(soft.topLogProbabilities);
    let from = 0;
    for (const i of members) {
      const to = from + sequences[i].scoring!.rows.length;
      scores.set(i, {
        logProbabilities: losses.slice(from, to).map((loss) => -loss),
        topIds: topIds.slice(from * topK, to * topK),
        topLogProbabilities: topLogProbabilities.slice(from * topK, to * topK),
      });
      from = to;
    }
  }
  return sequences.map((_, i) => ({
    likeliest: likeliestSequences.flatMap((sequence, at) => (sequence === i ? [ids[at]] : [])),
    logits: logitSequences.flatMap((sequence, at) =>
      sequence === i ? [rows.subarray(at * vocabularySize, (at + 1) * vocabularySize)] : [],
    ),
    scores: scores.get(i) ?? null,
  }));
}
