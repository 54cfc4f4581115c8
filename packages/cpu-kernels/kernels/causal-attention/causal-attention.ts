import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { causalAttention, causalAttentionBackward } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const causalAttentionKernels = ({ native, withScratch }: CpuDoor): BoundKernel[] => {
  const forward = native('causalAttention');
  const forwardScratch = native('causalAttentionScratch');
  const backward = native('causalAttentionBackward');
  const backwardScratch = native('causalAttentionBackwardScratch');
  return [
    bindKernel(
      causalAttention,
      (
        { q, k, v, querySegments, keySegments, alibiSlopes },
        { y, logSumExp },
        { heads, kvHeads, headDim, window, scale, softCap, computeDtype },
      ) => {
        const segments = [querySegments, keySegments] as const;
        const sizes = [q.shape[0], k.shape[0], heads, kvHeads, headDim, computeDtype === 'bf16'] as const;
        const half = q.dtype === 'bf16';
        withScratch(forwardScratch(...segments, ...sizes, half), (scratch) => {
          forward(q, k, v, ...segments, alibiSlopes, y, logSumExp, scratch, ...sizes, window, scale, softCap);
        });
      },
    ),
    bindKernel(
      causalAttentionBackward,
      (
        { q, k, v, querySegments, keySegments, alibiSlopes, y, logSumExp, dy },
        { dq, dk, dv },
        { heads, kvHeads, headDim, window, scale, softCap, computeDtype },
      ) => {
        const segments = [querySegments, keySegments] as const;
        const sizes = [q.shape[0], k.shape[0], heads, kvHeads, headDim, computeDtype === 'bf16'] as const;
        const half = q.dtype === 'bf16';
        withScratch(backwardScratch(...segments, ...sizes, half, window), (scratch) => {
          backward(
            q,
            k,
            v,
            ...segments,
            alibiSlopes,
            y,
            logSumExp,
            dy,
            dq,
            dk,
            dv,
            scratch,
            ...sizes,
            window,
            scale,
            softCap,
          );
        });
      },
    ),
  ];
};
