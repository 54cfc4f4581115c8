// What the packages expect of Node 20 and a page lacks. The first import of all that runs in a page.

/** The part of Node's `Buffer` that readers of safetensors and JSON use. */
class PageBytes extends Uint8Array {
  static view(source: ArrayBuffer | Uint8Array | string, offset = 0, length?: number): PageBytes {
    if (typeof source === 'string') return new PageBytes(new TextEncoder().encode(source));
    return source instanceof Uint8Array ? new PageBytes(source) : new PageBytes(source, offset, length);
  }

  override toString(encoding = 'utf8', start = 0, end = this.length): string {
    const part = this.subarray(start, end);
    if (encoding !== 'latin1') return new TextDecoder().decode(part);
    return Array.from(part, (byte) => String.fromCharCode(byte)).join('');
  }

  /** The first place of an ASCII text. */
  override indexOf(text: string | number, from = 0): number {
    if (typeof text === 'number') return super.indexOf(text, from);
    const first = text.charCodeAt(0);
    for (let at = super.indexOf(first, from); at >= 0; at = super.indexOf(first, at + 1))
      if (this.toString('latin1', at, at + text.length) === text) return at;
    return -1;
  }
}

const page = globalThis as unknown as Record<string, unknown>;
page.Buffer ??= { from: PageBytes.view, byteLength: (text: string) => PageBytes.view(text).length };
page.setImmediate ??= (body: () => void) => setTimeout(body, 0);
page.process ??= { memoryUsage: { rss: () => 0 }, pid: 0, platform: 'page', env: {} };
const symbols = Symbol as unknown as Record<string, symbol>;
symbols.dispose ??= Symbol.for('Symbol.dispose');
symbols.asyncDispose ??= Symbol.for('Symbol.asyncDispose');
