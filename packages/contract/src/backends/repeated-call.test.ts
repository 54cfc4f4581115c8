import { classShaped } from '@qdylora/testing';
import { expect, test } from 'vitest';
import {
  hostData,
  createHostBackend,
  defineOp,
  f32Array,
  f32View,
  repeatedCall,
  runOp,
  type ArrayView,
  type Backend,
  type Recording,
  wrapBackend,
} from '../index.ts';

const doubled = defineOp({
  name: 'doubled',
  takes: { x: f32Array(null) },
  shapes: (i: { x: ArrayView<'f32'> }, _: Record<string, never>) => ({
    y: { dtype: 'f32', shape: i.x.shape },
  }),
  overwrites: { y: ['x'] },
  reference({ x }, { y }: { y: ArrayView<'f32'> }) {
    hostData(x).forEach((value, i) => {
      hostData(y)[i] = 2 * value;
    });
  },
});

test('without a recorder the body runs each time, and its arrays are given back', () => {
  const backend = createHostBackend();
  const x = f32View([3], [1, 2, 3]);
  const live = (): number => backend.memory.usage().liveBytes;
  const before = live();
  let bodies = 0;
  const call = repeatedCall(backend, (callBackend) => {
    bodies++;
    return runOp(callBackend, doubled, { x: runOp(callBackend, doubled, { x }, {}).y }, {}).y;
  });
  expect([...hostData(call.run())]).toEqual([4, 8, 12]);
  const once = live();
  hostData(x)[0] = 5;
  expect([...hostData(call.run())]).toEqual([20, 8, 12]);
  expect([bodies, live()]).toEqual([2, once]);
  call.dispose();
  call[Symbol.dispose]();
  expect(live()).toBe(before);
});

/** A backend that records by remembering the ops' own calls. */
function recordingBackend(): Backend & { readonly replays: () => number } {
  const backend = createHostBackend();
  let replays = 0;
  const record = (): Recording => {
    const memory = createHostBackend().memory;
    const runs: (() => void)[] = [];
    const dispose = (): void => {
      memory.dispose();
    };
    return {
      backend: {
        ...backend,
        memory,
        recordCall: (_, run) => {
          runs.push(run);
          run();
        },
      },
      another: record,
      replay(beforePiece) {
        beforePiece?.();
        replays++;
        runs.forEach((run) => {
          run();
        });
      },
      dispose,
      [Symbol.dispose]: dispose,
    };
  };
  return { ...backend, record, replays: () => replays };
}

test('with a recorder it runs once, and not at all into a backend that measures', () => {
  const backend = recordingBackend();
  const x = f32View([2], [1, 2]);
  let bodies = 0;
  const body = (callBackend: Backend): ArrayView<'f32'> => {
    bodies++;
    return runOp(callBackend, doubled, { x }, {}).y;
  };
  using call = repeatedCall(backend, body);
  const result = call.run();
  hostData(x)[1] = 7;
  expect(call.run()).toBe(result);
  expect([[...hostData(result)], bodies, backend.replays()]).toEqual([[2, 14], 1, 1]);
  using measured = repeatedCall(
    {
      ...backend,
      measure: (_, run) => {
        run();
      },
    },
    body,
  );
  measured.run();
  measured.run();
  expect([bodies, backend.replays()]).toEqual([3, 1]);
});

test('an abort is asked for before a computation is recorded and before each replay', () => {
  const backend = recordingBackend();
  const x = f32View([2], [1, 2]);
  let isAborted = false;
  const abortable = wrapBackend(backend, {
    beforeCall: () => {
      if (isAborted) throw new Error('aborted');
    },
  });
  using call = repeatedCall(abortable, (on) => runOp(on, doubled, { x }, {}).y);
  call.run();
  call.run();
  isAborted = true;
  expect(() => call.run()).toThrow('aborted');
  expect(backend.replays()).toBe(1);
});

test('layers of a backend add their hooks to those below, and an absent hook removes none', () => {
  const calls: string[] = [];
  const host = createHostBackend();
  const inner = wrapBackend(host, {
    beforeCall: () => calls.push('inner'),
    measure: (_, run) => {
      calls.push('inner measure');
      run();
    },
  });
  const outer = wrapBackend(wrapBackend(inner, { beforeCall: undefined, measure: undefined }), {
    beforeCall: () => calls.push('outer'),
    measure: (_, run) => {
      calls.push('outer measure');
      run();
    },
  });
  runOp(outer, doubled, { x: f32View([1], [3]) }, {});
  expect(calls).toEqual(['outer', 'inner', 'outer measure', 'inner measure']);
});

test('a computation whose first run fails is recorded from its beginning at the next one', () => {
  const backend = recordingBackend();
  const x = f32View([1], [1]);
  let fails = true;
  using call = repeatedCall(backend, (on) => {
    runOp(on, doubled, { x }, {}, { y: x });
    if (fails) throw new Error('not yet');
    return undefined;
  });
  expect(() => call.run()).toThrow('not yet');
  fails = false;
  hostData(x)[0] = 1;
  call.run();
  expect([...hostData(x)]).toEqual([2]);
  call.run(); // would double twice, if it began with what the failed run recorded
  expect([...hostData(x)]).toEqual([4]);
});

test('a layer reports fallbacks of recorded calls, and one with kernels is not recorded', () => {
  const backend = recordingBackend();
  const x = f32View([1], [1]);
  const fallbacks: string[] = [];
  const reporting = wrapBackend(backend, { onFallback: (name) => fallbacks.push(name) });
  using call = repeatedCall(reporting, (on) => runOp(on, doubled, { x }, {}).y);
  call.run();
  expect(fallbacks).toEqual(['doubled']);
  const withKernel = wrapBackend(backend, { kernel: () => undefined });
  expect(withKernel.record).toBeUndefined();
  expect(wrapBackend(backend, { kernel: () => undefined, record: backend.record }).record).toBeDefined();
});

test('a backend may be an object of a class, below a layer and recorded', () => {
  const calls: string[] = [];
  const backend = classShaped({
    ...recordingBackend(),
    beforeCall: () => calls.push('before'),
    onFallback: (name: string) => calls.push(name),
  });
  const x = f32View([1], [1]);
  using call = repeatedCall(wrapBackend(backend, {}), (on) => runOp(on, doubled, { x }, {}).y);
  call.run();
  expect([...hostData(call.run())]).toEqual([2]);
  expect([calls, backend.replays()]).toEqual([['doubled', 'before', 'before'], 1]);
});
