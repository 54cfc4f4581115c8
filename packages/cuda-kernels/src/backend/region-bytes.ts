/** Smallest region. As on the CPU: half as much leaves gaps of 3 % of a training step at their ends. */
export const REGION_BYTES = 64 * 2 ** 20;
