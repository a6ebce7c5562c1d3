import type { NameQuery } from '@panal/db';
import { z } from 'zod';
import { nameSchema } from '../../functions/fields.js';
import type { Context } from './context.js';
import { nextPage } from './link.js';
import { wholeNumber } from './query.js';
import type { Answer } from './route.js';

/** Most entries of a page, and the default. */
export const MAX_PAGE = 1000;

/** The query of a list of names. */
export const namesQuery = z.strictObject({
  limit: wholeNumber(1, MAX_PAGE).optional().describe(`Default: ${MAX_PAGE}.`),
  after: nameSchema.optional().describe('Only names after this one.'),
});

export const namesAnswer: Answer = {
  description: 'Names, sorted',
  json: z.array(nameSchema),
  headers: { Link: '`rel="next"` while there is more.' },
};

/** Answers with a page of the names that `list` gives. */
export async function answerNames(
  ctx: Context,
  { limit = MAX_PAGE, after }: z.infer<typeof namesQuery>,
  list: (query: NameQuery) => Promise<string[]>,
): Promise<void> {
  // One more, to know whether there is another page.
  const query = { owner: ctx.state.owner, limit: limit + 1, ...(after !== undefined && { after }) };
  const names = await list(query);
  ctx.body = names.slice(0, limit);
  const last = names[limit - 1];
  if (names.length > limit && last !== undefined) nextPage(ctx, { limit, after: last });
}
