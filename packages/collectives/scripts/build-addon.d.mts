export function sourceHash(): string;
export function buildAddons(): string;
