export function sourceHash(): string;
export function buildAddon(): string;
