import { z } from 'zod';

/** A whole number in a path or a query. */
export const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(min).max(max))
    .describe(`A whole number from ${min} to ${max}.`);

/** The number of a call. */
export const callNumber = wholeNumber(0, Number.MAX_SAFE_INTEGER);
