export function buildFakeDriver(): Promise<string | null>;
