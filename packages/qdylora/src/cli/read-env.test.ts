import { expect, it } from 'vitest';
import { ignoresHangup } from './read-env.ts';

/** A part of /proc/PID/status of Linux. */
const statusOf = (ignored: string): string =>
  `Name:\tbash\nSigBlk:\t0000000000010001\nSigIgn:\t${ignored}\nSigCgt:\t0000000000010003\n`;

it('tells a script under nohup from one in a terminal', () => {
  expect(ignoresHangup(statusOf('0000000000000005'))).toBe(true); // nohup bash train.sh &
  expect(ignoresHangup(statusOf('0000000000000001'))).toBe(true);
  expect(ignoresHangup(statusOf('0000000000000004'))).toBe(false); // bash train.sh &
  expect(ignoresHangup(statusOf('0000000000384004'))).toBe(false); // an interactive bash
  expect(ignoresHangup('')).toBe(false);
});
