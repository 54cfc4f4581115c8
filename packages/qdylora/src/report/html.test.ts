import { describe, expect, it } from 'vitest';
import { html } from './html.ts';

describe('html', () => {
  it('escapes text, and keeps what is markup', () => {
    expect(html`<p title="${'"<\'>&'}">${html`<b>${'<i>'}</b>`}</p>`.html).toBe(
      '<p title="&quot;&lt;&#39;&gt;&amp;"><b>&lt;i&gt;</b></p>',
    );
  });

  it('joins lists, leaves null out, rounds coordinates', () => {
    expect(html`${[1.23456, 'a', null]}|${-0.001}|${NaN}`.html).toBe('1.23a|0|–');
  });

  it('shows control characters and halves of pairs as U+FFFD, and keeps whole pairs', () => {
    expect(html`${'a\0b\ud800c😀\td\r\n'}`.html).toBe('a\ufffdb\ufffdc😀\td\n');
  });
});
