import { ERROR_STATUS } from '@panal/protocol';
import { z } from 'zod';
import type { Answer, Exchange } from './raw-http.js';

const told = z.union([
  z.strictObject({ error: z.strictObject({ code: z.enum(Object.keys(ERROR_STATUS)), message: z.string() }) }),
  z.strictObject({ message: z.string(), status: z.literal('error') }),
]);

/** Of failed calls (502, 504), and where something is not there for now (503). */
const SERVER_STATUSES = [502, 503, 504];

/** @throws Error unless every error among the answers is one that the API may give */
export function checkAnswers({ answers }: Exchange, isHead: boolean): void {
  for (const [index, answer] of answers.entries()) {
    // An answer to HEAD has no body, and what follows it is read for one.
    if (answer.status >= 400 && !(isHead && index === 0)) checkError(answer);
  }
}

function checkError({ status, type, body }: Answer): void {
  const shown = `${status} ${type} ${JSON.stringify(body.slice(0, 500))}`;
  if (status >= 500 && !SERVER_STATUSES.includes(status))
    throw new Error(`an answer that may not be: ${shown}`);
  if (!type.startsWith('application/json')) throw new Error(`an error that is not JSON: ${shown}`);
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(body, 'latin1').toString());
  } catch {
    throw new Error(`an error that is not JSON: ${shown}`);
  }
  const parsed = told.safeParse(json);
  if (!parsed.success) throw new Error(`an error of no known shape: ${shown}`);
  if ('error' in parsed.data) {
    const { code } = parsed.data.error;
    const right = Object.entries(ERROR_STATUS).some(([known, its]) => known === code && its === status);
    if (!right) throw new Error(`an error whose code and status do not go together: ${shown}`);
  }
}
