import type { Context } from '../routing/context.js';

/** Length of a text from which it is written as bytes: Node.js would keep it beside the bytes until they are taken. */
const LONG_TEXT = 64 * 1024;

/** Answers with a text that is JSON. */
export function answerJson(ctx: Context, json: string): void {
  ctx.type = 'application/json';
  ctx.body = json.length < LONG_TEXT ? json : Buffer.from(json);
}
