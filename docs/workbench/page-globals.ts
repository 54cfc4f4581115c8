// What the packages expect of Node 20 and a page may lack. The first import of every worker.
const page = globalThis as unknown as Record<string, unknown>;
page.process ??= { memoryUsage: { rss: () => 0 }, pid: 0, platform: 'page', env: {} };
const symbols = Symbol as unknown as Record<string, symbol>;
symbols.dispose ??= Symbol.for('Symbol.dispose');
symbols.asyncDispose ??= Symbol.for('Symbol.asyncDispose');
