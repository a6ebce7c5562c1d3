import { NAME_PATTERN } from '@panal/api';
import { PanalError } from '@panal/protocol';
import type { z } from 'zod';

/** A request that says too many things wrong at once is told of so many. */
const SHOWN_ISSUES = 5;

/**
 * Checks `value`, which came in from outside.
 * @throws PanalError INVALID_NAME for a name of a wrong form, INVALID_REQUEST for all else, naming the fields.
 */
export function parse<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  const lines = issues.slice(0, SHOWN_ISSUES).map(({ path, message }) => [...path, message].join(': '));
  throw new PanalError(issues.some(isBadName) ? 'INVALID_NAME' : 'INVALID_REQUEST', lines.join('; '));
}

const isBadName = (issue: z.core.$ZodIssue): boolean =>
  issue.code === 'invalid_format' && issue.pattern === String(NAME_PATTERN);
