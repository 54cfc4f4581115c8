export function buildAddon(): Promise<
  { readonly path: string; readonly why?: undefined } | { readonly path?: undefined; readonly why: string }
>;
