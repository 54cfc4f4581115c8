import { expect, it } from 'vitest';
import { errorText } from './errors.ts';

const paint = (_: string, text: string): string => text;

it('errors of the operating system say what to do; only others ask for a report', () => {
  const denied = Object.assign(new Error("EACCES: permission denied, mkdir 'x'"), { code: 'EACCES' });
  expect(errorText(denied, { paint }, false)).toBe(
    "[qdylora] EACCES: permission denied, mkdir 'x'\nAllow access to it, or name another place.",
  );
  expect(errorText(new Error('odd'), { paint }, false)).toMatch(/please report it/);
});
