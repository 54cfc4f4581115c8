export function buildEmulator(): Promise<string | null>;
