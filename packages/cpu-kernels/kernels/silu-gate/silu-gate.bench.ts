import { siluGate, siluGateBackward } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

const shape = [1024, 4096] as const, count = shape[0] * shape[1], gate = normalView(1, 'gate', shape), up = normalView(1, 'up', shape), dy = normalView(1, 'dy', shape);
await benchKernel(siluGate, [{ label: shape.join('×'), inputs: { gate, up }, attributes: {}, bytes: 12 * count }]);
await benchKernel(siluGateBackward, [{ label: shape.join('×'), inputs: { gate, up, dy }, attributes: {}, bytes: 20 * count }]);
