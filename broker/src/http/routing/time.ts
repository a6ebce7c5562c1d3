/** Epoch milliseconds as RFC 3339 text. */
export const isoTime = (epochMs: number): string => new Date(epochMs).toISOString();
