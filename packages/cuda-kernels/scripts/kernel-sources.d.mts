export function listKernelSources(root: string): { readonly name: string; readonly path: string }[];
export function hashSources(root: string): Record<string, string>;
export function textWithHeaders(root: string, path: string, included?: Set<string>): string;
