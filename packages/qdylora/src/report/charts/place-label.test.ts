import { describe, expect, it } from 'vitest';
import { boxesAround, leader, placeLabel } from './place-label.ts';

const frame = { left: 0, top: 0, right: 200, bottom: 200 };
const anchor = { x: 100, top: 95, bottom: 105 };
const size = { width: 60, height: 30 };

describe('placeLabel', () => {
  it('takes the preferred place where it is free', () => {
    expect(placeLabel(boxesAround(anchor, size, 'above'), [], frame)).toMatchObject({ left: 92, bottom: 89 });
    expect(placeLabel(boxesAround(anchor, size, 'below'), [], frame)).toMatchObject({ left: 92, top: 111 });
  });

  it('moves off an obstacle, with a line that leads back', () => {
    const box = placeLabel(
      boxesAround(anchor, size, 'above'),
      [{ left: 0, right: 200, top: 70, bottom: 135 }],
      frame,
    );
    expect(box.bottom).toBe(69);
    expect(leader(anchor, box)).toEqual([92, 71]);
  });

  it('stays inside the frame', () => {
    expect(placeLabel(boxesAround({ ...anchor, x: 165 }, size, 'above'), [], frame)).toMatchObject({
      left: 135,
      right: 195,
    });
    expect(placeLabel(boxesAround({ ...anchor, top: 20 }, size, 'above'), [], frame)).toMatchObject({
      top: 111,
    });
  });
});
