import { DTYPE_BYTES, elementCount, shapeText, type Arrays, type OpCall } from '@qdylora/contract';

/** Peak rates of this machine, measured now: GFLOP/s of multiply-adds in float32 and bf16, GB/s of a copy. */
export interface Ceilings {
  readonly gflops: number;
  readonly bf16Gflops: number;
  readonly gbps: number;
}

/** All calls of one op with the same shapes. */
export interface ProfileRow {
  readonly op: string;
  readonly shapes: string;
  readonly calls: number;
  readonly seconds: number;
  /** Of the time that steps took. */
  readonly share: number;
  /** One of the two rates: operations where the op counts them, else bytes read and written. */
  readonly gflops: number | null;
  readonly gbps: number | null;
  /** Of the ceiling; null where none was measured. */
  readonly fraction: number | null;
}

export interface ProfileSummary {
  readonly rows: readonly ProfileRow[];
  readonly steps: number;
  readonly stepSeconds: number;
  /** Share of the steps' time outside all ops: JavaScript, memory, waiting. */
  readonly outside: number;
  readonly ceilings: Ceilings | null;
}

/** Times ops while steps run. */
export interface OpProfile {
  readonly measure: (call: OpCall, run: () => void) => void;
  /** Starts a step: ops until `endStep` belong to it. Ops of loading and evaluation belong to no step. */
  beginStep(): void;
  /**
   * Adds up the ops since `beginStep`, after the step, so that this takes no time of the step. `seconds`:
   * time of the step.
   */
  endStep(seconds: number): void;
  summary(ceilings: Ceilings | null): ProfileSummary;
  /** The first calls, as Chrome's trace format has them. */
  trace(): string;
}

/** Calls that the trace keeps: some 3 MB of text. */
const TRACED_CALLS = 20_000;

/**
 * A call of the current step, to be added up at its end. Its operations are counted at once, since they may
 * depend on the contents of its arrays.
 */
interface Noted {
  readonly call: OpCall;
  readonly flops: number;
  readonly start: number;
  readonly end: number;
}

/** When it ran, in milliseconds. */
interface Traced {
  readonly op: string;
  readonly shapes: string;
  readonly start: number;
  readonly end: number;
  readonly flops: number;
  readonly bytes: number;
}

interface Total {
  readonly op: string;
  readonly shapes: string;
  readonly isBf16: boolean;
  calls: number;
  seconds: number;
  flops: number;
  bytes: number;
}

export function openProfile(): OpProfile {
  const totals = new Map<string, Total>();
  const traced: Traced[] = [];
  let steps = 0;
  let stepSeconds = 0;
  let noted: Noted[] | null = null;
  const addUp = ({ call, flops, start, end }: Noted): void => {
    const { op, inputs, outputs, attributes } = call;
    const shapes = shapesOf(call);
    const key = `${op.name} ${shapes}`;
    const bytes = bytesOf(inputs) + bytesOf(outputs);
    if (!totals.has(key))
      totals.set(key, {
        op: op.name,
        shapes,
        isBf16: (attributes as { computeDtype?: string }).computeDtype === 'bf16',
        calls: 0,
        seconds: 0,
        flops: 0,
        bytes: 0,
      });
    const total = totals.get(key)!;
    total.calls++;
    total.seconds += (end - start) / 1000;
    total.flops += flops;
    total.bytes += bytes;
    if (traced.length < TRACED_CALLS) traced.push({ op: op.name, shapes, start, end, flops, bytes });
  };
  return {
    measure(call, run) {
      const flops = noted ? (call.op.flops?.(call.inputs, call.attributes) ?? 0) : 0;
      const start = performance.now();
      run();
      noted?.push({ call, flops, start, end: performance.now() });
    },
    beginStep() {
      noted = [];
    },
    endStep(seconds) {
      noted?.forEach(addUp);
      noted = null;
      steps++;
      stepSeconds += seconds;
    },
    summary: (ceilings) => summaryOf([...totals.values()], { steps, stepSeconds, ceilings }),
    trace: () => JSON.stringify({ displayTimeUnit: 'ms', traceEvents: traced.map(traceEvent) }),
  };
}

function summaryOf(
  totals: readonly Total[],
  { steps, stepSeconds, ceilings }: { steps: number; stepSeconds: number; ceilings: Ceilings | null },
): ProfileSummary {
  const rows = totals
    .map(({ op, shapes, isBf16, calls, seconds, flops, bytes }): ProfileRow => {
      const { gflops = null, gbps = null } = rateOf({ flops, bytes, seconds });
      const fraction = !ceilings
        ? null
        : gflops === null
          ? gbps! / ceilings.gbps
          : gflops / (isBf16 ? ceilings.bf16Gflops : ceilings.gflops);
      return { op, shapes, calls, seconds, share: seconds / stepSeconds, gflops, gbps, fraction };
    })
    .sort((a, b) => b.seconds - a.seconds);
  return {
    rows,
    steps,
    stepSeconds,
    outside: 1 - rows.reduce((sum, { seconds }) => sum + seconds, 0) / stepSeconds,
    ceilings,
  };
}

/** The rate of an op: operations per second where it counts them, else bytes per second. */
const rateOf = ({
  flops,
  bytes,
  seconds,
}: {
  flops: number;
  bytes: number;
  seconds: number;
}): { gflops?: number; gbps?: number } =>
  flops > 0 ? { gflops: flops / seconds / 1e9 } : { gbps: bytes / seconds / 1e9 };

/**
 * Identifies layers independently of the number of tokens: rows and columns of their weights; for other ops
 * the shapes of the first two float32 inputs.
 */
function shapesOf({ inputs, attributes }: OpCall): string {
  const { rows, cols, layers } = attributes as {
    rows?: number;
    cols?: number;
    layers?: readonly { readonly rows: number }[];
  };
  if (layers) return `[${layers.map((layer) => layer.rows).join(' + ')}, ${cols}]`;
  if (rows !== undefined) return `[${rows}, ${cols}]`;
  return Object.values(inputs)
    .filter((view) => view?.dtype === 'f32')
    .slice(0, 2)
    .map((view) => shapeText(view!.shape))
    .join(' ');
}

const bytesOf = (arrays: Arrays): number =>
  Object.values(arrays).reduce(
    (sum, view) => sum + (view ? elementCount(view.shape) * DTYPE_BYTES[view.dtype] : 0),
    0,
  );

function traceEvent({ op, shapes, start, end, flops, bytes }: Traced): Record<string, unknown> {
  return {
    name: op,
    ph: 'X',
    pid: 1,
    tid: 1,
    ts: start * 1000,
    dur: (end - start) * 1000,
    args: { shapes, ...rateOf({ flops, bytes, seconds: (end - start) / 1000 }) },
  };
}
