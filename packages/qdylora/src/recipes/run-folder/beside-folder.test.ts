import { expect, it } from 'vitest';
import { besideFolder } from './beside-folder.ts';

it.each([
  ['runs/smol', 'runs/smol-r8'],
  ['runs/smol/', 'runs/smol-r8'],
  ['runs/smol//', 'runs/smol-r8'],
  ['/', '/-r8'],
])('the folder beside %s is %s', (folder, beside) => {
  expect(besideFolder(folder, '-r8')).toBe(beside);
});
