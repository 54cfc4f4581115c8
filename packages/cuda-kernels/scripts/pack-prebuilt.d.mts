export function versionsAboveFloors(addon: string): string[];
